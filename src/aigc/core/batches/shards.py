"""Tokenised documents on disk: flat files of numbers that are mapped into memory, however large the corpus is."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BufferedWriter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.encoding import Encoded, encoded
from aigc.core.batches.example import Example
from aigc.core.tokens.codec import Codec, Marks
from aigc.errors import AigcError

__all__ = ["Shards", "open_shards", "write_references", "write_shards"]

COMPLETE = "index.json"
COLUMNS = {"ends": "<i8", "unlearned": "<i4", "rows": "<i8", "marks": "<i8"}
SOME = {"weights": "<f4", "firsts": "<i4", "seconds": "<i4", "targets": "<f4"}  # written where an example has them
WITHOUT = {"weights": 1.0, "seconds": 0, "targets": np.nan}  # what a document has that has none
REFERENCES = "references.bin"
AT_ONCE = 1 << 20  # numbers


@dataclass(frozen=True)
class Shards:
    """Token ids of N documents, each `start` + prompt + completion + `end`, all mapped from disk.

    Of a pair of completions the second one, with an `end` too, lies behind the first. A rendered chat has neither start nor end.
    """

    tokens: NDArray[np.unsignedinteger]  # (total,)
    ends: NDArray[np.int64]  # (N,) document i is tokens[ends[i - 1]:ends[i]]
    unlearned: NDArray[np.int32]  # (N,) tokens of a document's start and prompt, which are not learned
    rows: NDArray[np.int64]  # (N,) which row of the split each document is
    marks: NDArray[np.int64]  # ascending; the tokens at which a unit begins, counted through all documents
    text_bytes: int  # UTF-8 bytes of all texts that are learned
    empty: int = 0  # examples that had nothing to learn and are no documents
    weights: NDArray[np.float32] | None = None  # (total,) of each token as a label; None for 1 each
    firsts: NDArray[np.int32] | None = None  # (N,) tokens before the first one that weighs anything; None for `unlearned`
    seconds: NDArray[np.int32] | None = None  # (N,) tokens of a document's second completion, 0 where it has one only
    targets: NDArray[np.float32] | None = None  # (N,) of whole documents, see Example; NaN for none
    references: NDArray[np.float32] | None = None  # (N, 2) nats: the completions' log-probabilities, see `write_references`

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

    Raises:
        AigcError: some examples have a target or a second completion, and some have neither.
    """
    if (folder / COMPLETE).exists():
        return open_shards(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if codec.vocabulary <= 1 << 16 else "<u4")
    text_bytes, empty = 0, 0
    with _Files(folder) as files:
        for batch in encoded(examples, codec, marks):
            files.add(batch, dtype)
            empty += batch.empty
            text_bytes += sum(len(one.completion.encode()) + len((one.alternative or "").encode()) for one in batch.examples)
            advance(len(batch.examples) + batch.empty)
        counts = {"width": dtype.itemsize, "documents": files.documents, "text_bytes": text_bytes, "empty": empty}
    partial = folder / f".{COMPLETE}"
    partial.write_text(json.dumps(counts), "utf-8")
    partial.replace(folder / COMPLETE)
    return open_shards(folder)


