"""Rules against copies: measures of what a text shares with the documents that a model was trained on, and near-copies of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from aigc.core.rules.copies.index import FACTS
from aigc.core.rules.copies.lookup import Copied, Copies, open_copies
from aigc.core.rules.duplicates.outside import FOUND, Outside
from aigc.core.rules.rule import TEXT, Bound, Measure, Rule
from aigc.errors import AigcError

__all__ = ["CopiedRun", "CopiedShare", "NearCopies", "with_index"]


def with_index(rules: Sequence[Rule], folder: Path | None) -> tuple[list[Rule], list[Rule]]:
    """The rules that apply, and those that cannot because there is no index and they are optional.

    Args:
        folder: the index for those that look for copies and name none; None where there is none.
    """
    found: list[Rule] = []
    left_out: list[Rule] = []
    for rule in rules:
        if not isinstance(rule, CopiedRun | CopiedShare | NearCopies) or rule.index is not None:
            found.append(rule)
        elif folder is not None:
            found.append(rule.model_copy(update={"index": str(folder)}))
        else:
            (left_out if rule.optional else found).append(rule)
    return found, left_out


def _reads(index: str | None) -> list[Path]:
    return [] if index is None else [Path(index).expanduser() / FACTS]


def _copies(index: str | None, name: str) -> Copies:
    if index is None:
        raise AigcError(f"{name}: no index of training documents is at hand; name one: `index: runs/NAME/finetune/copies`")
    return open_copies(Path(index).expanduser())


class _Copying(Measure):
    index: str | None = None
    """the index of the training documents, a folder; by default that of the model that generates"""
    optional: bool = False
    """where the model has no index, as one from the hub, do without this rule and warn, instead of failing"""

    def reads(self) -> list[Path]:
        return _reads(self.index)

    def _told(self, name: str, told: Callable[[Copied], float | str], dtype: type[pl.DataType]) -> pl.Expr:
        copies = _copies(self.index, name)  # here, so that a wrong folder is told before the first batch
        return TEXT.map_batches(lambda texts: pl.Series([told(copies.of(text)) for text in texts], dtype=dtype), return_dtype=dtype)


class CopiedRun(_Copying):
    """Characters of the longest run that stands in a training document, whatever its case, width and punctuation.

    So a changed mark hides no copy; a run that is the same in every character is never longer. White space is folded. Runs of
    fewer than 31 letters or 10 Han characters may go unseen. The ledger names the documents with the longest runs.
    """

    scale: ClassVar[Literal["share", "count", "ratio"]] = "count"

    max: Bound | None = 50

    def value(self) -> pl.Expr:
        return self._told("copied_run", lambda copied: copied.characters, pl.Float64)

    def detail(self) -> pl.Expr:
        return self._told("copied_run", _named, pl.String)


class CopiedShare(_Copying):
    """Share of the 13-grams of words or Han characters that stand in a training document, letter by letter.

    A text of fewer than 13 has one n-gram, all of it. Source of the size: GPT-3 (Brown et al. 2020), appendix C.
    """

    def value(self) -> pl.Expr:
        return self._told("copied_share", lambda copied: copied.share, pl.Float64)

    def detail(self) -> pl.Expr:
        return self._told("copied_share", _named, pl.String)


def _named(copied: Copied) -> str:
    """The sources of what was copied, in words."""
    licences = (f", {source.licence}" if source.licence else "" for source in copied.sources)
    pairs = zip(copied.sources, licences, strict=True)
    return "; ".join(f"{source.id} ({source.characters} characters{licence})" for source, licence in pairs)


class NearCopies(Outside):
    """Texts that share most of their n-grams of words or Han characters with one training document.

    The keeper in the ledger is that document, the similarity their Jaccard similarity, which was computed. Candidates are the 32
    documents that share most passages of 24 letters or 8 Han characters.
    """

    shorthand: ClassVar[str | None] = "similarity"

    index: str | None = None
    """the index of the training documents, a folder; by default that of the model that generates"""
    optional: bool = False
    """where the model has no index, as one from the hub, do without this rule and warn, instead of failing"""
    similarity: float = Field(0.7, ge=0.3, le=1)
    """the least Jaccard similarity"""
    ngram: int = Field(5, ge=1, le=50)
    """words or Han characters in an n-gram; shorter ones find copies with more edits"""

    def reads(self) -> list[Path]:
        return _reads(self.index)

    def found(self, documents: pl.DataFrame) -> pl.DataFrame:
        copies = _copies(self.index, "near_copies")
        found = [copies.near(text, similarity=self.similarity, ngram=self.ngram) or (None, None) for text in documents["text"]]
        return pl.DataFrame(found, schema=FOUND, orient="row")
