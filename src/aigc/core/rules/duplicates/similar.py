"""Documents into pairs whose Jaccard similarity was computed, and pairs into components."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.engine import local, threads
from aigc.core.rules.duplicates.sets import Rows, Sets, stored_sets
from aigc.core.rules.duplicates.sketch import band_keys, places_for, sketches
from aigc.core.rules.units import Ints, distinct, ngrams

__all__ = ["bands_of", "candidates", "components", "linked", "rows_in", "similar_pairs", "unpacked"]

NEIGHBOURS = 16  # in a band that many documents share, each is compared with so many beside it, and with the first
AT_ONCE = 1 << 15  # candidate pairs, between two looks at who belongs together already

Frames = Callable[[], Iterator[pl.DataFrame]]
"""Gives the same frames with a column `text` each time that it is called."""


def bands_of(texts: pl.Series, *, similarity: float, ngram: int) -> pl.DataFrame:
    """A column of keys for each band, "0", "1", ...; null in all of them for a text without any word."""
    hashes, offsets = ngrams(texts, ngram)
    keys = band_keys(sketches(hashes, offsets, places_for(similarity)), similarity)
    frame = pl.DataFrame({str(i): key for i, key in enumerate(keys)})
    wordless = pl.Series(np.diff(offsets) == 0)
    return frame.select(pl.when(~wordless).then(pl.col(name)).alias(name) for name in frame.columns) if wordless.any() else frame


def candidates(bands: Iterable[pl.Series]) -> npt.NDArray[np.uint64]:
    """Pairs of rows that share a band: the smaller row number in the upper 32 bits, the larger below; each once, sorted.

    Where very many rows share a band, which of them are compared depends on their order.

    Args:
        bands: for each band the key of every row, null where a row takes no part.
    """
    found = [np.empty(0, np.uint64), *threads(_sharing, bands)]
    pairs = np.concatenate(found)
    del found  # before another array of that size
    pairs.sort()
    new = np.ones(len(pairs), bool)
    new[1:] = pairs[1:] != pairs[:-1]
    once: npt.NDArray[np.uint64] = pairs[new]
    return once


def _sharing(keys: pl.Series) -> npt.NDArray[np.uint64]:
    frame = pl.DataFrame({"key": keys}).select(pl.arg_sort_by("key", nulls_last=True, maintain_order=True))
    rows = frame[:, 0].to_numpy()[: len(keys) - keys.null_count()]
    ordered = keys.gather(rows).to_numpy()
    same = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(rows), bool)
    shared[1:] = same
    shared[:-1] |= same
    rows, ordered = rows[shared].astype(np.int64), ordered[shared]
    if not len(rows):
        return np.empty(0, np.uint64)
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    first = np.repeat(rows[begins], np.diff(np.concatenate([begins, [len(rows)]])))
    pairs = [_packed(first, rows)]
    for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
        near = np.flatnonzero(ordered[step:] == ordered[:-step])
        if not len(near):
            break
        pairs.append(_packed(rows[near], rows[near + step]))
    return distinct(np.concatenate(pairs))


def _packed(a: Ints | Rows, b: Ints | Rows) -> npt.NDArray[np.uint64]:
    wanted = a != b
    a, b = a[wanted], b[wanted]
    return (np.minimum(a, b).astype(np.uint64) << np.uint64(32)) | np.maximum(a, b).astype(np.uint64)


def unpacked(pairs: npt.NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """The smaller and the larger row of each pair."""
    return (pairs >> np.uint64(32)).astype(np.uint32), pairs.astype(np.uint32)


def rows_in(a: Rows, b: Rows, rows: int) -> Ints:
    """The rows that stand in a pair, each once, sorted; of so many."""
    named = np.zeros(rows, bool)
    named[a] = True
    named[b] = True
    return np.flatnonzero(named)


def linked(a: Rows, b: Rows, sets: Sets, *, similarity: float, rows: int) -> Ints:
    """The component of each row, its smallest row, where rows of at least this similarity are linked.

    Args:
        a, b: candidate pairs; one within a component needs no computing.
        rows: how many there are.
    """
    component = np.arange(rows)
    for start in range(0, len(a), AT_ONCE):
        x, y = (side[start : start + AT_ONCE].astype(np.int64) for side in (a, b))
        apart = component[x] != component[y]
        x, y = x[apart], y[apart]
        alike = sets.similarities(x, y) >= similarity
        component = joined(component, x[alike], y[alike])
    return component


def joined(component: Ints, a: Ints, b: Ints) -> Ints:
    """Components after more links: each row has the smallest row that it is linked to, over any number of links."""
    component = component.copy()
    while True:
        x, y = component[a], component[b]
        if (x == y).all():
            return component
        np.minimum.at(component, np.maximum(x, y), np.minimum(x, y))
        while True:
            up = component[component]
            if (up == component).all():
                break
            component = up


def similar_pairs(frames: Frames, *, similarity: float, ngram: int = 5) -> pl.DataFrame:
    """Pairs of rows that are at least this similar: of those, 99 % or more are found, but for crowds (see candidates).

    Args:
        frames: the documents, in the same order each time.
        similarity: the least Jaccard similarity of the sets of n-grams of words or Han characters.

    Returns:
        columns a, b (row numbers over all frames, a < b) and similarity, which was computed from the texts; sorted by a, b.
    """
    found = local(partial(bands_of, similarity=similarity, ngram=ngram), (frame["text"] for frame in frames()))
    bands = pl.concat([*found] or [pl.DataFrame({"0": pl.Series(dtype=pl.UInt64)})], rechunk=True)
    order = bands.select(pl.arg_sort_by(bands.columns[:4], maintain_order=True))[
        :, 0
    ]  # by content, so that rows may come in any order
    pairs = candidates(band.gather(order) for band in bands)
    del bands, found
    a, b = (order.to_numpy()[places] for places in unpacked(pairs))
    pairs = np.sort(_packed(a, b))
    a, b = unpacked(pairs)
    with stored_sets((frame["text"] for frame in frames()), rows_in(a, b, len(order)), ngram) as sets:
        values = sets.similarities(a, b)
    kept = values >= similarity
    schema = {"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float32}
    return pl.DataFrame({"a": a[kept], "b": b[kept], "similarity": values[kept]}, schema=schema)


def components(pairs: pl.DataFrame, rows: int) -> Ints:
    """The component of each row: the smallest row that it is linked to by the pairs (columns a, b), over any number of links."""
    a, b = (pairs[name].to_numpy().astype(np.int64) for name in ("a", "b"))
    return joined(np.arange(rows), a, b)