class _Files:
    """The files of shards that are being written. One that not all need begins with the first document that does."""

    def __init__(self, folder: Path) -> None:
        for name in (*(f"{name}.bin" for name in SOME), REFERENCES):
            (folder / name).unlink(missing_ok=True)  # of a try that was killed
        self.folder = folder
        self.files = {name: self._opened(name) for name in ("tokens", *COLUMNS)}
        self.total, self.documents = 0, 0
        self.silent: Example | None = None  # one that has neither target nor second completion
        self.judged = False  # whether one has

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for file in self.files.values():
            if kind is None:
                file.flush()
                os.fsync(file.fileno())
            file.close()

    def _opened(self, name: str) -> BufferedWriter:
        return (self.folder / f"{name}.bin").open("wb")

    def add(self, batch: Encoded, dtype: np.dtype[np.unsignedinteger]) -> None:
        """Append a batch."""
        documents = batch.documents
        heads = np.array([len(one.head) for one in documents], np.int64)
        seconds = np.array([len(one.alternative) for one in documents], np.int64)
        lengths = heads + seconds + np.array([len(one.completion) for one in documents], np.int64)
        parts = chain.from_iterable((one.head, one.completion, one.alternative) for one in documents)
        tokens = np.fromiter(chain.from_iterable(parts), dtype, int(lengths.sum()))
        ends = self.total + np.cumsum(lengths)
        begins = ends - lengths + heads
        marks = [begin + np.array(one.marks, np.int64) for begin, one in zip(begins, documents, strict=True) if one.marks]
        self._write("tokens", tokens)
        self._write("ends", ends)
        self._write("unlearned", heads)
        self._write("rows", np.array([one.row for one in batch.examples], np.int64))
        self._write("marks", np.concatenate(marks) if marks else np.zeros(0, np.int64))
        if self._needs("weights", any(one.weights is not None for one in documents)):
            pairs = zip(documents, lengths.tolist(), strict=True)
            parts_of = [np.ones(length, np.float32) if one.weights is None else one.weights for one, length in pairs]
            self._write("weights", np.concatenate([np.zeros(0, np.float32), *parts_of]))
            self._write("firsts", np.array([one.first for one in documents], np.int64))
        if self._needs("seconds", bool(seconds.any())):
            self._write("seconds", seconds)
        told = [one.target for one in batch.examples]
        if self._needs("targets", any(one is not None for one in told)):
            self._write("targets", np.array([np.nan if one is None else one for one in told], np.float32))
        self.total += len(tokens)
        self.documents += len(documents)
        self._check(batch.examples)

    def _write(self, name: str, values: NDArray[np.generic]) -> None:
        kind = (COLUMNS | SOME).get(name)
        self.files[name].write((values if kind is None else values.astype(kind)).tobytes())

    def _needs(self, name: str, has: bool) -> bool:
        """Whether a file that not all need is written. Where it begins now, it is made up for the documents before."""
        if has and name not in self.files:
            self.files[name] = self._opened(name)
            count = self.total if name == "weights" else self.documents
            for at in range(0, count, AT_ONCE):
                self._write(name, np.full(min(AT_ONCE, count - at), WITHOUT[name]))
            if name == "weights":
                self.files["firsts"] = self._opened("firsts")
                self.files["unlearned"].flush()
                self._write("firsts", np.fromfile(self.folder / "unlearned.bin", COLUMNS["unlearned"], self.documents))
        return name in self.files

    def _check(self, examples: Sequence[Example]) -> None:
        """Raises:
        AigcError: of some something is told or compared, and of some nothing.
        """
        silent = [one for one in examples if one.target is None and one.alternative is None]
        self.silent = self.silent or next(iter(silent), None)
        self.judged |= len(silent) < len(examples)
        if self.judged and self.silent is not None:
            raise AigcError(
                f"row {self.silent.row} of the split has neither a target nor a completion to compare with, and other rows have"
            )


def write_references(folder: Path, values: NDArray[np.float32]) -> None:
    """Write what a model says of the documents of complete shards, for whoever opens them next.

    Args:
        values: (N, 2) nats: the log-probability of a document's good completion (the chosen one, or one whose target is 1), and of
            its bad one; NaN where it has none.
    """
    assert values.shape == (open_shards(folder).documents, 2), values.shape
    partial = folder / f".{REFERENCES}"
    partial.write_bytes(np.ascontiguousarray(values, "<f4").tobytes())
    partial.replace(folder / REFERENCES)


def open_shards(folder: Path) -> Shards:
    """Map shards that were written before."""
    index = json.loads((folder / COMPLETE).read_text("utf-8"))

    def mapped(name: str, dtype: str) -> NDArray[Any]:
        path = folder / f"{name}.bin"
        return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)

    columns = {name: mapped(name, dtype) for name, dtype in COLUMNS.items()}
    some = {name: mapped(name, dtype) for name, dtype in SOME.items() if (folder / f"{name}.bin").exists()}
    if (folder / REFERENCES).exists():
        some["references"] = mapped("references", "<f4").reshape(-1, 2)
    return Shards(
        mapped("tokens", f"<u{index['width']}"), **columns, text_bytes=index["text_bytes"], empty=index.get("empty", 0), **some
    )
