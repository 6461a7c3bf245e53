"""Measures: a document into how hard it is to read."""

from functools import cache
from typing import ClassVar, Literal

import polars as pl

from aigc.core.rules.rule import LANGUAGE, TEXT, Measure

__all__ = ["Readability"]


class Readability(Measure):
    """How hard a text is to read: years of school for English (Flesch-Kincaid), sentence length and rare characters for Chinese.

    English: 0.39 words per sentence + 11.8 syllables per word - 15.59 (Kincaid et al. 1975): 8 is plain, 12 is demanding; syllables
    are counted by the runs of vowels less a silent e. Chinese: characters per sentence + 100 times the share of Han characters
    beyond the first level of GB 2312 (3,755) and of Big5 (5,401). That is the shape of LIX (Björnsson 1968) with characters in the
    place of words and rare ones in the place of long words; the published formulas for Chinese need lists of words or counts of
    strokes. It is ours, is no grade, and has no norms: 25 is plain, 50 is demanding. Bound each language on its own:
    `max: {en: 12, zh: 50}`. A text without letters has 0.
    """

    scale: ClassVar[Literal["share", "count", "ratio"]] = "ratio"

    def value(self) -> pl.Expr:
        return pl.when(LANGUAGE == "zh").then(_chinese()).otherwise(_ENGLISH)


_WORD = r"[A-Za-z]+(?:['’][A-Za-z]+)*"
_VOWELS = r"(?i)[aeiouy]+"
_SILENT = r"(?i)[aeiouy][^\W\d_aeiouy]*[^\W\d_aeiouyl]e(?:s|d)?\b|[aeiouy]le(?:s|d)?\b"  # made, times, whole; but not table
_HEARD = r"(?i)(?:[td]ed|(?:[sxz]|ch|sh|[cg])es)\b"  # wanted, houses, changes
_LONE = r"(?i)\b[^\W\d_aeiouy]+\b"  # no vowel: spelled out or a sound of its own, one syllable
_SENTENCES = pl.col("sentences").clip(lower_bound=1)


def _count(pattern: str) -> pl.Expr:
    return TEXT.str.count_matches(pattern).cast(pl.Float64)


_WORDS = _count(_WORD)
_SYLLABLES = pl.max_horizontal(_count(_VOWELS) - _count(_SILENT) + _count(_HEARD) + _count(_LONE), _WORDS)
_ENGLISH = (
    pl.when(_WORDS > 0)
    .then(0.39 * _WORDS / _SENTENCES + 11.8 * _SYLLABLES / pl.max_horizontal(_WORDS, pl.lit(1.0)) - 15.59)
    .otherwise(0.0)
)


@cache
def _common() -> str:
    """The first levels of GB 2312 and of Big5."""
    simplified = bytes(byte for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) for byte in (row, cell))
    cells = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    traditional = bytes(byte for row in range(0xA4, 0xC7) for cell in cells for byte in (row, cell))
    both = simplified.decode("gb2312", "ignore") + traditional.decode("big5", "ignore")
    return "".join(sorted({char for char in both if "\u4e00" <= char <= "\u9fff"}))


def _chinese() -> pl.Expr:
    rare = _count(rf"[\p{{Han}}--[{_common()}]]")
    return pl.col("words") / _SENTENCES + 100 * rare / pl.col("han").clip(lower_bound=1)
