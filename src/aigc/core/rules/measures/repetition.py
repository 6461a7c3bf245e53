"""Measures of repetition inside a document. Source: Gopher (Rae et al. 2021), table A1; only true repeats count."""

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from aigc.core.rules.measures.characters import share
from aigc.core.rules.rule import Measure

__all__ = [
    "DuplicateLineCharacters",
    "DuplicateLines",
    "DuplicateNgrams",
    "DuplicateParagraphCharacters",
    "DuplicateParagraphs",
    "TopNgram",
]


class DuplicateLines(Measure):
    """Share of lines that stood in the document before."""

    def value(self) -> pl.Expr:
        return share("repeated_lines", "lines")


class DuplicateLineCharacters(Measure):
    """Share of characters in lines that stood in the document before."""

    def value(self) -> pl.Expr:
        return share("repeated_lines_characters", "line_characters")


class DuplicateParagraphs(Measure):
    """Share of paragraphs that stood in the document before."""

    def value(self) -> pl.Expr:
        return share("repeated_paragraphs", "paragraphs")


class DuplicateParagraphCharacters(Measure):
    """Share of characters in paragraphs that stood in the document before."""

    def value(self) -> pl.Expr:
        return share("repeated_paragraphs_characters", "line_characters")


class TopNgram(Measure):
    """Share of the words' characters that the n-gram takes which takes most of them, if it occurs twice or more."""

    told_by: ClassVar[str | None] = "n"

    n: Literal[2, 3, 4] = Field(...)
    """words of the n-gram"""

    def value(self) -> pl.Expr:
        return share(f"top_{self.n}gram_characters", "word_characters").clip(upper_bound=1)


class DuplicateNgrams(Measure):
    """Share of the words' characters in n-grams that stood in the document before, no character counted twice."""

    told_by: ClassVar[str | None] = "n"

    n: int = Field(..., ge=5, le=10)
    """words of the n-grams"""

    def value(self) -> pl.Expr:
        return share(f"repeated_{self.n}gram_characters", "word_characters")
