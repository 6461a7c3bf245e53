"""Measures of lines, paragraphs and sentences: how they begin and end, and how many there are."""

from typing import ClassVar, Literal

import polars as pl

from aigc.core.rules.measures.characters import share
from aigc.core.rules.rule import Measure

__all__ = [
    "Braces",
    "BulletLines",
    "EllipsisLines",
    "LineBreaksPerWord",
    "Lines",
    "MeanLineLength",
    "Sentences",
    "ShortLines",
    "TerminalLines",
]

Scale = Literal["share", "count", "ratio"]


class Lines(Measure):
    """Lines that are not blank."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return pl.col("lines")


class TerminalLines(Measure):
    """Share of lines that end in a terminal mark, Chinese ones too, but not in an ellipsis. Source: C4, FineWeb."""

    def value(self) -> pl.Expr:
        return share("terminal_lines", "lines")


class BulletLines(Measure):
    """Share of lines that begin with a bullet. Source: Gopher."""

    def value(self) -> pl.Expr:
        return share("bullet_lines", "lines")


class EllipsisLines(Measure):
    """Share of lines that end in an ellipsis. Source: Gopher."""

    def value(self) -> pl.Expr:
        return share("ellipsis_lines", "lines")


class ShortLines(Measure):
    """Share of lines of at most 30 characters. Source: FineWeb."""

    def value(self) -> pl.Expr:
        return share("short_lines", "lines")


class MeanLineLength(Measure):
    """Characters per line that is not blank."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return share("line_characters", "lines")


class LineBreaksPerWord(Measure):
    """Line breaks by words. Source: FineWeb."""

    def value(self) -> pl.Expr:
        return (pl.col("lines") - 1).clip(lower_bound=0) / pl.col("words").clip(lower_bound=1)


class Sentences(Measure):
    """Sentences, by their terminal marks in either language."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return pl.col("sentences")


class Braces(Measure):
    """'{' characters, a sign of code. Source: C4."""

    scale: ClassVar[Scale] = "count"

    def value(self) -> pl.Expr:
        return pl.col("braces")
