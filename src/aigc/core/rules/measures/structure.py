"""A measure of what is wrong with the structure of a text."""

from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from aigc.core.rules.lint import KINDS, Kind, Lint
from aigc.core.rules.rule import TEXT, Measure, column
from aigc.core.rules.structure import lints

__all__ = ["StructureFaults"]


class StructureFaults(Measure):
    """Faults of structure: headings out of order, enumerations that do not end, open marks, a text that breaks off.

    Markdown and plain text, Chinese and English. With `title`, numbers and names that the title and the text state differently;
    without it, the first line is the title where it is a heading of level 1.
    """

    scale: ClassVar[Literal["share", "count", "ratio"]] = "count"
    shorthand: ClassVar[str | None] = "kinds"

    kinds: list[Kind] = Field(list(KINDS), min_length=1)
    """which count"""
    title: str | None = None
    """the column that holds the title"""

    def columns(self) -> list[str]:
        return [] if self.title is None else [self.title]

    def value(self) -> pl.Expr:
        return self._read(lambda found: float(len(found)), pl.Float64)

    def detail(self) -> pl.Expr:
        return self._read(lambda found: "; ".join(one.message for one in found), pl.String)

    def _read(self, told: Any, dtype: type[pl.DataType]) -> pl.Expr:
        def rows(documents: pl.Series) -> pl.Series:
            return pl.Series([told(self._lints(*row)) for row in documents.struct.unnest().iter_rows()], dtype=dtype)

        title = pl.lit(None, dtype=pl.String) if self.title is None else column(self.title).cast(pl.String)
        return pl.struct(TEXT, title.alias("title")).map_batches(rows, return_dtype=dtype)

    def _lints(self, text: str, title: str | None) -> list[Lint]:
        return lints(text, title, kinds=self.kinds)
