"""The three kinds of rule: an edit, a measure with bounds, and duplicates."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

__all__ = [
    "LANGUAGE",
    "TEXT",
    "Bound",
    "ByLanguage",
    "Corpus",
    "Duplicates",
    "Edit",
    "Measure",
    "Memory",
    "Rule",
    "Surveyor",
    "column",
    "said",
]

TEXT = pl.col("text")

_IS_CHINESE = (pl.col("han") > 0) & (pl.col("han") >= 0.3 * pl.col("letters"))
LANGUAGE = pl.when(_IS_CHINESE).then(pl.lit("zh")).otherwise(pl.lit("en"))
"""Which bound applies: zh where three letters in ten or more are Han characters, en for all other text. Reads facts."""


def column(name: str) -> pl.Expr:
    """A column that came with the documents, for a measure that names it in `columns`: it clashes with no fact of that name."""
    return pl.col(f"column {name}")


def in_language(language: str) -> pl.Expr:
    """Whether a document is in this language, see LANGUAGE."""
    return _IS_CHINESE if language == "zh" else ~_IS_CHINESE


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
    told_by: ClassVar[str | None] = None
    """The parameter that tells two rules of this name apart in the ledger, e.g. "n": duplicate_ngrams 5."""

    on_samples: ClassVar[bool] = True
    """Whether it can judge samples, which arrive one by one."""

    preset: SkipJsonSchema[str | None] = None
    """which preset brought the rule; set where a preset is unfolded"""

    def reads(self) -> list[Path]:
        """Files that it needs beside the documents."""
        return []

    @classmethod
    def summary(cls) -> str:
        """The rule's first docstring line, for the JSON Schema and the docs."""
        return (cls.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Corpus:
    """What a surveyor may look at when all batches have been surveyed; row numbers run over all frames, in order."""

    surveys: Sequence[Path]  # an Arrow file for each batch
    frames: Callable[[], Iterator[pl.DataFrame]]  # the documents themselves, for those few that need another look
    folder: Path | None = None  # room for temporary files

    def column(self, name: str) -> pl.Series:
        """One column of all surveys."""
        return pl.concat([pl.read_ipc(path, columns=[name]) for path in self.surveys], rechunk=True)[name]


class Surveyor(ABC):
    """A rule that must have seen all documents before it can judge one."""

    @abstractmethod
    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        """What must be remembered of a batch."""

    @abstractmethod
    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        """What all surveys together say; each kind of rule has its own columns."""

    def by(self, finding: pl.DataFrame) -> pl.Expr:
        """An edit's text or a measure's value, given what `conclude` found."""
        raise NotImplementedError


class Edit(Rule):
    """Text into text."""

    @abstractmethod
    def text(self) -> pl.Expr:
        """The new text of each document, from the column `text`; never null and, where it can be, stable when applied twice."""


class Measure(Rule):
    """A document into a number, with bounds."""

    scale: ClassVar[Literal["share", "count", "ratio"]] = "share"
    """What the numbers are like, for histograms: 0 to 1, whole numbers of any size, or small numbers."""

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
        """The number for each document, from facts (see facts.py) or the column `text`."""

    def columns(self) -> list[str]:
        """Columns of the documents that its expressions read beside text, through `column`."""
        return []

    def detail(self) -> pl.Expr | None:
        """What it found in a document, in words for the ledger; None where the value says all. Only asked of what it drops."""
        return None

    def counters(self) -> dict[str, Any]:
        """Columns that its expression reads beside facts and text, and the function of Units that counts each (see facts.py)."""
        return {}

    def bounds(self) -> list[tuple[str, float, str | None]]:
        """Each bound as (min or max, limit, language or None)."""
        found: list[tuple[str, float, str | None]] = []
        for word, bound in (("min", self.min), ("max", self.max)):
            limits = dict(bound) if isinstance(bound, ByLanguage) else {None: bound}
            found += [(word, limit, language) for language, limit in limits.items() if limit is not None]
        return found

    def broken_bound(self, value: pl.Expr) -> pl.Expr:
        """The bound that a value breaks, as text such as "min 50", or null where it keeps them all."""
        broken: pl.Expr = pl.lit(None, dtype=pl.String)
        for word, limit, language in reversed(self.bounds()):  # min is said first where both are broken
            outside = value < limit if word == "min" else value > limit
            if language is not None:
                outside = outside & in_language(language)
            broken = pl.when(outside).then(pl.lit(said(word, limit, language))).otherwise(broken)
        return broken


def said(word: str, limit: float, language: str | None) -> str:
    """A bound as the ledger says it: "min 50 (en)"."""
    return f"{word} {limit:g}" + (f" ({language})" if language else "")


Memory = Callable[[pl.DataFrame], pl.DataFrame]
"""Documents, batch after batch, into the columns keeper and similarity: what each repeats of those that came before it."""


class Duplicates(Rule, Surveyor):
    """A document into the document that it repeats.

    `conclude` gives a row for each document that repeats another: row (its number), keeper (the id of the document that it
    repeats) and similarity (0 to 1), sorted by row.
    """

    clusters: ClassVar[bool] = False
    """Whether documents that stay get the column `cluster`, also where the repeats go."""
    inside: ClassVar[bool] = True
    """Whether the keeper is a document of the corpus."""

    drop: bool = Field(True)
    """take the repeats out; false leaves them in, on record in the ledger"""

    @abstractmethod
    def memory(self) -> Memory:
        """For documents that come one after the other and cannot be taken back: the first stays."""
