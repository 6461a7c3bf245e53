"""Two sides of a split into what they have in common, without any of the hashing that clusters are found by, and without misses.

If two sets of n-grams have a Jaccard similarity of s or more, they share at least s |A| n-grams; so any |A| - s |A| + 1 n-grams of
A hold one that is in B too (the prefix filter of Chaudhuri, Ganti, Kaushik 2006). The rarest such n-grams of each held-out
document are looked up in every document of the other side; what meets there has its similarity computed.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.engine import local
from aigc.core.rules.duplicates.sets import BITS, cuts_of, set_of, shared
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams_of, spread

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


@dataclass(frozen=True)
class _Lookup:
    """Sorted hashes, and a table that tells most others apart without a search."""

    hashes: Hashes
    table: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, hashes: Hashes) -> "_Lookup":
        bits = max(16, min(27, len(hashes).bit_length() + 3))
        table = np.zeros(1 << bits, dtype=bool)
        table[hashes >> np.uint64(64 - bits)] = True
        return cls(hashes, table)

    def find(self, others: Hashes) -> tuple[Ints, Ints]:
        """Which of the others are here, and where."""
        likely = np.flatnonzero(self.table[others >> np.uint64(65 - len(self.table).bit_length())])
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
    found: list[tuple[Ints, Ints, npt.NDArray[np.float64]]] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    passages: list[Ints] = [np.empty(0, np.int64)]
    start = first
    while start < len(sides):
        held = _Held.read(texts, start, len(sides), similarity)
        walk = texts(0, int(np.searchsorted(sides, sides[held.stop - 1])))
        met = np.zeros(len(held.passages.hashes), bool)
        number = 0
        with tempfile.TemporaryDirectory() as folder:
            held.store(Path(folder))
            for one in local(partial(_meet, folder, start, similarity or 1.0), walk):
                rows = one.numbers + number
                crossing = sides[rows] < sides[one.held]
                found.append((rows[crossing], one.held[crossing], one.similarities[crossing]))
                if number < first:
                    met[one.passages] = True
                number += one.texts
        passages.append(held.with_passage(met))
        start = held.stop
    a, b, values = (np.concatenate([one[i] for one in found]) for i in range(3))
    schema = {"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float32}
    return Overlap(pl.DataFrame({"a": a, "b": b, "similarity": values}, schema=schema).sort("a", "b"), np.concatenate(passages))


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
    sets: tuple[Hashes, Ints]  # the 5-grams of each row, one behind the other, and where they begin

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
        whole = np.concatenate(sets), np.append(0, np.cumsum(np.concatenate(counts)))
        hashes, rows = whole[0], np.repeat(np.arange(start, stop), np.concatenate(counts))
        if similarity is None:
            hashes, rows = hashes[:0], rows[:0]
        hashes, rows = _rarest(hashes, rows, similarity or 1)
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        borders = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)])
        unique = hashes[borders]
        every = np.concatenate(long)
        known, place = np.unique(every, return_inverse=True)
        long_rows = np.repeat(np.arange(start, stop), np.concatenate(long_counts))
        lookups = _Lookup.of(unique << _LOST), _Lookup.of(known)
        return cls(start, stop, lookups[0], rows[order], np.append(borders, len(hashes)), lookups[1], (place, long_rows), whole)

    def store(self, folder: Path) -> None:
        """What meeting needs, as files that processes share."""
        for name, array in {
            "prefix": self.prefix.hashes,
            "prefix-table": self.prefix.table,
            "owners": self.owners,
            "borders": self.borders,
            "passages": self.passages.hashes,
            "passages-table": self.passages.table,
            "sets": self.sets[0],
            "set-borders": self.sets[1],
        }.items():
            np.save(folder / f"{name}.npy", array)

    def with_passage(self, met: npt.NDArray[np.bool_]) -> Ints:
        """The rows that have a passage that was met."""
        place, rows = self.passage_owners
        return distinct(rows[met[place]])


@dataclass(frozen=True)
class _Met:
    """What some texts have in common with the held-out rows."""

    texts: int
    numbers: Ints  # of the texts that are near-duplicates of held-out rows
    held: Ints  # these rows
    similarities: npt.NDArray[np.float64]
    passages: Ints  # those that were met


@lru_cache(maxsize=1)
def _stored(folder: str) -> dict[str, Any]:
    return {path.stem: np.asarray(np.load(path, mmap_mode="r")) for path in Path(folder).glob("*.npy")}


def _meet(folder: str, start: int, similarity: float, texts: pl.Series) -> _Met:
    """Look the n-grams of some texts up.

    Args:
        start: the first held-out row.
    """
    held = _stored(folder)
    (short, offsets), (long, _) = ngrams_of(texts.fill_null(""), [NGRAM, PASSAGE])
    short = (short >> _LOST) << _LOST
    hit, place = _Lookup(held["prefix"], held["prefix-table"]).find(short)
    number = np.searchsorted(offsets, hit, side="right") - 1
    starts = held["borders"][place]
    times = held["borders"][place + 1] - starts
    near = distinct((np.repeat(number, times) << 32) | held["owners"][spread(starts, times)])
    ones, rows = near >> 32, near & 0xFFFFFFFF
    values = _similarities(held, (short, offsets), ones, rows - start)
    kept = values >= similarity
    seen = distinct(_Lookup(held["passages"], held["passages-table"]).find(long)[1])
    return _Met(len(texts), ones[kept], rows[kept], values[kept], seen)


def _similarities(held: dict[str, Any], ngrams: tuple[Hashes, Ints], ones: Ints, places: Ints) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of each pair: a text, by its n-grams, and the held-out row of that place."""
    named = distinct(ones)
    counts = ngrams[1][named + 1] - ngrams[1][named]
    flat, sizes = set_of(ngrams[0][spread(ngrams[1][named], counts)], np.append(0, np.cumsum(counts)))
    own = np.append(0, np.cumsum(sizes)), np.searchsorted(named, ones)
    theirs = held["set-borders"]
    a_sizes, b_sizes = sizes[own[1]], theirs[places + 1] - theirs[places]
    common = np.zeros(len(ones), np.int64)
    for cut in cuts_of(a_sizes + b_sizes):
        a = flat[spread(own[0][own[1][cut]], a_sizes[cut])]
        b = held["sets"][spread(theirs[places[cut]], b_sizes[cut])]
        common[cut] = shared(a, a_sizes[cut], b, b_sizes[cut])
    return np.asarray(common / np.maximum(a_sizes + b_sizes - common, 1), np.float64)


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
