"""Measures of fixed phrases: boilerplate that gives a text away."""

import re
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field

from aigc.core.rules.rule import TEXT, Measure

__all__ = ["Phrases"]


class Phrases(Measure):
    """How often some phrases occur, whatever their case."""

    scale: ClassVar[Literal["share", "count", "ratio"]] = "count"
    shorthand: ClassVar[str | None] = "phrases"

    phrases: list[Annotated[str, Field(min_length=1)]] = Field(..., min_length=1)
    """what to count, e.g. [lorem ipsum]"""

    def value(self) -> pl.Expr:
        return TEXT.str.count_matches("(?i)" + "|".join(re.escape(phrase) for phrase in self.phrases)).cast(pl.Float64)
