"""The sections that prepare documents: clean and split."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from aigc.core.rules.table import Rules
from aigc.schema.section import Files, Section, Share, listed

__all__ = ["Clean", "Split"]


class Clean(Section):
    """Raw files into documents, with a ledger of every decision."""

    input: Files
    """files to read: paths, globs, folders, `samples:*` for the bundled corpus, `hub:owner/name`, or `-` for JSON lines on stdin"""
    text_field: str = "text"
    """the column or JSON field that holds the text"""
    id_field: str = "id"
    """the field that names a document; where it is missing, the id is made from the content"""
    encoding: str | None = None
    """of txt, csv, tsv, html and md files; by default it is found, file by file"""
    txt_documents: Literal["file", "paragraph", "line"] = "file"
    """what is a document in a txt file"""
    max_failed: Share = 0.01
    """the share of broken rows above which the run stops"""
    rules: Rules = Field(default=[{"preset": "default"}], validate_default=True)
    """edits, measures with bounds, duplicates and presets, applied in this order; [] for none"""
    warn_share: Share = 0.5
    """a preset that drops more than this share of a language is warned of"""
    engine: Literal["local", "ray"] = "local"
    """who carries the batches: this machine's cores, or a Ray cluster (RAY_ADDRESS, else one that is started here)"""


class Split(Section):
    """Documents into train, validation and test, by a stable hash of their content; what repeats is never separated."""

    validation: Annotated[float, Field(ge=0)] = 0.05
    """documents for validation: a share below 1, or a number of documents"""
    test: Annotated[float, Field(ge=0)] = 0.05
    """documents for the test split: a share below 1, or a number of documents"""
    similarity: Annotated[float, Field(ge=0.5, le=1)] | None = 0.7
    """documents whose 5-grams are this similar (Jaccard) stay together; null looks for copies only"""
    cluster_field: str | None = "cluster"
    """a column that names clusters of near-duplicates; where it is there, no others are searched for; null always searches"""
    group_by: Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])] = []
    """columns whose value must not be in two parts, such as an author; each column by itself; an empty value groups nothing"""
    stratify: str | None = None
    """a column of classes: each has its share in every part, within 1 % or one cluster; a little less stable as a corpus grows"""
    by: str | None = None
    """a column of dates or numbers: the oldest documents are train, the newest test"""
    folds: int | None = Field(None, ge=2, le=100)
    """k-fold: a column `fold` is added, and one fold takes the place of validation, whose own size is not used then"""
    fold: int = Field(0, ge=0)
    """which fold is validation, from 0; run the others with split.fold=1 name=... and so on"""
    keep: Path | None = None
    """the folder of an earlier split: its documents, by id, keep their part"""
    max_leak: Share = 0.0
    """the share of held-out documents with a copy or near-duplicate in train above which the stage fails"""

    @field_validator("validation", "test")
    @classmethod
    def _is_share_or_number(cls, value: float) -> float:
        if value >= 1 and (value == 1 or value != int(value)):
            raise ValueError("a share is less than 1, and a number of documents is whole and 2 or more")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        share = sum(value for value in (self.validation, self.test) if value < 1)
        if share >= 1:
            raise ValueError(f"validation {self.validation:g} + test {self.test:g} leaves nothing to train on")
        for other in ("stratify", "folds", "keep"):
            if self.by is not None and getattr(self, other) is not None:
                raise ValueError(f"by cuts in time, so {other} cannot be had as well; leave one out")
        if self.fold and self.fold >= (self.folds or 0):
            raise ValueError(f"fold {self.fold} needs folds of {self.fold + 1} or more (they are counted from 0)")
        return self
