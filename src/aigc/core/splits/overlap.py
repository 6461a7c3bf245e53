"""Two sides of a split into what they have in common, without any of the hashing that clusters are found by, and without misses.

If two sets of n-grams have a Jaccard similarity of s or more, they share at least s |A| n-grams; so any |A| - s |A| + 1 n-grams of
A hold one that is in B too (the prefix filter of Chaudhuri, Ganti, Kaushik 2006). The rarest such n-grams of each held-out
document are looked up in every document of the other side; what meets there has its similarity computed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.engine import local
from aigc.core.rules.duplicates.sets import BITS, set_of, stored_sets
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams_of

__all__ = ["Overlap", "overlap"]

NGRAM = 5
PASSAGE = 13  # as in GPT-3's contamination study (Brown et al. 2020, appendix C)
_LOST = np.uint64(64) - BITS  # bits of a hash that a set does not keep
AT_ONCE = 1 << 25  # n-grams of held-out documents looked for in one walk: 256 MB

Frames = Callable[[int, int], Iterator[pl.Series]]
"""The texts of rows first to last (excluded), in order, some at a time."""


@dataclass(frozen=True)
class Overlap:
    """What held-out documents have in common with others.

    Attributes:
        pairs: columns a, b (row numbers, a < b, b held out) and similarity: all near-duplicates on two sides.
        passages: held-out rows that share 13 words or Han characters in a row with side 0.
    """

    pairs: pl.DataFrame
    passages: Ints


class _Lookup:
    """Sorted hashes, and a table that tells most others apart without a search."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes
        bits = max(16, min(27, len(hashes).bit_length() + 4))
        self._shift = np.uint64(64 - bits)
        self._may_be = np.zeros(1 << bits, dtype=bool)
        self._may_be[hashes >> self._shift] = True

    def find(self, others: Hashes) -> tuple[Ints, Ints]:
        """Which of the others are here, and where."""
        likely = np.flatnonzero(self._may_be[others >> self._shift])
        at = np.searchsorted(self.hashes, others[likely])
        at[at == len(self.hashes)] = 0
        found = self.hashes[at] == others[likely] if len(self.hashes) else np.zeros(0, bool)
        return likely[found], at[found]


