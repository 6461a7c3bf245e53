"""Measures of words: how many, how long, how varied. A Han or kana character is a word, so no spaces are assumed."""

from functools import lru_cache, partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from aigc.core.rules.measures.characters import share
from aigc.core.rules.rule import Measure
from aigc.core.rules.units import Units, distinct, pieces

__all__ = [
    "AlphabeticWords",
    "EllipsesPerWord",
    "HashesPerWord",
    "LongestWord",
    "MeanWordLength",
    "MixedWords",
    "StopWords",
    "UniqueWords",
    "WordEntropy",
    "Words",
]

Scale = Literal["share", "count", "ratio"]


class Words(Measure):
    """Words: runs of letters and digits; each Han or kana character counts as one."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return pl.col("words")


class MeanWordLength(Measure):
    """Characters per word. Gopher keeps 3 to 10 for English; in Chinese text it is near 1."""

    scale: ClassVar[Scale] = "ratio"

    def value(self) -> pl.Expr:
        return share("word_characters", "words")


class LongestWord(Measure):
    """Characters of the longest word."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return pl.col("longest_word")


class AlphabeticWords(Measure):
    """Share of words that hold a letter."""

    def value(self) -> pl.Expr:
        return share("alphabetic_words", "words")


class MixedWords(Measure):
    """Share of words that hold both letters and digits: few in prose, most in keys and in noise."""

    def value(self) -> pl.Expr:
        return share("mixed_words", "words")


class UniqueWords(Measure):
    """Different words by all words."""

    def value(self) -> pl.Expr:
        return share("unique_words", "words")


class WordEntropy(Measure):
    """Entropy of the words of a document, in nats. Source: MAP-NEO (Zhang et al. 2024), after RedPajama-V2."""

    scale: ClassVar[Scale] = "ratio"

    def value(self) -> pl.Expr:
        words = pl.col("words").clip(lower_bound=1)
        return (words.log() - pl.col("entropy_sum") / words).round(9).abs()  # the order of a sum shows in the last bits


class HashesPerWord(Measure):
    """'#' characters by words. Source: Gopher (Rae et al. 2021)."""

    def value(self) -> pl.Expr:
        return share("hashes", "words")


class EllipsesPerWord(Measure):
    """Ellipses ('...' or '…') by words. Source: Gopher (Rae et al. 2021)."""

    def value(self) -> pl.Expr:
        return share("ellipses", "words")


_ENGLISH = "the be to of and that have with a an in is was it for on at he she i you we they my but".split()
_CHINESE = "的 了 是 在 和 一 不 我 有 这 为 也 就 人 被 与 他 她 你 们".split()


class StopWords(Measure):
    """Different stop words of a list; by default the commonest of English and of Chinese together. Source of the idea: Gopher."""

    scale: ClassVar[Scale] = "count"
    shorthand: ClassVar[str | None] = "words"

    words: list[str] = Field([*_ENGLISH, *_CHINESE], min_length=1)
    """single words or Han characters"""

    def value(self) -> pl.Expr:
        return pl.col(self._column)

    @property
    def _column(self) -> str:
        return f"stop words: {' '.join(self.words)}"

    def counters(self) -> dict[str, Any]:
        return {self._column: partial(_different, words=tuple(self.words))}


@lru_cache(maxsize=16)
def _hashes(words: tuple[str, ...]) -> npt.NDArray[np.uint64]:
    return distinct(np.concatenate([units.hashes for _, units in pieces(pl.Series(words, dtype=pl.String))]))


def _different(units: Units, words: tuple[str, ...]) -> npt.NDArray[np.int64]:
    wanted = _hashes(words)
    if not len(wanted):
        return np.zeros(len(units), np.int64)
    place = np.searchsorted(wanted, units.hashes)
    place[place == len(wanted)] = 0
    hit = np.flatnonzero(wanted[place] == units.hashes)
    seen = np.zeros((len(units), len(wanted)), bool)
    seen[units.document[hit], place[hit]] = True
    return np.asarray(np.count_nonzero(seen, axis=1), np.int64)
