"""Lines that are no prose out of a text; and lines that many documents share."""

import re
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.rules.facts import facts
from aigc.core.rules.rule import TEXT, Corpus, Edit, Surveyor
from aigc.core.rules.units import Hashes, Ints, distinct, pieces

__all__ = ["DropRepeatedLines", "KeepLines"]

_TERMINAL = r"""[.!?"'。！？…”’」』]\s*$"""
_ELLIPSIS = r"(?:\.\.\.|…)\s*$"


class KeepLines(Edit):
    """Keep the lines that look like prose. Source: C4 (Raffel et al. 2020), section 2.2; Chinese terminal marks count too."""

    terminal: bool = False
    """the line must end in a terminal mark or a quotation mark, and not in an ellipsis"""
    min_words: int = Field(0, ge=0)
    """the least number of words or Han characters"""
    max_word_length: int | None = Field(None, ge=1)
    """no word is longer"""
    without: list[str] = Field([])
    """phrases that no kept line has, whatever their case"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(self._kept, return_dtype=pl.String)

    def _kept(self, texts: pl.Series) -> pl.Series:
        numbers = pl.int_range(len(texts), eager=True)
        lines = pl.DataFrame({"n": numbers, "line": texts.str.split("\n")}).explode("line")
        line = pl.col("line")
        good = pl.lit(True)
        if self.terminal:
            good &= line.str.contains(_TERMINAL) & ~line.str.contains(_ELLIPSIS)
        if self.min_words or self.max_word_length is not None:
            words = facts(lines["line"], ("words", "longest_word"))
            good &= pl.lit(words["words"] >= self.min_words)
            if self.max_word_length is not None:
                good &= pl.lit(words["longest_word"] <= self.max_word_length)
        if self.without:
            good &= ~line.str.contains("(?i)" + "|".join(map(re.escape, self.without)))
        kept = lines.filter(~line.str.contains(r"\S") | good).group_by("n", maintain_order=True).agg(line.str.join("\n"))
        out = pl.DataFrame({"n": numbers}).join(kept, on="n", how="left", maintain_order="left")
        return out["line"].fill_null("").str.strip_chars("\n").alias(texts.name)


class DropRepeatedLines(Edit, Surveyor):
    """Take out lines that stand in many documents: menus, notices, bylines. The corpus decides which they are."""

    on_samples: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = "documents"

    documents: int = Field(10, ge=2)
    """the least number of documents that share the line"""
    min_characters: int = Field(5, ge=1)
    """shorter lines are left alone"""

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        rows, hashes = _line_hashes(documents["text"], self.min_characters)
        return pl.DataFrame({"row": rows, "line": hashes}).unique(maintain_order=True).select("line")

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        lines = corpus.column("line")
        counts = lines.value_counts(name="documents").filter(pl.col("documents") >= self.documents)
        return counts.select("line").sort("line")

    def text(self) -> pl.Expr:
        raise NotImplementedError("which lines repeat is known only of a corpus")

    def by(self, finding: pl.DataFrame) -> pl.Expr:
        known = finding["line"].to_numpy()
        return TEXT.map_batches(lambda texts: self._without(texts, known), return_dtype=pl.String)

    def _without(self, texts: pl.Series, known: Hashes) -> pl.Series:
        rows, hashes = _line_hashes(texts, self.min_characters)
        hit = distinct(rows[np.isin(hashes, known)])
        if not len(hit):
            return texts
        changed = []
        for text in texts.gather(hit):
            lines = text.split("\n")
            numbers, found = _line_hashes(pl.Series(lines), self.min_characters)
            gone = set(numbers[np.isin(found, known)].tolist())
            changed.append("\n".join(line for i, line in enumerate(lines) if i not in gone).strip("\n"))
        return texts.clone().scatter(hit, changed)


def _line_hashes(texts: pl.Series, least: int) -> tuple[Ints, Hashes]:
    """The text number and the hash of each line of at least so many characters, white space at its ends aside."""
    rows, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for number, units in pieces(texts):
        starts, ends = units.lines()
        long = ends - starts >= least
        starts, ends = starts[long], ends[long]
        hashes.append(units.of_points.runs(starts, ends))
        rows.append(number + np.searchsorted(units.borders, ends, side="left") - 1)
    return np.concatenate(rows), np.concatenate(hashes)
