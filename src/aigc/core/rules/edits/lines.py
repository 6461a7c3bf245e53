"""Lines that are no prose out of a text; and lines that many documents share."""

import re
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.rules.rule import TEXT, Corpus, Edit, Surveyor
from aigc.core.rules.units import pieces

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
        if self.min_words:
            good &= line.str.count_matches(_WORD) >= self.min_words
        if self.without:
            good &= ~line.str.contains("(?i)" + "|".join(map(re.escape, self.without)))
        if self.max_word_length is not None:
            longest = self.max_word_length
            far = lines["line"].str.len_chars() > longest
            over = [any(len(word) > longest for word in text.split()) for text in lines["line"].filter(far)]
            good &= ~pl.lit(pl.repeat(False, len(lines), eager=True).scatter(far.arg_true(), over))
        kept = lines.filter(~line.str.contains(r"\S") | good).group_by("n", maintain_order=True).agg(line.str.join("\n"))
        out = pl.DataFrame({"n": numbers}).join(kept, on="n", how="left", maintain_order="left")
        return out["line"].fill_null("").str.strip_chars("\n").alias(texts.name)


_WORD = r"(?:\p{Han}|[\p{L}\p{N}]+)"


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

    def _without(self, texts: pl.Series, known: np.ndarray) -> pl.Series:
        rows, hashes = _line_hashes(texts, self.min_characters)
        hit = np.unique(rows[np.isin(hashes, known)])
        if not len(hit):
            return texts
        changed = []
        for text in texts.gather(hit):
            lines = text.split("\n")
            numbers, found = _line_hashes(pl.Series(lines), self.min_characters)
            gone = set(numbers[np.isin(found, known)].tolist())
            changed.append("\n".join(line for i, line in enumerate(lines) if i not in gone).strip("\n"))
        return texts.clone().scatter(hit, changed)


def _line_hashes(texts: pl.Series, least: int) -> tuple[np.ndarray, np.ndarray]:
    """The text number and the hash of each line of at least so many characters."""
    rows, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for number, units in pieces(texts):
        breaks = np.flatnonzero(units.points == 10)
        starts = np.concatenate([[0], breaks[:-1] + 1])
        long = breaks - starts >= least
        starts, ends = starts[long], breaks[long]
        hashes.append(units.of_points.runs(starts, ends))
        rows.append(number + np.searchsorted(units.borders, ends, side="left") - 1)
    return np.concatenate(rows), np.concatenate(hashes)
