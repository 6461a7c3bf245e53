"""Texts into the numbers that measures are made of: counts of characters, words, lines, sentences and repeated n-grams.

A measure is an expression over these columns; only the groups that some measure asks for are counted, all in one walk over a batch.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules import repetition
from aigc.core.rules.alphabet import among
from aigc.core.rules.units import COMMON, DIGIT, HAN, LETTER, MARK, PUNCTUATION, SPACE, UPPER, Ints, Units, pieces

__all__ = ["FACTS", "Counter", "facts"]

Numbers = dict[str, npt.NDArray[Any]]
Counter = Callable[[Units], npt.NDArray[np.int64]]
"""Units into a number for each document."""


_TERMINAL = ".!?\"'。！？…”’」』"  # C4 (Raffel et al. 2020) and the Chinese marks
_BULLETS = "•‣◦⁃·●○■□▪▫►▶*-–—"  # as first character of a line, before a space where it is ASCII
_SHORT_LINE = 30  # characters, FineWeb (Penedo et al. 2024)


def _per_document(units: Units, values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Sums over the code points of each document; the line break behind it counts as well."""
    return np.add.reduceat(values, units.borders[:-1], dtype=np.int64)


def _at(units: Units, places: Ints) -> npt.NDArray[np.int64]:
    """How many of these places (sorted) each document has."""
    return np.diff(np.searchsorted(places, units.borders))


_LANES = [(LETTER, DIGIT, UPPER), (HAN, PUNCTUATION, SPACE)]
_LANE_NAMES = [("letters", "digits", "upper"), ("han", "punctuation", "_spaces")]


def _lane_table(flags: tuple[np.uint8, ...]) -> npt.NDArray[np.uint64]:
    """For each combination of flags three counters of 21 bits: a piece has fewer than 2^20 code points."""
    combos = np.arange(256, dtype=np.uint8)
    return sum(
        (((combos & flag) != 0).astype(np.uint64) << np.uint64(21 * i) for i, flag in enumerate(flags)),
        start=np.zeros(256, np.uint64),
    )


def _characters(units: Units) -> Numbers:
    found: Numbers = {}
    for flags, names in zip(_LANES, _LANE_NAMES, strict=True):
        lanes = np.add.reduceat(_lane_table(flags)[units.classes], units.borders[:-1])
        for i, name in enumerate(names):
            found[name] = ((lanes >> np.uint64(21 * i)) & np.uint64(0x1FFFFF)).astype(np.int64)
    length = np.diff(units.borders)
    found["characters"] = length - found.pop("_spaces")  # the break between two documents is a space
    marks = (units.classes & (LETTER | DIGIT | MARK | COMMON | SPACE)) == 0
    found["symbols"] = _per_document(units, marks)
    return found


def _words(units: Units) -> Numbers:
    lengths = units.sizes
    letters = np.concatenate([[0], np.cumsum((units.classes & LETTER) != 0)])
    alphabetic = np.concatenate([[0], np.cumsum(letters[units.ends] > letters[units.starts])])
    digits = np.concatenate([[0], np.cumsum((units.classes & DIGIT) != 0)])
    both = (letters[units.ends] > letters[units.starts]) & (digits[units.ends] > digits[units.starts])
    mixed = np.concatenate([[0], np.cumsum(both)])
    longest = np.zeros(len(units), np.int64)
    filled = np.diff(units.first) > 0
    if filled.any():
        longest[filled] = np.maximum.reduceat(units.ends - units.starts, units.first[:-1][filled])
    return {
        "words": np.diff(units.first),
        "word_characters": lengths[units.first[1:]] - lengths[units.first[:-1]],
        "alphabetic_words": alphabetic[units.first[1:]] - alphabetic[units.first[:-1]],
        "mixed_words": mixed[units.first[1:]] - mixed[units.first[:-1]],
        "longest_word": longest,
    }