def overlap(texts: Frames, sides: npt.NDArray[np.int8], *, similarity: float | None) -> Overlap:
    """Compare every row of side 1 and above with all rows of lower sides.

    Args:
        texts: of all rows.
        sides: of each row, never falling: train, validation, test.
        similarity: the least Jaccard similarity of 5-grams; None looks for passages only.
    """
    first = int(np.searchsorted(sides, 1))
    pairs: list[npt.NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    passages: list[Ints] = [np.empty(0, np.int64)]
    start = first
    while start < len(sides):
        held = _Held.read(texts, start, len(sides), similarity)
        walk = texts(0, int(np.searchsorted(sides, sides[held.stop - 1])))
        met = np.zeros(len(held.passages.hashes), bool)
        for number, (near, seen) in _numbered(local(held.meet, walk)):
            crossing = sides[near[:, 0] + number] < sides[near[:, 1]]
            pairs.append(near[crossing] + np.array([number, 0]))
            if number < first:
                met[seen] = True
        passages.append(held.with_passage(met))
        start = held.stop
    both = np.unique(np.concatenate(pairs), axis=0)
    a, b = both[:, 0], both[:, 1]
    with stored_sets(texts(0, len(sides)) if len(a) else (), distinct(both.ravel()), NGRAM) as sets:
        values = sets.similarities(a, b)
    kept = values >= (similarity or 2)
    schema = {"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float32}
    return Overlap(pl.DataFrame({"a": a[kept], "b": b[kept], "similarity": values[kept]}, schema=schema), np.concatenate(passages))


def _numbered(
    results: Iterator[tuple[int, npt.NDArray[np.int64], Ints]],
) -> Iterator[tuple[int, tuple[npt.NDArray[np.int64], Ints]]]:
    """With the number of the first row of each."""
    number = 0
    for rows, near, seen in results:
        yield number, (near, seen)
        number += rows


@dataclass(frozen=True)
class _Held:
    """Held-out rows start to stop, ready to be met."""

    start: int
    stop: int
    prefix: _Lookup  # the rarest 5-grams
    owners: Ints  # rows that have them: those of prefix i are owners[borders[i] : borders[i + 1]]
    borders: Ints
    passages: _Lookup
    passage_owners: tuple[Ints, Ints]  # place of each 13-gram among the passages, and its row

    @classmethod
    def read(cls, texts: Frames, start: int, end: int, similarity: float | None) -> "_Held":
        stop, size = start, 0
        sets: list[Hashes] = []
        counts: list[Ints] = []
        long: list[Hashes] = []
        long_counts: list[Ints] = []
        for (flat, sizes), (passages, offsets) in local(_both, texts(start, end)):
            sets.append(flat)
            counts.append(sizes)
            long.append(passages)
            long_counts.append(np.diff(offsets))
            stop += len(sizes)
            size += len(flat)
            if size > AT_ONCE:
                break
        hashes, rows = np.concatenate(sets), np.repeat(np.arange(start, stop), np.concatenate(counts))
        if similarity is None:
            hashes, rows = hashes[:0], rows[:0]
        hashes, rows = _rarest(hashes, rows, similarity or 1)
        order = np.argsort(hashes, kind="stable")
        unique, borders = np.unique(hashes[order], return_index=True)
        every = np.concatenate(long)
        known, place = np.unique(every, return_inverse=True)
        long_rows = np.repeat(np.arange(start, stop), np.concatenate(long_counts))
        return cls(
            start, stop, _Lookup(unique << _LOST), rows[order], np.append(borders, len(hashes)), _Lookup(known), (place, long_rows)
        )  # fmt: skip

    def meet(self, texts: pl.Series) -> tuple[int, npt.NDArray[np.int64], Ints]:
        """How many texts, pairs of their number and a held-out row that may be similar, and the passages that they have."""
        (short, offsets), (long, _) = ngrams_of(texts.fill_null(""), [NGRAM, PASSAGE])
        hit, place = self.prefix.find((short >> _LOST) << _LOST)
        number = np.searchsorted(offsets, hit, side="right") - 1
        times = self.borders[place + 1] - self.borders[place]
        ends = np.cumsum(times)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.borders[place] - ends + times, times)
        near = np.unique(np.stack([np.repeat(number, times), self.owners[at]], axis=1), axis=0)
        _, seen = self.passages.find(long)
        return len(texts), near, distinct(seen)

    def with_passage(self, met: npt.NDArray[np.bool_]) -> Ints:
        """The rows that have a passage that was met."""
        place, rows = self.passage_owners
        return distinct(rows[met[place]])


def _both(texts: pl.Series) -> tuple[tuple[Hashes, Ints], tuple[Hashes, Ints]]:
    short, long = ngrams_of(texts.fill_null(""), [NGRAM, PASSAGE])
    return set_of(*short), long


def _rarest(hashes: Hashes, rows: Ints, similarity: float) -> tuple[Hashes, Ints]:
    """Of each row's set so many n-grams that any similar set must have one of them: those that fewest rows have."""
    if not len(rows):
        return hashes, rows
    bucket = (hashes >> np.uint64(20)).astype(np.int64)
    common = np.bincount(bucket, minlength=1 << 20)[bucket]
    order = np.lexsort((common, rows))
    hashes, rows = hashes[order], rows[order]
    begin = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    sizes = np.diff(np.append(begin, len(rows)))
    needed = sizes - np.ceil(similarity * sizes - 1e-9).astype(np.int64) + 1
    rank = np.arange(len(rows)) - np.repeat(begin, sizes)
    kept = rank < np.repeat(needed, sizes)
    return hashes[kept], rows[kept]
