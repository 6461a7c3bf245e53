"""Documents into pairs whose Jaccard similarity was computed, and pairs into components."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.engine import local, threads
from aigc.core.rules.duplicates.sets import Rows, Sets, stored_sets
from aigc.core.rules.duplicates.sketch import band_keys, places_for, sketches
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams

__all__ = ["bands_of", "candidates", "components", "linked", "rows_in", "similar_pairs", "unpacked"]

NEIGHBOURS = 16  # in a band that many documents share, each is compared with so many beside it, and with the first
_MOST_BITS = 22  # of a key, that tell most of those apart that are alone
AT_ONCE = 1 << 15  # candidate pairs, between two looks at who belongs together already

Keys = tuple[Hashes, npt.NDArray[np.bool_]]
Frames = Callable[[], Iterator[pl.DataFrame]]
"""Gives the same frames with a column `text` each time that it is called."""


def bands_of(texts: pl.Series, *, similarity: float, ngram: int) -> pl.DataFrame:
    """A column of keys for each band, "0", "1", ...; null in all of them for a text without any word."""
    keys, wordless = _keys_of(texts, similarity=similarity, ngram=ngram)
    return pl.DataFrame({str(i): _band(key, wordless) for i, key in enumerate(keys)})


def _keys_of(texts: pl.Series, *, similarity: float, ngram: int) -> Keys:
    """The keys, shape [bands, texts], and which texts have no word."""
    hashes, offsets = ngrams(texts, ngram)
    return band_keys(sketches(hashes, offsets, places_for(similarity)), similarity), np.diff(offsets) == 0


def _band(keys: Hashes, wordless: npt.NDArray[np.bool_]) -> pl.Series:
    return pl.Series(keys).set(pl.Series(wordless), None) if wordless.any() else pl.Series(keys)


def _joined(found: Sequence[Keys], number: int) -> pl.Series:
    """One band of all batches."""
    return _band(np.concatenate([keys[number] for keys, _ in found]), np.concatenate([wordless for _, wordless in found]))


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
    known = keys.is_not_null().arg_true().to_numpy() if keys.null_count() else None
    values = keys.drop_nulls().to_numpy()
    rows = _crowded(values)
    ordered = values[rows]
    by_key = np.argsort(ordered, kind="stable")
    rows, ordered = rows[by_key], ordered[by_key]
    same = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(rows), bool)
    shared[1:] = same
    shared[:-1] |= same
    rows, ordered = rows[shared], ordered[shared]
    if not len(rows):
        return np.empty(0, np.uint64)
    if known is not None:
        rows = known[rows].astype(np.int64)
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    first = np.repeat(rows[begins], np.diff(np.concatenate([begins, [len(rows)]])))
    pairs = [_packed(first, rows)]
    for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
        near = np.flatnonzero(ordered[step:] == ordered[:-step])
        if not len(near):
            break
        pairs.append(_packed(rows[near], rows[near + step]))
    return distinct(np.concatenate(pairs))


def _crowded(keys: Hashes) -> Ints:
    """Places of all keys that occur more than once, and of a few others; most keys are alone, and need no sorting."""
    bits = min(max(len(keys).bit_length() + 2, 8), _MOST_BITS)
    bucket = (keys >> np.uint64(64 - bits)).view(np.int64)
    places = np.arange(len(keys), dtype=np.uint32)
    last = np.empty(1 << bits, np.uint32)
    last[bucket] = places
    several = np.zeros(1 << bits, bool)
    several[bucket[last[bucket] != places]] = True
    return np.flatnonzero(several[bucket])


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
    keys_of = partial(_keys_of, similarity=similarity, ngram=ngram)
    found = [*local(keys_of, (frame["text"] for frame in frames()))] or [keys_of(pl.Series(dtype=pl.String))]
    bands = range(len(found[0][0]))
    first = pl.DataFrame({str(number): _joined(found, number) for number in bands[:4]})
    order = first.select(pl.arg_sort_by(first.columns, maintain_order=True))[:, 0]  # by content: rows may come in any order
    pairs = candidates(_joined(found, number).gather(order) for number in bands)
    del first, found
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
