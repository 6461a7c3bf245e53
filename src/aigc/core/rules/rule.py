"""The three kinds of rule: an edit, a measure with bounds, and duplicates."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Discriminator, Tag, model_validator

__all__ = ["LANGUAGE", "TEXT", "Bound", "ByLanguage", "Duplicates", "Edit", "Measure", "Rule"]

TEXT = pl.col("text")

_LETTERS = TEXT.str.count_matches(r"\p{L}")
LANGUAGE = pl.when(TEXT.str.count_matches(r"\p{Han}") >= 0.3 * _LETTERS).then(pl.lit("zh")).otherwise(pl.lit("en"))
"""Which bound applies: zh where three letters in ten or more are Han characters, en for all other text."""


class ByLanguage(BaseModel):
    """A bound that differs by language; a language that is not named has no bound."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    en: float | None = None
    zh: float | None = None


Bound = Annotated[
    Annotated[float, Tag("number")] | Annotated[ByLanguage, Tag("by language")],
    Discriminator(lambda value: "by language" if isinstance(value, dict | BaseModel) else "number"),
]
"""One number, or one by language: `{en: 50, zh: 80}`."""


class Rule(BaseModel, ABC):
    """What the three kinds share: parameters are checked when the project file is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    shorthand: ClassVar[str | None] = None
    """The parameter that a bare value sets: `redact: [email]` for `redact: {kinds: [email]}`."""

    @classmethod
    def summary(cls) -> str:
        """The rule's first docstring line, for the JSON Schema and the docs."""
        return (cls.__doc__ or "").strip().split("\n")[0]


class Edit(Rule):
    """Text into text."""

    @abstractmethod
    def text(self) -> pl.Expr:
        """The new text of each document, from the column `text`; never null and, where it can be, stable when applied twice."""


class Measure(Rule):
    """A document into a number, with bounds."""

    min: Bound | None = None
    """the least that is kept"""
    max: Bound | None = None
    """the most that is kept"""

    @model_validator(mode="after")
    def _has_order(self) -> "Measure":
        for language in ("en", "zh"):
            least, most = (getattr(bound, language) if isinstance(bound, ByLanguage) else bound for bound in (self.min, self.max))
            if least is not None and most is not None and least > most:
                raise ValueError(f"min {least:g} is above max {most:g}: nothing could be kept")
        return self

    @abstractmethod
    def value(self) -> pl.Expr:
        """The number for each document, from the column `text`."""

    def broken_bound(self, value: pl.Expr) -> pl.Expr:
        """The bound that a value breaks, as text such as "min 50", or null where it keeps them all."""
        broken: pl.Expr = pl.lit(None, dtype=pl.String)
        for word, bound in (("max", self.max), ("min", self.min)):  # min is said first where both are broken
            if bound is None:
                continue
            limits = dict(bound) if isinstance(bound, ByLanguage) else {None: bound}
            for language, limit in limits.items():
                if limit is None:
                    continue
                outside = value < limit if word == "min" else value > limit
                if language is not None:
                    outside = outside & (pl.lit(language) == LANGUAGE)
                name = f"{word} {limit:g}" + (f" ({language})" if language else "")
                broken = pl.when(outside).then(pl.lit(name)).otherwise(broken)
        return broken


class Duplicates(Rule):
    """A document into the document that it repeats: two documents with the same key are one."""

    @abstractmethod
    def key(self) -> pl.Expr:
        """A 16-byte key for each document, from the column `text`; equal keys mean repeated documents."""
