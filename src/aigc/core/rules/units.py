"""Texts into units, the words of any language: arrays of code points, of unit borders and of 64-bit hashes.

A unit is a word (a run of letters, marks and digits, with apostrophes and hyphens inside it) or a single Han or kana character,
so no spaces are assumed. Everything that counts words, lines or n-grams reads these arrays, which numpy makes once for a batch.

Hashes ignore case, width and compatibility forms (NFKC). The hash of a run is a polynomial over random values of its code points,
modulo 2^64, taken from prefix sums, so that a run of any length costs the same.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.alphabet import among

__all__ = [
    "COMMON",
    "DIGIT",
    "HAN",
    "LETTER",
    "MARK",
    "PUNCTUATION",
    "SPACE",
    "UPPER",
    "Hashes",
    "Ints",
    "Sums",
    "Units",
    "distinct",
    "mixed",
    "ngrams",
    "ngrams_of",
    "pieces",
    "spread",
]

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Scalar = TypeVar("Scalar", bound=np.generic)

LETTER, DIGIT, MARK, HAN, UPPER, SPACE, PUNCTUATION, COMMON = (np.uint8(1 << i) for i in range(8))
"""Flags of a code point. HAN stands for kana too, COMMON for the punctuation of prose in either language and for □."""

_COMMON = ".,;:!?'\"()-—–…‘’“”。，、；：！？（）《》〈〉「」『』【】·・〔〕□"
_SIGNS = "☀☁☂☃☕☺⚡✅✨❤"
_JOINERS = "'-\u2010\u2011\u2019"

_POINTS = 0x34000  # all that Unicode has assigned to letters; what lies above counts as a symbol
_PIECE = 1 << 17  # code points worked on at once: the arrays of a piece fit in the cache
_LONGEST = 1 << 19  # code points of a document that is still worked on whole
_OVERLAP = 1 << 10  # of the pieces of such a document, so that no n-gram is lost at a cut
_P = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_Q = 0xD6E8FEB86659FD93


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """Classes of every code point, as flags."""
    table = np.zeros(_POINTS, np.uint8)
    for point in range(0x20000):
        kind = unicodedata.category(chr(point))
        if kind[0] == "L":
            table[point] = LETTER | (UPPER if kind == "Lu" else 0)
        elif kind[0] == "N":
            table[point] = DIGIT
        elif kind[0] == "M":
            table[point] = MARK
        elif kind[0] == "P":
            table[point] = PUNCTUATION
        elif kind[0] == "Z" or 9 <= point <= 13 or 0x1C <= point <= 0x1F or point == 0x85:
            table[point] = SPACE
    for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)):
        letters = table[first : last + 1]
        letters[letters == LETTER] |= HAN
    table[0x3005] |= HAN  # 々
    table[0x3007] = LETTER | HAN  # 〇
    table[0x20000:] = LETTER | HAN
    table[-1] = 0  # stands for all that lies above
    table[0x1F000:0x1FB00][table[0x1F000:0x1FB00] == 0] = COMMON  # emoji are no noise
    for sign in _SIGNS:
        table[ord(sign)] |= COMMON
    for mark in _COMMON:
        table[ord(mark)] |= PUNCTUATION | COMMON
    return table


@cache
def _values() -> Hashes:
    """A random number for every code point, the same for those that NFKC and lower case make equal."""
    folded = np.arange(_POINTS, dtype=np.uint64)
    for point in range(0x20000):
        one = unicodedata.normalize("NFKC", chr(point)).lower()
        if len(one) == 1:
            folded[point] = ord(one)
    return mixed(folded + np.uint64(1))


@cache
def _powers(base: int) -> tuple[Hashes, Hashes]:
    """base^i and base^-i modulo 2^64, for each place in a piece."""
    size = _LONGEST + 2
    both = []
    for factor in (base, pow(base, -1, 1 << 64)):
        powers = np.full(size, factor, np.uint64)
        powers[0] = 1
        both.append(np.multiply.accumulate(powers))
    return both[0], both[1]


def distinct(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Each value once, sorted; many times faster than numpy 2.4's unique, which hashes."""
    ordered = np.sort(values)
    new = np.ones(len(ordered), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def spread(starts: Ints, sizes: Ints) -> Ints:
    """The places of all runs, one run behind the other: starts[0], starts[0] + 1, ... up to sizes[0] of them, then starts[1] ..."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + sizes, sizes)


def mixed(hashes: Hashes, salt: int = 0) -> Hashes:
    """A second hash of hashes. Source: splitmix64 (Steele, Lea, Flood 2014)."""
    h = hashes + np.uint64((salt * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@dataclass(frozen=True)
class Sums:
    """Prefix sums of values, from which the hash of any run of them follows."""

    sums: Hashes
    inverse: Hashes

    def runs(self, starts: Ints, ends: Ints) -> Hashes:
        """The hash of values[start:end] for each run; equal runs have equal hashes wherever they stand."""
        return mixed((self.sums[ends] - self.sums[starts]) * self.inverse[starts])


def prefix_sums(values: Hashes, base: int = _P) -> Sums:
    """Of at most 2^19 values."""
    powers, inverse = _powers(base)
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * powers[: len(values)], out=sums[1:])
    return Sums(sums, inverse)


@dataclass(frozen=True)
class Units:
    """Some documents, a line break between each two.

    Attributes:
        points: code points of all documents, uint32.
        classes: flags of each code point.
        borders: document i is points[borders[i] : borders[i + 1] - 1].
        starts, ends: unit j is points[starts[j] : ends[j]].
        first: document i has the units first[i] to first[i + 1] - 1.
    """

    points: npt.NDArray[np.uint32]
    classes: npt.NDArray[np.uint8]
    borders: Ints
    starts: Ints
    ends: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.borders) - 1

    @cached_property
    def of_points(self) -> Sums:
        """Gives the hash of any run of code points."""
        return prefix_sums(_values().take(self.points, mode="clip"))

    @cached_property
    def hashes(self) -> Hashes:
        """A hash for each unit."""
        return self.of_points.runs(self.starts, self.ends)

    @cached_property
    def of_units(self) -> Sums:
        """Gives the hash of any run of units."""
        return prefix_sums(self.hashes, _Q)

    @cached_property
    def sizes(self) -> Ints:
        """Code points in the units before each: unit j to k - 1 have sizes[k] - sizes[j]."""
        return np.concatenate([[0], np.cumsum(self.ends - self.starts)])

    @cached_property
    def document(self) -> Ints:
        """The document of each unit."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    def lines(self) -> tuple[Ints, Ints]:
        """Starts and ends of the lines that are not blank, without the white space at their ends."""
        breaks = np.flatnonzero(self.points == 10)
        solid = np.flatnonzero((self.classes & SPACE) == 0)
        last = np.searchsorted(solid, breaks)
        first = np.append(0, last[:-1])
        filled = first < last
        return solid[first[filled]], solid[last[filled] - 1] + 1

    def ngrams(self, n: int) -> tuple[Hashes, Ints]:
        """Hashes of all n-grams of units, and where those of each document begin (one more than documents).

        A document of fewer than n units has one n-gram, all its units; one without any has none.
        """
        counts = np.diff(self.first)
        per_document = np.where(counts >= n, counts - n + 1, np.minimum(counts, 1))
        offsets = np.concatenate([[0], np.cumsum(per_document)])
        starts = np.arange(offsets[-1]) + np.repeat(self.first[:-1] - offsets[:-1], per_document)
        ends = starts + np.repeat(np.minimum(counts, n), per_document)
        return self.of_units.runs(starts, ends), offsets


def _bases(marks: Ints) -> Ints:
    """The place before each run of neighbouring marks, 0 at the very start."""
    new = np.append(True, marks[1:] != marks[:-1] + 1)[: len(marks)]
    first = np.flatnonzero(new)
    return np.maximum(np.repeat(marks[first] - 1, np.diff(np.append(first, len(marks)))), 0)


def _units(texts: pl.Series, lengths: Ints) -> Units:
    joined = texts.str.join("\n").item() if len(texts) else ""
    points = np.frombuffer((joined + "\n").encode("utf-32-le"), np.uint32)
    borders = np.concatenate([[0], np.cumsum(lengths + 1)])
    classes = _classes().take(points, mode="clip")
    han = (classes & HAN) != 0
    word = ((classes & (LETTER | DIGIT)) != 0) & ~han
    marks = np.flatnonzero((classes & MARK) != 0)
    base = _bases(marks)
    word[marks] = word[base]
    joiners = np.flatnonzero((classes & PUNCTUATION) != 0)
    joiners = joiners[(joiners > 0) & (joiners < len(points) - 1)]
    joiners = joiners[among(points[joiners], _JOINERS)]
    joiners = joiners[word[joiners - 1] & word[joiners + 1]]
    word[joiners] = True
    border = word[1:] != word[:-1]
    starts_here = han.copy()
    starts_here[0] |= word[0]
    starts_here[1:] |= border & word[1:]
    ends_here = han.copy()
    ends_here[:-1] |= border & word[:-1]
    on_han = han[base]
    ends_here[base[on_han]] = False  # a mark belongs to the character before it
    last = np.append(marks[1:] != marks[:-1] + 1, True)[: len(marks)]
    ends_here[marks[on_han & last]] = True
    starts = np.flatnonzero(starts_here)
    ends = np.flatnonzero(ends_here) + 1
    return Units(points, classes, borders, starts, ends, np.searchsorted(starts, borders))


def pieces(texts: pl.Series, *, overlap: int = 0) -> Iterator[tuple[int, Units]]:
    """Texts, never null, into units, some documents at a time, with the number of the first.

    A text of more than 2^19 code points comes alone, in several pieces with the same number: what is counted is to be added up.

    Args:
        overlap: code points at the end of such a piece that stand again at the start of the next.
    """
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    ends = np.cumsum(lengths + 1)
    start = 0
    while start < len(texts):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _PIECE, side="right")), start + 1)
        if lengths[start] < _LONGEST:
            yield start, _units(texts[start:stop], lengths[start:stop])
        else:
            stop = start + 1
            text = texts[start]
            for at in range(0, max(len(text) - overlap, 1), _LONGEST - 1 - overlap):
                part = text[at : at + _LONGEST - 1]
                yield start, _units(pl.Series([part]), np.array([len(part)]))
        start = stop


def ngrams(texts: pl.Series, n: int) -> tuple[Hashes, Ints]:
    """Hashes of all n-grams of units of each text, in order, and offsets: those of text i are hashes[offsets[i] : offsets[i + 1]].

    A text of fewer than n units has one n-gram, all its units; one without any has none.
    """
    return ngrams_of(texts, [n])[0]


def ngrams_of(texts: pl.Series, sizes: Sequence[int]) -> list[tuple[Hashes, Ints]]:
    """The n-grams for several n, see ngrams, in one walk."""
    hashes: list[list[Hashes]] = [[np.empty(0, np.uint64)] for _ in sizes]
    counts = np.zeros((len(sizes), len(texts)), np.int64)
    for number, units in pieces(texts, overlap=min(_OVERLAP, _LONGEST // 2)):
        for i, n in enumerate(sizes):
            found, offsets = units.ngrams(n)
            hashes[i].append(found)
            counts[i, number : number + len(units)] += np.diff(offsets)
    return [(np.concatenate(found), np.concatenate([[0], np.cumsum(count)])) for found, count in zip(hashes, counts, strict=True)]
