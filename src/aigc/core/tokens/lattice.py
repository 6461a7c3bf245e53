"""Words and pieces into all ways to cut the words into pieces, as arrays: what a unigram model counts and compares.

Nodes are the places between the characters of a word; an edge is a piece that leads from one to another. All words are walked at
once, a step for each place and length of piece. Nothing runs in threads, so the same words give the same numbers bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lattice", "Words", "hashes", "words_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Words:
    """W words as one run of C code points."""

    points: NDArray[np.uint32]  # (C,)
    starts: Ints  # (W + 1,) word w is points[starts[w] : starts[w + 1]]
    word: Ints  # (C,) the word of each character
    left: Ints  # (C,) characters from here to the word's end, this one included
    longest: Ints  # (W,) characters that a piece of the word may have

    def text(self, start: int, length: int) -> str:
        """Some characters as text."""
        return self.points[start : start + length].astype("<u4").tobytes().decode("utf-32-le")


def words_of(words: Sequence[str], longest: Ints) -> Words:
    """Words as arrays; none is empty."""
    points = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    sizes = np.fromiter((len(word) for word in words), np.int64, len(words))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    word = np.repeat(np.arange(len(words)), sizes)
    return Words(points, starts, word, starts[word + 1] - np.arange(len(points)), longest)


def hashes(words: Words, length: int, before: Hashes | None) -> Hashes:
    """A 64-bit hash of the `length` characters from each place on, made from those of one character less."""
    mixed = (words.points.astype(np.uint64) + np.uint64(1)) * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    if before is None:
        return mixed
    found = np.zeros_like(mixed)
    ends = len(mixed) - length + 1
    found[: max(ends, 0)] = (before[: max(ends, 0)] * _ODD) ^ (before[: max(ends, 0)] >> np.uint64(31))
    found[: max(ends, 0)] += mixed[length - 1 :]
    return found


@dataclass(frozen=True)
class Lattice:
    """All edges, ordered by the place in the word where they end and then by length, so that each group has a word once."""

    start: Ints  # (E,) node where the edge begins
    piece: Ints  # (E,) number of the piece
    key: Ints  # (E,) place in the word where it ends, times 32, plus its length
    first: Ints  # (W,) first node of each word
    last: Ints  # (W,) last node of each word

    @classmethod
    def of(cls, words: Words, pieces: Hashes, *, whole: bool = True) -> Self:
        """Find all pieces in all words.

        Args:
            words: at most a few dozen characters each.
            pieces: the hash of each piece.
            whole: whether a piece may be all of a word.
        """
        order = np.argsort(pieces)
        ordered = pieces[order]
        found: list[tuple[Ints, Ints, Ints]] = []
        before: Hashes | None = None
        place = np.arange(len(words.points)) - words.starts[words.word]
        node = np.arange(len(words.points)) + words.word
        for length in range(1, int(words.longest.max(initial=0)) + 1):
            before = hashes(words, length, before)
            fits = (words.left >= length) & (words.longest[words.word] >= length)
            if not whole:
                fits &= (place > 0) | (words.left > length)
            at = np.flatnonzero(fits)
            near = np.minimum(np.searchsorted(ordered, before[at]), len(ordered) - 1)
            hit = ordered[near] == before[at]
            at, near = at[hit], near[hit]
            found.append((node[at], order[near], (place[at] + length) * 32 + length))
        start, piece, key = (np.concatenate([part[i] for part in found]) for i in range(3))
        sorting = np.lexsort((start, key))
        nodes = words.starts + np.arange(len(words.starts))
        return cls(start[sorting], piece[sorting], key[sorting], nodes[:-1], nodes[1:] - 1)

    def keep(self, number: Ints) -> Self:
        """Without the edges of dropped pieces.

        Args:
            number: (pieces,) the new number of each piece, -1 where it is dropped.
        """
        piece = number[self.piece]
        there = piece >= 0
        return type(self)(self.start[there], piece[there], self.key[there], self.first, self.last)

    def _groups(self) -> list[tuple[int, int, int]]:
        borders = np.flatnonzero(np.diff(self.key, prepend=-1)).tolist()
        return [(low, high, int(self.key[low]) % 32) for low, high in zip(borders, [*borders[1:], len(self.key)], strict=True)]

    def expected(self, chance: Floats, counts: Floats) -> Floats:
        """How often each piece is expected in the words, over all ways to cut them.

        Args:
            chance: (pieces,) probability of each.
            counts: (W,) how often each word occurs.
        """
        groups = self._groups()
        nodes = int(self.last[-1]) + 1
        ahead, behind = np.zeros(nodes), np.zeros(nodes)
        ahead[self.first] = 1.0
        behind[self.last] = 1.0
        weight = chance[self.piece]
        for low, high, length in groups:
            start = self.start[low:high]
            ahead[start + length] += ahead[start] * weight[low:high]
        for low, high, length in reversed(groups):
            start = self.start[low:high]
            behind[start] += behind[start + length] * weight[low:high]
        total = ahead[self.last]
        share = np.divide(counts, total, out=np.zeros_like(total), where=total > 0)
        per_node = np.repeat(share, self.last - self.first + 1)
        weight = weight * ahead[self.start] * behind[self.start + self.key % 32] * per_node[self.start]
        return np.bincount(self.piece, weight, minlength=len(chance)).astype(np.float64)

    def best(self, score: Floats) -> Ints:
        """(nodes,) The last edge of the best way to each node, -1 where there is none.

        Args:
            score: (pieces,) log-probability of each.
        """
        nodes = int(self.last[-1]) + 1
        reached = np.full(nodes, -np.inf)
        reached[self.first] = 0.0
        edge = np.full(nodes, -1, np.int64)
        for low, high, length in self._groups():
            start = self.start[low:high]
            way = reached[start] + score[self.piece[low:high]]
            better = way > reached[start + length]
            end = (start + length)[better]
            reached[end] = way[better]
            edge[end] = np.arange(low, high)[better]
        return edge
