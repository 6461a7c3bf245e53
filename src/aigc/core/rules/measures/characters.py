"""Measures of characters: how many there are, and the share of each class."""

from typing import ClassVar, Literal

import polars as pl

from aigc.core.rules.rule import Measure

__all__ = ["AlphanumericShare", "Characters", "DigitShare", "HanShare", "PunctuationShare", "SymbolShare", "UpperShare"]


def share(part: str, whole: str = "characters") -> pl.Expr:
    """A fact by another, 0 where the other is 0."""
    return pl.col(part) / pl.col(whole).clip(lower_bound=1)


class Characters(Measure):
    """Characters that are not white space."""

    scale: ClassVar[Literal["share", "count", "ratio"]] = "count"

    def value(self) -> pl.Expr:
        return pl.col("characters")


class AlphanumericShare(Measure):
    """Share of characters that are letters (of any script) or digits."""

    def value(self) -> pl.Expr:
        return (pl.col("letters") + pl.col("digits")) / pl.col("characters").clip(lower_bound=1)


class DigitShare(Measure):
    """Share of characters that are digits or other numbers."""

    def value(self) -> pl.Expr:
        return share("digits")


class HanShare(Measure):
    """Share of characters that are Chinese (kana counts too)."""

    def value(self) -> pl.Expr:
        return share("han")


class PunctuationShare(Measure):
    """Share of characters that are punctuation of any language."""

    def value(self) -> pl.Expr:
        return share("punctuation")


class SymbolShare(Measure):
    """Share of characters that are neither letters, digits nor the punctuation of prose in either language."""

    def value(self) -> pl.Expr:
        return share("symbols")


class UpperShare(Measure):
    """Share of letters that are upper case."""

    def value(self) -> pl.Expr:
        return share("upper", "letters")
