"""Documents into pairs whose Jaccard similarity was computed, and pairs into components."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.duplicates.sketch import band_keys, sketches
from aigc.core.rules.units import Hashes, Ints, ngrams

__all__ = ["Forest", "Sets", "bands_of", "candidates", "components", "jaccard", "similar_pairs", "stored_sets", "unpacked"]

NEIGHBOURS = 16  # in a band that many documents share, each is compared with so many beside it, and with the first

Frames = Callable[[], Iterator[pl.DataFrame]]
"""Gives the same frames with a column `text` each time that it is called."""


def bands_of(texts: pl.Series, *, similarity: float, ngram: int) -> pl.DataFrame:
    """A column of keys for each band, "0", "1", ...; null in all of them for a text without any word."""
    hashes, offsets = ngrams(texts, ngram)
    keys = band_keys(sketches(hashes, offsets), similarity)
    frame = pl.DataFrame({str(i): key for i, key in enumerate(keys)})
    wordless = pl.Series(np.diff(offsets) == 0)
    return frame.select(pl.when(~wordless).then(pl.col(name)).alias(name) for name in frame.columns) if wordless.any() else frame


def candidates(bands: Iterable[pl.Series], sides: pl.Series | None = None) -> npt.NDArray[np.uint64]:
    """Pairs of rows that share a band: the smaller row number in the upper 32 bits, the larger below; each once, sorted.

    Args:
        bands: for each band the key of every row, null where a row takes no part.
        sides: only pairs whose sides differ are wanted.
    """
    side = None if sides is None else sides.rank("dense").to_numpy()
    found = np.empty(0, np.uint64)
    for keys in bands:
        rows = keys.arg_sort(nulls_last=True).to_numpy()[: len(keys) - keys.null_count()].astype(np.int64)
        ordered = keys.to_numpy()[rows] if not keys.null_count() else keys.gather(rows).to_numpy()
        pairs = [found]
        same = ordered[1:] == ordered[:-1]
        runs = np.flatnonzero(np.concatenate([[True], ~same]))
        lengths = np.diff(np.concatenate([runs, [len(ordered)]]))
        shared = np.repeat(lengths > 1, lengths)
        rows, ordered = rows[shared], ordered[shared]
        if not len(rows):
            continue
        runs = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        first = np.repeat(rows[runs], np.diff(np.concatenate([runs, [len(rows)]])))
        pairs.append(_packed(first, rows, side))
        for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
            near = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(near):
                break
            pairs.append(_packed(rows[near], rows[near + step], side))
        found = np.unique(np.concatenate(pairs))
    return found


def _packed(a: Ints, b: Ints, side: npt.NDArray[np.generic] | None) -> npt.NDArray[np.uint64]:
    wanted = a != b if side is None else side[a] != side[b]
    a, b = a[wanted], b[wanted]
    return (np.minimum(a, b).astype(np.uint64) << np.uint64(32)) | np.maximum(a, b).astype(np.uint64)


def unpacked(pairs: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """The smaller and the larger row of each pair."""
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


class Sets:
    """The n-gram sets of some rows, sorted, kept in a file so that they need no memory."""

    def __init__(self, file: IO[bytes], rows: Ints) -> None:
        self._file = file
        self._place = {int(row): i for i, row in enumerate(rows)}
        self._rows = rows
        self._borders = [0]

    def add(self, texts: pl.Series, ngram: int) -> None:
        """The next rows' texts, in the order of the rows."""
        hashes, offsets = ngrams(texts, ngram)
        for i in range(len(texts)):
            unique = np.unique(hashes[offsets[i] : offsets[i + 1]])
            self._file.write(unique.tobytes())
            self._borders.append(self._borders[-1] + len(unique))
        self._file.flush()

    def __getitem__(self, row: int) -> Hashes:
        place = self._place[row]
        start, end = self._borders[place], self._borders[place + 1]
        return np.frombuffer(os.pread(self._file.fileno(), 8 * (end - start), 8 * start), np.uint64)


@contextmanager
def stored_sets(frames: Frames, rows: Ints, ngram: int) -> Iterator[Sets]:
    """The sets of the rows that are asked for, read in one walk through the frames."""
    with tempfile.TemporaryFile() as file:
        sets = Sets(file, rows)
        start = 0
        for frame in frames():
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(frame))] - start
            if len(here):
                sets.add(frame["text"].gather(here), ngram)
            start += len(frame)
        yield sets


def jaccard(a: Hashes, b: Hashes) -> float:
    """|a and b| / |a or b| of two sorted sets; 0 where both are empty."""
    if len(a) > len(b):
        a, b = b, a
    if not len(a):
        return 0.0
    place = np.searchsorted(b, a)
    place[place == len(b)] = 0
    common = int((b[place] == a).sum())
    return common / (len(a) + len(b) - common)


class Forest:
    """Which rows belong together (union-find). Rows that were never joined stand alone."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, row: int) -> int:
        """The smallest row of the component."""
        parent = self._parent
        top = row
        while (up := parent.get(top, top)) != top:
            top = up
        while row != top:
            parent[row], row = top, parent.get(row, row)
        return top

    def join(self, a: int, b: int) -> None:
        """These two belong together."""
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)  # the smallest row is the root, whatever the order

    def clusters(self) -> list[list[int]]:
        """The rows of each component of two or more, in order."""
        members: dict[int, list[int]] = {}
        for row in sorted(self._parent):
            members.setdefault(self.root(row), []).append(row)
        return [[root, *rows] for root, rows in sorted(members.items())]


def similar_pairs(frames: Frames, *, similarity: float, ngram: int = 5, sides: pl.Series | None = None) -> pl.DataFrame:
    """Pairs of rows that are at least this similar: of those of similarity s or more, 99 % or more are found.

    Args:
        frames: the documents, in the same order each time.
        similarity: the least Jaccard similarity of the sets of n-grams of words or Han characters.
        sides: a value for each row; only pairs whose values differ are wanted.

    Returns:
        columns a, b (row numbers over all frames, a < b) and similarity, which was computed from the texts; sorted by a, b.
    """
    kept = [bands_of(frame["text"], similarity=similarity, ngram=ngram) for frame in frames()]
    bands = pl.concat(kept, rechunk=True) if kept else pl.DataFrame()
    del kept
    pairs = candidates(bands.iter_columns(), sides)
    del bands
    a, b = unpacked(pairs)
    with stored_sets(frames, np.unique(np.concatenate([a, b])), ngram) as sets:
        values = np.fromiter((jaccard(sets[x], sets[y]) for x, y in zip(a.tolist(), b.tolist(), strict=True)), np.float32, len(a))
    found = pl.DataFrame({"a": a, "b": b, "similarity": values}, schema={"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float32})
    return found.filter(pl.col("similarity") >= similarity)


def components(pairs: pl.DataFrame, rows: int) -> Ints:
    """The component of each row: the smallest row that it is linked to by the pairs (columns a, b), over any number of links."""
    forest = Forest()
    for a, b in pairs.select("a", "b").iter_rows():
        forest.join(a, b)
    out = np.arange(rows)
    for cluster in forest.clusters():
        out[cluster] = cluster[0]
    return out
