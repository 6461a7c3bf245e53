"""Units into what a document repeats: lines, paragraphs and n-grams that were there before, and how varied its words are.

Only true repeats count: an n-gram, a line or a paragraph that stands once in a document repeats nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from aigc.core.rules.units import Hashes, Ints, Units, mixed

__all__ = ["repeated_ngrams", "repeated_runs", "top_ngrams", "vocabulary"]

_MOST_BITS = 20


def _keys(hashes: Hashes, document: Ints) -> Hashes:
    """Hashes that differ between documents."""
    return mixed(hashes + document.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _groups(keys: Hashes) -> tuple[Ints, Ints]:
    """Places whose key occurs more than once, sorted by key and then by place; and the group of each, counted from 0."""
    bits = min(max(len(keys).bit_length() + 2, 8), _MOST_BITS)
    bucket = (keys >> np.uint64(64 - bits)).astype(np.int64)
    crowded = np.bincount(bucket, minlength=1 << bits)[bucket] > 1  # most keys are alone, and need no sorting
    places = np.flatnonzero(crowded)
    places = places[np.argsort(keys[places], kind="stable")]
    ordered = keys[places]
    same = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(places), bool)
    shared[1:] = same
    shared[:-1] |= same
    group = np.cumsum(np.concatenate([[True], ~same]))[shared] if len(places) else places
    return places[shared], group


def repeated_runs(
    units: Units, starts: Ints, ends: Ints, document: Ints, name: str, sizes: Ints
) -> dict[str, npt.NDArray[np.int64]]:
    """How many runs of characters (lines, paragraphs) repeat an earlier one of their document, and their characters (`sizes`)."""
    places, group = _groups(_keys(units.of_points.runs(starts, ends), document))
    again = np.concatenate([[False], group[1:] == group[:-1]])[: len(places)]
    where = places[again]
    size = len(units)
    return {
        f"repeated_{name}": np.bincount(document[where], minlength=size),
        f"repeated_{name}_characters": np.bincount(
            document[where], weights=sizes[where], minlength=size
        ).astype(np.int64),
    }  # fmt: skip


def top_ngrams(units: Units) -> dict[str, Ints]:
    """Characters of the n-gram of words that takes most of them, of those that a document has twice or more, for n of 2 to 4.

    Source: Gopher (Rae et al. 2021), table A1.
    """
    found = {}
    for n, places, group in _repeating(units, range(2, 5)):
        counts = np.bincount(group)
        characters = (units.sizes[places + n] - units.sizes[places]) * counts[group] if len(places) else places
        top = np.zeros(len(units), np.int64)
        np.maximum.at(top, units.document[places], characters)
        found[f"top_{n}gram_characters"] = top
    return found


def repeated_ngrams(units: Units) -> dict[str, Ints]:
    """Characters in n-grams of words that a document had before, no character twice, for n of 5 to 10.

    Source: Gopher (Rae et al. 2021), table A1; the first occurrence does not count, as in datatrove's filter.
    """
    found = {}
    for n, places, group in _repeating(units, range(5, 11)):
        again = places[np.concatenate([[False], group[1:] == group[:-1]])[: len(places)]]
        edges = np.zeros(len(units.starts) + 1, np.int64)
        np.add.at(edges, again, 1)
        np.subtract.at(edges, again + n, 1)
        covered = np.flatnonzero(np.cumsum(edges[:-1]) > 0)
        characters = (units.sizes[1:] - units.sizes[:-1])[covered]
        found[f"repeated_{n}gram_characters"] = np.bincount(
            units.document[covered], weights=characters, minlength=len(units)
        ).astype(np.int64)
    return found


def _repeating(units: Units, sizes: range) -> Iterator[tuple[int, Ints, Ints]]:
    """For each n the places where an n-gram begins that its document has twice or more, and the group of each.

    An n-gram can only repeat where its first and its last n - 1 words do, so all but the shortest cost little.
    """
    last = units.first[1:][units.document]  # one behind the last unit of the document
    places = np.arange(len(units.starts))
    for n in sizes:
        places = places[places + n <= last[places]]
        chosen, group = _groups(_keys(units.of_units.runs(places, places + n), units.document[places]))
        places = places[chosen]
        yield n, places, group
        follows = np.zeros(len(units.starts) + 1, bool)
        follows[places] = True
        places = np.sort(places)
        places = places[follows[places + 1]]


def vocabulary(units: Units) -> dict[str, npt.NDArray[Any]]:
    """Different words, and the sum of count x log(count) over them, from which the entropy follows."""
    size = len(units)
    places, group = _groups(_keys(units.hashes, units.document))
    words = np.diff(units.first)
    if not len(places):
        return {"unique_words": words, "entropy_sum": np.zeros(size)}
    begin = np.concatenate([[True], group[1:] != group[:-1]])
    counts = np.diff(np.concatenate([np.flatnonzero(begin), [len(places)]]))
    owner = units.document[places[begin]]
    extra = np.bincount(owner, weights=counts - 1, minlength=size).astype(np.int64)
    return {
        "unique_words": words - extra,
        "entropy_sum": np.bincount(owner, weights=counts * np.log(counts), minlength=size),
    }