def _lines(units: Units) -> Numbers:
    """Lines that are not blank, by how they begin and end; and lines and paragraphs that repeat an earlier one of the document."""
    points = units.points
    breaks = np.flatnonzero(points == 10)
    solid = np.flatnonzero((units.classes & SPACE) == 0)
    last = np.searchsorted(solid, breaks)  # one behind the last character before each break
    first = np.concatenate([[0], last[:-1]])
    blank = first == last
    filled = np.flatnonzero(~blank)
    document = np.searchsorted(units.borders, breaks[filled], side="left") - 1
    start, end = solid[first[filled]], solid[last[filled] - 1]

    def count(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.bincount(document[chosen], minlength=len(units))

    ends_with, begins_with = points[end], points[start]
    ellipsis = (ends_with == ord("…")) | (
        (end - start >= 2) & (ends_with == 46) & (points[np.maximum(end - 1, 0)] == 46) & (points[np.maximum(end - 2, 0)] == 46)
    )
    wide = begins_with > 127
    bullet = among(begins_with, _BULLETS) & (wide | (points[np.minimum(start + 1, len(points) - 1)] == 32))
    found = {
        "lines": np.bincount(document, minlength=len(units)),
        "terminal_lines": count(among(ends_with, _TERMINAL) & ~ellipsis),
        "bullet_lines": count(bullet),
        "ellipsis_lines": count(ellipsis),
        "short_lines": count(end + 1 - start <= _SHORT_LINE),
        "line_characters": np.bincount(document, weights=end + 1 - start, minlength=len(units)).astype(np.int64),
    }
    found |= repetition.repeated_runs(units, start, end + 1, document, "lines", end + 1 - start)
    number = np.cumsum(blank)[filled]  # a paragraph ends where a blank line follows, or the document ends
    new = np.ones(len(filled), bool)
    new[1:] = (number[1:] != number[:-1]) | (document[1:] != document[:-1])
    begin = np.flatnonzero(new)
    stop = np.concatenate([begin[1:], [len(filled)]])[: len(begin)] - 1
    found["paragraphs"] = np.bincount(document[begin], minlength=len(units))
    size = np.append(0, np.cumsum(end + 1 - start))
    sizes = size[stop + 1] - size[begin]
    found |= repetition.repeated_runs(units, start[begin], end[stop] + 1, document[begin], "paragraphs", sizes)
    return found


def _marks(units: Units) -> Numbers:
    """Marks that stand for bad text: '#', ellipses, braces; and sentences."""
    points, classes = units.points, units.classes
    odd = np.flatnonzero((classes & (PUNCTUATION | COMMON)) != 0)
    marks = points[odd]

    def before(steps: int) -> npt.NDArray[np.uint32]:
        return np.where(odd >= steps, points[np.maximum(odd - steps, 0)], 0)

    dots = (marks == 46) & (before(1) == 46) & (before(2) == 46) & (before(3) != 46)
    dots |= (marks == ord("…")) & (before(1) != ord("…"))
    wide = among(marks, "。！？")
    ascii_end = among(marks, ".!?")
    behind = np.minimum(odd + 1, len(points) - 1)
    closed = (classes[behind] & SPACE) != 0
    closed |= among(points[behind], "\"'”’)")
    again = among(points[behind], "。！？.!?")
    return {
        "hashes": _at(units, odd[marks == 35]),
        "ellipses": _at(units, odd[dots]),
        "braces": _at(units, odd[marks == 123]),
        "sentences": _at(units, odd[((wide | (ascii_end & closed)) & ~again)]),
    }


_GROUPS: dict[str, tuple[Callable[[Units], Numbers], tuple[str, ...]]] = {
    "characters": (_characters, ("characters", "letters", "digits", "upper", "han", "punctuation", "symbols")),
    "words": (_words, ("words", "word_characters", "alphabetic_words", "mixed_words", "longest_word")),
    "lines": (
        _lines,
        (
            *("lines", "terminal_lines", "bullet_lines", "ellipsis_lines", "short_lines", "line_characters", "paragraphs"),
            *("repeated_lines", "repeated_lines_characters", "repeated_paragraphs", "repeated_paragraphs_characters"),
        ),
    ),
    "marks": (_marks, ("hashes", "ellipses", "braces", "sentences")),
    "vocabulary": (repetition.vocabulary, ("unique_words", "entropy_sum")),
    "top n-grams": (repetition.top_ngrams, tuple(f"top_{n}gram_characters" for n in (2, 3, 4))),
    "repeated n-grams": (repetition.repeated_ngrams, tuple(f"repeated_{n}gram_characters" for n in range(5, 11))),
}

FACTS = {name: group for group, (_, names) in _GROUPS.items() for name in names}
"""Every column, and the group that counts it."""

_LARGEST = {"longest_word"}  # of the pieces of a long text the largest counts, not the sum


def facts(texts: pl.Series, wanted: Collection[str], more: Mapping[str, Counter] | None = None) -> pl.DataFrame:
    """Count what is wanted, in one walk.

    Args:
        texts: never null.
        wanted: names in FACTS.
        more: other columns, and what counts them.

    Returns:
        one column of numbers for each name, one row for each text. In a text of more than 2^19 characters, what repeats is
        looked for within pieces of that length.
    """
    more = more or {}
    groups = dict.fromkeys(FACTS[name] for name in wanted)
    out = {name: np.zeros(len(texts), np.float64 if name == "entropy_sum" else np.int64) for name in (*wanted, *more)}
    for number, units in pieces(texts) if out else ():
        here = slice(number, number + len(units))
        for group in groups:
            for name, values in _GROUPS[group][0](units).items():
                if name in out:
                    out[name][here] = np.maximum(out[name][here], values) if name in _LARGEST else out[name][here] + values
        for name, counter in more.items():
            out[name][here] = np.maximum(out[name][here], counter(units))  # one and the same may stand in two pieces
    return pl.DataFrame(out) if out else pl.DataFrame({"": texts}).select([])
