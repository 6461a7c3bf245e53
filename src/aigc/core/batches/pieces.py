"""Documents into pieces that fit the model: which there are, in which order, and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.sample import Piece
from aigc.core.batches.shards import Shards

__all__ = ["Pieces", "shuffled"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """All pieces of a corpus, numbered through; nothing of a document is left out unless `whole` is set."""

    shards: Shards
    content: int  # most tokens of a piece
    overlap: int  # tokens that a piece has in common with the next: 1 where the last is only a label
    whole: bool  # one piece a document, what does not fit is truncated; a document whose prompt fills the piece has none
    _ends: Numbers  # (N,) pieces up to and with document i

    @classmethod
    def of(cls, shards: Shards, *, content: int, overlap: int, whole: bool) -> "Pieces":
        """Count the pieces of each document."""
        lengths = shards.lengths
        if whole:
            counts = (np.minimum(lengths, content) > shards.unlearned).astype(np.int64)
        else:
            counts = np.maximum(-(-(lengths - overlap) // (content - overlap)), 1)
        return cls(shards, content, overlap, whole, np.cumsum(counts))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def cut(self) -> int:
        """Documents that are read in several pieces."""
        return 0 if self.whole else int((self.shards.lengths > self.content).sum())

    @property
    def dropped(self) -> int:
        """Documents of which nothing is learned, for their prompt fills the piece."""
        return self.shards.documents - len(self) if self.whole else 0

    @property
    def truncated(self) -> int:
        """Documents whose tail is not learned, the dropped ones not counted."""
        return int((self.shards.lengths > self.content).sum()) - self.dropped if self.whole else 0

    def take(self, numbers: Numbers) -> list[Piece]:
        """Some pieces, read from disk."""
        documents = np.searchsorted(self._ends, numbers, side="right")
        begins = self.shards.starts(documents)
        within = numbers - np.where(documents > 0, self._ends[np.maximum(documents - 1, 0)], 0)
        firsts = begins + within * (self.content - self.overlap)
        lasts = np.minimum(firsts + self.content, self.shards.ends[documents])
        unlearned = np.maximum(begins + self.shards.unlearned[documents] - firsts, 0)
        marks = np.searchsorted(self.shards.marks, np.stack([firsts, lasts]))
        return [
            Piece(
                document=document,
                ids=self.shards.tokens[first:last].astype(np.int64),
                head=first == begin,
                tail=last == end,
                unlearned=min(hidden, last - first),
                marks=self.shards.marks[low:high] - first,
            )
            for document, first, last, begin, end, hidden, low, high in zip(
                *(part.tolist() for part in (documents, firsts, lasts, begins, self.shards.ends[documents], unlearned, *marks)),
                strict=True,
            )
        ]


def shuffled(places: Numbers, *, count: int, key: Sequence[int]) -> Numbers:
    """Which of `count` things stands at each place of an order that `key` decides, without ever holding the order.

    A Feistel network of four rounds permutes the numbers below the next power of four; what falls outside `count` is permuted
    again until it does not (cycle walking). Source: Black & Rogaway 2002, "Ciphers with arbitrary finite domains".
    """
    half = max((int(count - 1).bit_length() + 1) // 2, 1)
    mask = np.uint64((1 << half) - 1)
    keys = np.random.default_rng(list(key)).integers(0, 1 << 63, 4, dtype=np.uint64)
    found = np.asarray(places, np.uint64).copy()
    walking = np.arange(len(found))
    while len(walking):
        left, right = found[walking] >> np.uint64(half), found[walking] & mask
        for one in keys:
            mixed = (right + one) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
        found[walking] = (left << np.uint64(half)) | right
        walking = walking[found[walking] >= count]
    return found.astype(np.int64)
