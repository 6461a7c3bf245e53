"""Documents into pieces that fit the model: which there are, in which order, and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.sample import Piece
from aigc.core.batches.shards import Shards

__all__ = ["Pieces", "shuffled"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """All pieces of a corpus, numbered through; nothing of a document is left out unless `whole` is set.

    A document with two sides (a pair of completions, each read behind the prompt; a prompt and a completion that are read apart) is
    as long as the longer one, and truncated side by side.
    """

    shards: Shards
    content: int  # most tokens of a piece, or of a side
    overlap: int  # tokens that a piece has in common with the next: 1 where the last is only a label
    whole: bool  # one piece a document, what does not fit is truncated; a document of which nothing is learned then has none
    apart: bool  # the prompt is read by an encoder, the completion by a decoder
    _ends: Numbers  # (N,) pieces up to and with document i

    @classmethod
    def of(cls, shards: Shards, *, content: int, overlap: int, whole: bool, apart: bool = False) -> "Pieces":
        """Count the pieces of each document."""
        lengths, firsts = shards.lengths, shards.unlearned if shards.firsts is None else shards.firsts
        assert whole or not (apart or shards.seconds is not None), "a document with two sides is not cut"
        if apart:
            learned = np.minimum(lengths - shards.unlearned, content) > firsts - shards.unlearned
        elif shards.seconds is not None:
            shorter = np.where(shards.seconds > 0, np.minimum(*_completions(shards)), lengths)
            learned = np.minimum(shorter, content) > np.where(shards.seconds > 0, np.maximum(firsts, 1), firsts)
        else:
            learned = (np.minimum(lengths, content) if whole else lengths) > firsts
        counts = 1 if whole else np.maximum(-(-(lengths - overlap) // (content - overlap)), 1)
        return cls(shards, content, overlap, whole, apart, np.cumsum(learned * counts, dtype=np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def sides(self) -> tuple[Numbers, Numbers]:
        """(N,) and (N,) tokens of the two sides of each document: with the prompt of both completions, or prompt and completion.

        The second is 0 where a document has one side only.
        """
        if self.apart:
            return self.shards.unlearned.astype(np.int64), self.shards.lengths - self.shards.unlearned
        return _completions(self.shards)

    @property
    def cut(self) -> int:
        """Documents that are read in several pieces."""
        return 0 if self.whole else int((self._counts > 1).sum())

    @property
    def dropped(self) -> int:
        """Documents of which nothing is learned, for nothing of them weighs anything or their prompt fills the piece."""
        return int((self._counts == 0).sum())

    @property
    def truncated(self) -> int:
        """Documents whose tail is not read, the dropped ones not counted."""
        return int(((np.maximum(*self.sides) > self.content) & (self._counts > 0)).sum()) if self.whole else 0

    @property
    def _counts(self) -> Numbers:
        """(N,) pieces of each document."""
        return np.diff(self._ends, prepend=0)

    def take(self, numbers: Numbers) -> list[Piece]:
        """Some pieces, read from disk."""
        shards = self.shards
        documents = np.searchsorted(self._ends, numbers, side="right")
        begins, ends = shards.starts(documents), shards.ends[documents]
        within = numbers - np.where(documents > 0, self._ends[np.maximum(documents - 1, 0)], 0)
        firsts = begins + within * (self.content - self.overlap)
        lasts = ends if self.apart else np.minimum(firsts + self.content, ends)
        unlearned = np.maximum(begins + shards.unlearned[documents] - firsts, 0)
        marks = np.searchsorted(shards.marks, np.stack([firsts, lasts]))
        pieces = [
            Piece(
                document=document,
                ids=shards.tokens[first:last].astype(np.int64),
                head=first == begin,
                tail=last == end,
                unlearned=min(hidden, last - first),
                marks=shards.marks[low:high] - first,
                weights=None if shards.weights is None else _weights(shards.weights[first:last], hidden),
            )
            for document, first, last, begin, end, hidden, low, high in zip(
                *(part.tolist() for part in (documents, firsts, lasts, begins, ends, unlearned, *marks)),
                strict=True,
            )
        ]
        return self._judged(pieces)

    def _judged(self, pieces: list[Piece]) -> list[Piece]:
        """With their second completions, targets and references, where there are any."""
        shards = self.shards
        if shards.seconds is not None:
            pieces = [self._paired(piece, int(shards.seconds[piece.document])) for piece in pieces]
        if shards.targets is not None:
            found = [float(shards.targets[piece.document]) for piece in pieces]
            pieces = [replace(piece, target=None if isnan(one) else one) for piece, one in zip(pieces, found, strict=True)]
        if shards.references is not None:
            both = [shards.references[piece.document].tolist() for piece in pieces]
            pieces = [replace(piece, references=(good, bad)) for piece, (good, bad) in zip(pieces, both, strict=True)]
        return pieces

    def _paired(self, piece: Piece, second: int) -> Piece:
        """Both completions, each truncated by itself, and a mark where the second one begins."""
        if not second:
            return piece
        end = int(self.shards.ends[piece.document])
        begin = int(self.shards.starts(np.array([piece.document]))[0])
        middle, room = end - second, self.content - piece.unlearned
        parts = self.shards.tokens[begin : min(middle, begin + self.content)], self.shards.tokens[middle : min(end, middle + room)]
        tail = max(middle - begin, piece.unlearned + second) <= self.content
        return replace(piece, ids=np.concatenate(parts).astype(np.int64), marks=np.array([len(parts[0])]), tail=tail)


def _completions(shards: Shards) -> tuple[Numbers, Numbers]:
    """(N,) and (N,) tokens of each document with its first and with its second completion; 0 where there is no second one."""
    if shards.seconds is None:
        return shards.lengths, np.zeros(shards.documents, np.int64)
    return shards.lengths - shards.seconds, np.where(shards.seconds > 0, shards.unlearned + shards.seconds, 0).astype(np.int64)


def _weights(stored: NDArray[np.float32], read: int) -> NDArray[np.float32] | None:
    """Weights of a piece whose first tokens are `read` only; None where all others weigh 1."""
    return None if (stored[read:] == 1).all() else np.array(stored)


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
