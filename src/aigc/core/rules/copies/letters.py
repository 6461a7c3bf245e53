"""Texts into their letters and digits, whatever their case, width and punctuation, and hashes of passages of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.units import DIGIT, HAN, LETTER, MARK, Hashes, Ints, pieces, prefix_sums, spread

__all__ = ["OVERLAP", "PART", "STRIDE", "WINDOW", "Letters", "folded", "letters", "letters_of", "parts"]

WINDOW = 24
"""What is hashed at once, in letters or digits; a Han character or kana counts as three."""
STRIDE = 8
"""How far, counted like that, the passages that an index holds lie from each other: what shares 31 letters or 10 Han
characters with a document shares one of them, wherever it begins."""
PART = 1 << 16
"""Characters of a document that are taken at once; a longer one is cut."""
OVERLAP = 1 << 10
"""Characters at the end of a part that stand again at the beginning of the next."""


_TOGETHER = 1 << 17  # characters worked on at once: the arrays fit in the cache
_POINTS = 0x34001  # all that Unicode has assigned to letters, and one for what lies above


@cache
def _tables() -> tuple[npt.NDArray[np.uint8], Hashes]:
    """What each code point counts, 0 where it is no letter, and a hash that is equal for those that NFKC and lower case make equal.

    Both as the units of all other rules have them.
    """
    weights, values = np.zeros(_POINTS, np.uint8), np.zeros(_POINTS, np.uint64)
    for first, last in ((0, 0xD800), (0xE000, 0x20000), (0x20000, _POINTS)):  # what lies between are no characters
        for start in range(first, last, 1 << 16):
            these = range(start, min(start + (1 << 16), last))
            ((_, units),) = pieces(pl.Series(["".join(map(chr, these))]))
            at = np.arange(len(these))
            values[these.start : these.stop] = units.of_points.runs(at, at + 1)
            classes = units.classes[:-1]
            weights[these.start : these.stop] = ((classes & (LETTER | DIGIT | MARK)) != 0) * np.where(classes & HAN, 3, 1)
    return weights, values


@dataclass(frozen=True)
class Letters:
    """The letters and digits of T texts, one text behind the other.

    Attributes:
        points: code points of all texts, a line break behind each.
        places: (L,) where each letter stands, counted from the beginning of its text.
        values: (L,) a hash of each; equal for letters that differ in case, width or another compatibility form, and only for these.
        weights: (L + 1,) what stands before each letter: 3 for a Han character or kana, 1 for any other.
        first: (T + 1,) text i has the letters first[i] to first[i + 1] - 1.
    """

    points: npt.NDArray[np.uint32]
    places: Ints
    values: Hashes
    weights: Ints
    first: Ints

    def windows(self, *, every: bool) -> tuple[Ints, Hashes]:
        """The letters that windows begin at, and the hash of each.

        Args:
            every: a window for each letter; otherwise those that an index holds.
        """
        if every:
            starts, texts = np.arange(len(self.values)), np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        else:
            before = self.weights[self.first]
            steps = -(-np.diff(before) // STRIDE)
            texts = np.repeat(np.arange(len(steps)), steps)
            starts = np.searchsorted(self.weights, spread(np.zeros_like(steps), steps) * STRIDE + before[texts])
        ends = np.searchsorted(self.weights, self.weights[starts] + WINDOW)
        inside = ends <= self.first[texts + 1]
        starts, ends = starts[inside], ends[inside]
        return starts, prefix_sums(self.values).runs(starts, ends)


def folded(texts: pl.Series) -> pl.Series:
    """Texts with one space for each run of white space, none at the ends."""
    return texts.str.replace_all(r"\s{2,}|[^\S ]", " ").str.strip_chars(" ")


def parts(texts: pl.Series) -> tuple[pl.Series, Ints, Ints]:
    """Texts, long ones cut; the text that each part is of, and which part of it, from 0."""
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    counts = np.maximum(-(-(lengths - OVERLAP) // (PART - OVERLAP)), 1)
    owners = np.repeat(np.arange(len(texts)), counts)
    numbers = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(owners) > len(texts):
        cut = pl.DataFrame({"text": texts.gather(owners), "start": numbers * (PART - OVERLAP)})
        texts = cut.select(pl.col("text").str.slice(pl.col("start"), PART))["text"]
    return texts, owners, numbers


def letters(texts: pl.Series) -> Iterator[tuple[int, Letters]]:
    """Folded texts, each at most a part long, into their letters, some texts at a time, with the number of the first."""
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    heap = np.cumsum(lengths + 1) // _TOGETHER
    cuts = [0, *(np.flatnonzero(np.diff(heap)) + 1).tolist(), len(texts)]
    for start, stop in pairwise(cuts):
        if stop > start:
            yield start, _letters("\n".join([*texts[start:stop].to_list(), ""]), lengths[start:stop] + 1)


def _letters(joined: str, sizes: Ints) -> Letters:
    of_weight, of_value = _tables()
    points = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    counted = of_weight.take(points, mode="clip")
    where = np.flatnonzero(counted != 0)
    borders = np.concatenate([[0], np.cumsum(sizes)])
    first = np.searchsorted(where, borders)
    weights = np.arange(len(where) + 1)
    if (counted == 3).any():
        np.cumsum(counted[where], out=weights[1:])
    places = where - np.repeat(borders[:-1], np.diff(first))
    return Letters(points, places, of_value.take(points[where], mode="clip"), weights, first)


def letters_of(text: str) -> Letters:
    """The letters of one folded text that is at most a part long."""
    return _letters(text + "\n", np.array([len(text) + 1]))
