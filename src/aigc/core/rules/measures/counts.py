"""Measures: a document into a number that bounds can judge."""

import polars as pl

from aigc.core.rules.rule import TEXT, Measure

__all__ = ["Characters", "MeanWordLength", "StopWords", "SymbolShare", "Words"]

_WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{M}\p{N}&&[^\p{Han}\p{Hiragana}\p{Katakana}]]+(?:['’-][\p{L}\p{N}]+)*"
_WORDS = TEXT.str.count_matches(_WORD)
_CHARACTERS = TEXT.str.count_matches(r"\S")


class Characters(Measure):
    """Characters that are not white space."""

    def value(self) -> pl.Expr:
        return _CHARACTERS


class Words(Measure):
    """Words: runs of letters and digits; each Han or kana character counts as one, so no spaces are assumed."""

    def value(self) -> pl.Expr:
        return _WORDS


class MeanWordLength(Measure):
    """Letters and digits per word. Gopher keeps 3 to 10 for English; in Chinese text it is near 1."""

    def value(self) -> pl.Expr:
        return TEXT.str.count_matches(r"[\p{L}\p{N}]") / _WORDS.clip(lower_bound=1)


class SymbolShare(Measure):
    """Share of characters that are neither letters, digits nor common punctuation of either language."""

    def value(self) -> pl.Expr:
        symbols = TEXT.str.count_matches(r"""[^\s\p{L}\p{M}\p{N}.,;:!?'"()—–…“”‘’。，、；：！？（）《》「」『』·-]""")
        return symbols / _CHARACTERS.clip(lower_bound=1)


class StopWords(Measure):
    """Stop words: the eight of Gopher (Rae et al. 2021) and ten more for English, and common Chinese function characters."""

    def value(self) -> pl.Expr:
        english = r"(?i)\b(?:the|be|to|of|and|that|have|with|a|an|in|is|was|it|for|on|at|he|she|i|you|we|they|my|but)\b"
        chinese = r"[的了是在和一不我有这为也就人被与他她你们]"
        return TEXT.str.count_matches(english) + TEXT.str.count_matches(chinese)
