"""Tokenised documents on disk: one flat file of ids that is mapped into memory, and where each document begins."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.core.tokens.codec import Codec

__all__ = ["Example", "Shards", "open_shards", "write_shards"]


@dataclass(frozen=True)
class Example:
    """A document to learn: the prompt is read only, the completion is learned."""

    completion: str
    prompt: str = ""


@dataclass(frozen=True)
class Shards:
    """Token ids of N documents, each `start` + prompt + completion + `end`."""

    tokens: NDArray[np.unsignedinteger]  # (total,) mapped from disk
    offsets: NDArray[np.int64]  # (N + 1,) document i is tokens[offsets[i]:offsets[i + 1]]
    unlearned: NDArray[np.int64]  # (N,) tokens at a document's head that are not learned
    text_bytes: int  # UTF-8 bytes of all texts that are learned

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return len(self.offsets) - 1


def write_shards(folder: Path, examples: Iterable[list[Example]], codec: Codec) -> Shards:
    """Tokenise batches of examples to disk, at 2 or 4 bytes a token."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if codec.vocabulary <= 1 << 16 else "<u4")
    lengths: list[int] = []
    unlearned: list[int] = []
    text_bytes = 0
    with (folder / "tokens.bin").open("wb") as file:
        for batch in examples:
            completions = codec.encode([example.completion for example in batch])
            prompts = codec.encode([example.prompt for example in batch])
            for prompt, completion in zip(prompts, completions, strict=True):
                ids = [*codec.start, *prompt, *completion, codec.end]
                file.write(np.asarray(ids, dtype).tobytes())
                lengths.append(len(ids))
                unlearned.append(len(codec.start) + len(prompt))
            text_bytes += sum(len(example.completion.encode()) for example in batch)
    np.savez(
        folder / "index.npz",
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        unlearned=np.asarray(unlearned, np.int64),
        text_bytes=text_bytes,
        width=dtype.itemsize,
    )
    return open_shards(folder)


def open_shards(folder: Path) -> Shards:
    """Map shards that were written before."""
    with np.load(folder / "index.npz") as index:
        dtype = np.dtype(f"<u{index['width']}")
        size = (folder / "tokens.bin").stat().st_size
        tokens = np.memmap(folder / "tokens.bin", dtype, "r") if size else np.zeros(0, dtype)
        return Shards(tokens, index["offsets"], index["unlearned"], int(index["text_bytes"]))
