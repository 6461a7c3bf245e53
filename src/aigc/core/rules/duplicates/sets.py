"""The n-gram sets of some documents, and how similar any two of them are."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.engine import local, threads
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams, spread

__all__ = ["Rows", "Sets", "containment", "cuts_of", "jaccard", "set_of", "shared", "stored_sets"]

BITS = np.uint64(40)  # of a hash are compared; two n-grams of a pair of documents are taken for one with a chance of 1e-12
IN_MEMORY = 1 << 25  # bytes; what is more goes to a file
AT_ONCE = 1 << 19  # n-grams compared at once

Rows = npt.NDArray[np.uint32]


class Sets:
    """The sets of some rows, one behind the other: sorted 40-bit hashes."""

    def __init__(self, rows: Ints, flat: Hashes | IO[bytes], borders: Ints) -> None:
        self._rows, self._flat, self._borders = rows, flat, borders

    def similarities(self, a: Ints | Rows, b: Ints | Rows) -> npt.NDArray[np.float64]:
        """|a and b| / |a or b| for each pair of rows; 0 where both are empty."""
        places, others, common = self._common(a, b)
        both = self._sizes(places) + self._sizes(others) - common
        return np.asarray(common / np.maximum(both, 1), np.float64)

    def containments(self, a: Ints, b: Ints) -> npt.NDArray[np.float64]:
        """|a and b| / |a| for each pair of rows; 0 where a is empty."""
        places, _, common = self._common(a, b)
        return np.asarray(common / np.maximum(self._sizes(places), 1), np.float64)

    def _sizes(self, places: Ints) -> Ints:
        return self._borders[places + 1] - self._borders[places]

    def _common(self, a: Ints | Rows, b: Ints | Rows) -> tuple[Ints, Ints, Ints]:
        """Places of the rows, and the size of each pair's intersection."""
        a, b = np.searchsorted(self._rows, a), np.searchsorted(self._rows, b)
        out = np.zeros(len(a), np.int64)
        cuts = cuts_of(self._sizes(a) + self._sizes(b))
        for cut, counts in zip(cuts, threads(lambda cut: self._intersections(a[cut], b[cut]), cuts), strict=True):
            out[cut] = counts
        return a, b, out

    def _intersections(self, a: Ints, b: Ints) -> Ints:
        sizes = self._sizes(a), self._sizes(b)
        return shared(self._taken(a, sizes[0]), sizes[0], self._taken(b, sizes[1]), sizes[1])

    def _taken(self, places: Ints, sizes: Ints) -> Hashes:
        """The hashes of these places, one behind the other."""
        starts = self._borders[places]
        if isinstance(self._flat, np.ndarray):
            return np.asarray(self._flat[spread(starts, sizes)], np.uint64)
        ends = np.cumsum(sizes)
        out = np.empty(sizes.sum(), np.uint64)  # read, not mapped: what is mapped counts as memory
        file = self._flat.fileno()
        for start, size, end in zip(starts.tolist(), sizes.tolist(), ends.tolist(), strict=True):
            out[end - size : end] = np.frombuffer(os.pread(file, 8 * size, 8 * start), np.uint64)
        return out


def cuts_of(sizes: Ints) -> list[slice]:
    """Pairs, given the n-grams of each, cut into heaps that are compared at once."""
    work = np.cumsum(sizes)
    cuts: list[slice] = []
    start = 0
    while start < len(sizes):
        done = work[start - 1] if start else 0
        stop = max(int(np.searchsorted(work, done + AT_ONCE, side="right")), start + 1)
        stop = min(stop, start + (1 << 23))  # the pair's number has 24 bits
        cuts.append(slice(start, stop))
        start = stop
    return cuts


def shared(a: Hashes, a_sizes: Ints, b: Hashes, b_sizes: Ints) -> Ints:
    """How many 40-bit hashes set i of a and set i of b have in common.

    Args:
        a, b: the sets, one behind the other; fewer than 2^24.
        a_sizes, b_sizes: hashes in each.
    """
    number = np.arange(len(a_sizes), dtype=np.uint64) << BITS
    keys = np.concatenate([a | np.repeat(number, a_sizes), b | np.repeat(number, b_sizes)])
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]]
    return np.bincount((twice >> BITS).astype(np.int64), minlength=len(a_sizes))


def set_of(hashes: Hashes, offsets: Ints) -> tuple[Hashes, Ints]:
    """Each text's n-grams (see units.ngrams) as a sorted set of 40-bit hashes, and the size of each."""
    owner = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64), np.diff(offsets))
    keys = distinct((owner << BITS) | (hashes >> (np.uint64(64) - BITS)))
    sizes = np.bincount((keys >> BITS).astype(np.int64), minlength=len(offsets) - 1)
    return keys & np.uint64((1 << int(BITS)) - 1), sizes


def _sets_of(ngram: int, texts: pl.Series) -> tuple[Hashes, Ints]:
    return set_of(*ngrams(texts, ngram))


@contextmanager
def stored_sets(texts: Iterable[pl.Series], rows: Ints, ngram: int, folder: Path | None = None) -> Iterator[Sets]:
    """The sets of some rows, taken in one walk through all texts.

    Args:
        rows: sorted row numbers over all texts.
        folder: where they lie if they are too many for memory; by default the system's for temporary files.
    """

    def wanted() -> Iterator[pl.Series]:
        start = 0
        for series in texts:
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(series))] - start
            start += len(series)
            if len(here):
                yield series.gather(here)

    with tempfile.TemporaryFile(dir=folder) as file:
        held: list[Hashes] = []
        sizes: list[Ints] = [np.zeros(1, np.int64)]
        size = 0
        for flat, counts in local(partial(_sets_of, ngram), wanted()):
            sizes.append(counts)
            held.append(flat)
            size += flat.nbytes
            if size > IN_MEMORY:
                _spill(held, file)
        borders = np.cumsum(np.concatenate(sizes))
        if size > IN_MEMORY:
            _spill(held, file)
            yield Sets(rows, cast(IO[bytes], file), borders)
        else:
            yield Sets(rows, np.concatenate([np.empty(0, np.uint64), *held]), borders)


def _spill(held: list[Hashes], file: IO[bytes]) -> None:
    for flat in held:
        file.write(flat.data)
    held.clear()
    file.flush()


def jaccard(a: Hashes, b: Hashes) -> float:
    """|a and b| / |a or b| of two sorted sets; 0 where both are empty."""
    common = _common_of(a, b)
    return common / max(len(a) + len(b) - common, 1)


def containment(part: Hashes, whole: Hashes) -> float:
    """|part and whole| / |part| of two sorted sets; 0 where the part is empty."""
    return _common_of(part, whole) / max(len(part), 1)


def _common_of(a: Hashes, b: Hashes) -> int:
    return len(np.intersect1d(a, b, assume_unique=True))
