"""Tokenised documents on disk: flat files of numbers that are mapped into memory, however large the corpus is."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.core.tokens.codec import Codec, Marks

__all__ = ["Example", "Shards", "open_shards", "write_shards"]

COMPLETE = "index.json"
COLUMNS = {"ends": "<i8", "unlearned": "<i4", "rows": "<i8", "marks": "<i8"}
Encoded = tuple[list[list[int]], list[list[int]], list[list[int]]]  # prompts, completions, marks


@dataclass(frozen=True)
class Example:
    """A document to learn: the prompt is read only, the completion is learned."""

    completion: str
    prompt: str = ""
    row: int = 0  # which row of the split it is


@dataclass(frozen=True)
class Shards:
    """Token ids of N documents, each `start` + prompt + completion + `end`, all mapped from disk."""

    tokens: NDArray[np.unsignedinteger]  # (total,)
    ends: NDArray[np.int64]  # (N,) document i is tokens[ends[i - 1]:ends[i]]
    unlearned: NDArray[np.int32]  # (N,) tokens at a document's head that are not learned: start and prompt
    rows: NDArray[np.int64]  # (N,) which row of the split each document is
    marks: NDArray[np.int64]  # ascending; the tokens at which a unit begins, counted through all documents
    text_bytes: int  # UTF-8 bytes of all texts that are learned

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return len(self.ends)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each document."""
        return np.diff(self.ends, prepend=0)

    def starts(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where some documents begin in `tokens`."""
        return np.where(documents > 0, self.ends[np.maximum(documents - 1, 0)], 0)


def write_shards(
    folder: Path,
    examples: Iterable[Sequence[Example]],
    codec: Codec,
    marks: Marks | None = None,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Shards:
    """Tokenise batches of examples to disk, at 2 or 4 bytes a token; what is complete there already is kept.

    Args:
        marks: notes where units of a text begin, for objectives that have to know.
        advance: told how many examples more are on disk.
    """
    if (folder / COMPLETE).exists():
        return open_shards(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if codec.vocabulary <= 1 << 16 else "<u4")
    total, documents, text_bytes = 0, 0, 0
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.bin").open("wb")) for name in ("tokens", *COLUMNS)}
        for batch, (prompts, completions, begins) in _encoded(examples, codec, marks):
            heads = np.array([len(codec.start) + len(prompt) for prompt in prompts], np.int64)
            lengths = heads + np.array([len(completion) + 1 for completion in completions], np.int64)
            start, end = codec.start, [codec.end]
            parts = chain.from_iterable((start, prompt, ids, end) for prompt, ids in zip(prompts, completions, strict=True))
            files["tokens"].write(np.fromiter(chain.from_iterable(parts), dtype, int(lengths.sum())).tobytes())
            ends = total + np.cumsum(lengths)
            firsts = ends - lengths + heads
            units = [first + np.array(begin, np.int64) for first, begin in zip(firsts, begins, strict=True)] if marks else []
            columns = {"ends": ends, "unlearned": heads, "rows": np.array([one.row for one in batch], np.int64)}
            for name, values in (columns | {"marks": np.concatenate(units) if units else np.zeros(0)}).items():
                files[name].write(values.astype(COLUMNS[name]).tobytes())
            total += int(lengths.sum())
            documents += len(batch)
            text_bytes += sum(len(example.completion.encode()) for example in batch)
            advance(len(batch))
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    partial = folder / f".{COMPLETE}"
    partial.write_text(json.dumps({"width": dtype.itemsize, "documents": documents, "text_bytes": text_bytes}), "utf-8")
    partial.replace(folder / COMPLETE)
    return open_shards(folder)


def _encoded(
    examples: Iterable[Sequence[Example]], codec: Codec, marks: Marks | None
) -> Iterator[tuple[Sequence[Example], Encoded]]:
    """Each batch with its ids, one batch ahead in a thread of its own: the tokenizer works without the interpreter's lock."""

    def encode(batch: Sequence[Example]) -> Encoded:
        texts = [example.completion for example in batch]
        prompts = codec.encode([one.prompt for one in batch]) if any(one.prompt for one in batch) else [[] for _ in batch]
        if marks is None:
            return prompts, codec.encode(texts), []
        pairs = codec.encode_marked(texts, marks)
        return prompts, [ids for ids, _ in pairs], [begins for _, begins in pairs]

    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for batch in filter(len, examples):
            coming = batch, pool.submit(encode, batch)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def open_shards(folder: Path) -> Shards:
    """Map shards that were written before."""
    index = json.loads((folder / COMPLETE).read_text("utf-8"))

    def mapped(name: str, dtype: str) -> NDArray[np.int64]:
        path = folder / f"{name}.bin"
        return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)

    columns = {name: mapped(name, dtype) for name, dtype in COLUMNS.items()}
    return Shards(mapped("tokens", f"<u{index['width']}"), **columns, text_bytes=index["text_bytes"])  # type: ignore[arg-type]
