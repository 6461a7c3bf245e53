"""A measure's value into its distance from what is usual in the corpus, within each language."""

from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from aigc.core.rules.facts import FACTS, facts
from aigc.core.rules.measures import characters, lines, repetition, words
from aigc.core.rules.rule import LANGUAGE, Corpus, Measure, Surveyor, in_language

__all__ = ["Outlier"]

_MEASURES: dict[str, Measure] = {
    "characters": characters.Characters(),
    "alphanumeric_share": characters.AlphanumericShare(),
    "digit_share": characters.DigitShare(),
    "punctuation_share": characters.PunctuationShare(),
    "symbol_share": characters.SymbolShare(),
    "upper_share": characters.UpperShare(),
    "words": words.Words(),
    "mean_word_length": words.MeanWordLength(),
    "longest_word": words.LongestWord(),
    "alphabetic_words": words.AlphabeticWords(),
    "unique_words": words.UniqueWords(),
    "word_entropy": words.WordEntropy(),
    "lines": lines.Lines(),
    "mean_line_length": lines.MeanLineLength(),
    "terminal_lines": lines.TerminalLines(),
    "short_lines": lines.ShortLines(),
    "sentences": lines.Sentences(),
    "duplicate_line_characters": repetition.DuplicateLineCharacters(),
}


class Outlier(Measure, Surveyor):
    """How far a measure's value lies from the median of the corpus, within the document's language, as a robust z-score.

    |value - median| / (1.4826 MAD); where more than half of the values are equal, by the mean absolute deviation times 1.2533.
    Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993.
    """

    scale: ClassVar[Literal["share", "count", "ratio"]] = "ratio"
    told_by: ClassVar[str | None] = "of"
    on_samples: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = "of"

    of: str = Field(...)
    """the measure, e.g. mean_word_length"""
    z: float = Field(5, gt=0)
    """the largest distance that is kept"""

    @field_validator("of")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in _MEASURES:
            raise ValueError(f"cannot look for outliers of {value!r}; known: {', '.join(_MEASURES)}")
        return value

    @model_validator(mode="after")
    def _has_no_other_bound(self) -> Self:
        if self.min is not None or self.max is not None:
            raise ValueError("the bound of an outlier is z; min and max say nothing here")
        return self

    def bounds(self) -> list[tuple[str, float, str | None]]:
        return [("max", self.z, None)]

    def value(self) -> pl.Expr:
        raise NotImplementedError("what is usual is known only of a corpus")

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        value = _MEASURES[self.of].value()
        needed = set(value.meta.root_names()) & set(FACTS)
        counted = facts(documents["text"], sorted(needed | {"han", "letters"}))
        return counted.select(LANGUAGE.alias("language"), value.cast(pl.Float64).alias("value"))

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        values = pl.DataFrame({"language": corpus.column("language"), "value": corpus.column("value")})
        centred = values.with_columns(median=pl.col("value").median().over("language"))
        distance = (pl.col("value") - pl.col("median")).abs()
        return (
            centred.group_by("language")
            .agg(pl.col("median").first(), mad=distance.median() * 1.4826, mean=distance.mean() * 1.2533)
            .select("language", "median", scale=pl.when(pl.col("mad") > 0).then("mad").otherwise("mean"))
            .sort("language")
        )

    def by(self, finding: pl.DataFrame) -> pl.Expr:
        out: pl.Expr = 0.0 * pl.col("letters")
        for language, median, scale in finding.iter_rows():
            distance = (_MEASURES[self.of].value() - median).abs() / scale if scale else 0.0 * pl.col("letters")
            out = pl.when(in_language(language)).then(distance).otherwise(out)
        return out
