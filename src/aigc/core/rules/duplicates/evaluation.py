"""Documents into those that hold a passage of an evaluation set."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from pydantic import BeforeValidator, Field

from aigc.core.documents.files import expand
from aigc.core.documents.reading import Reader
from aigc.core.rules.duplicates.outside import FOUND, Outside
from aigc.core.rules.units import Hashes, Ints, ngrams, spread
from aigc.errors import AigcError

__all__ = ["Decontaminate"]

LEAST = 5  # words or Han characters: a shorter evaluation text is looked for nowhere


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Decontaminate(Outside):
    """Documents that share an n-gram of words or Han characters with the texts of an evaluation set.

    Source: GPT-3 (Brown et al. 2020), appendix C.

    The keeper in the ledger is the evaluation text (file:line), the similarity the share of its n-grams that the
    document holds.
    """

    shorthand: ClassVar[str | None] = "files"

    files: Annotated[list[str], BeforeValidator(_listed)] = Field(..., min_length=1)
    """files of the evaluation set, in any format that `clean.input` takes"""
    text_field: str = "text"
    """the column that holds their text"""
    ngram: int = Field(13, ge=3, le=50)
    """words or Han characters in an n-gram"""
    share: float = Field(0, ge=0, le=1)
    """the share of an evaluation text's n-grams that must be met; 0 for a single one"""

    def reads(self) -> list[Path]:
        return expand(self.files)

    def found(self, documents: pl.DataFrame) -> pl.DataFrame:
        names, held = _index(tuple(self.files), self.text_field, self.ngram)
        best: list[tuple[float, str | None]] = [(0.0, None)] * len(documents)
        for one in held:
            for document, owner, value in one.met(documents["text"]):
                if value >= self.share:
                    best[document] = max(best[document], (value, names[owner]), key=lambda found: (found[0], found[1] or ""))
        return pl.DataFrame(
            [(name, value if name is not None else None) for value, name in best],
            schema=FOUND,
            orient="row",
        )


@dataclass(frozen=True)
class _Held:
    """The n-grams of those evaluation texts that are looked for by n-grams of one size."""

    size: int
    hashes: Hashes  # sorted, each once
    owners: Ints  # the texts that have it: those of hashes[i] are owners[borders[i] : borders[i + 1]]
    borders: Ints
    counts: Ints  # n-grams of each text

    def met(self, texts: pl.Series) -> Iterator[tuple[int, int, float]]:
        """(document, evaluation text, share of its n-grams that the document holds) where they have one in common."""
        found, offsets = ngrams(texts, self.size)
        place = np.searchsorted(self.hashes, found)
        place[place == len(self.hashes)] = 0
        hit = np.flatnonzero(self.hashes[place] == found)
        document = np.searchsorted(offsets, hit, side="right") - 1
        pairs = np.unique(np.stack([document, place[hit]], axis=1), axis=0)
        starts = self.borders[pairs[:, 1]]
        times = self.borders[pairs[:, 1] + 1] - starts
        owned = np.stack([np.repeat(pairs[:, 0], times), self.owners[spread(starts, times)]], axis=1)
        both, common = np.unique(owned, axis=0, return_counts=True)
        for (one, owner), number in zip(both.tolist(), common.tolist(), strict=True):
            yield one, owner, number / float(self.counts[owner])


@lru_cache(maxsize=4)
def _index(files: tuple[str, ...], text_field: str, ngram: int) -> tuple[list[str], list[_Held]]:
    """Where each evaluation text stands (file:line), and their n-grams.

    Raises:
        AigcError: a file is missing, or holds no text.
    """
    texts: list[str] = []
    names: list[str] = []
    reader = Reader(text_field=text_field)
    for path in expand(list(files)):
        before = len(texts)
        reason = "no rows"
        for batch in reader.read(path):
            texts += batch.documents["text"].to_list()
            names += batch.origins.to_list()
            reason = batch.failures[0].reason if batch.failures else reason
        if len(texts) == before:
            raise AigcError(f"decontaminate: {path}: {reason}; there is nothing to compare with")
    series = pl.Series(texts, dtype=pl.String)
    units = np.diff(ngrams(series, 1)[1])
    held: list[_Held] = []
    for size in sorted({min(int(count), ngram) for count in units if count >= min(LEAST, ngram)}):
        chosen = np.flatnonzero(units >= ngram if size == ngram else units == size)
        hashes, offsets = ngrams(series.gather(chosen), size)
        owners = chosen[np.searchsorted(offsets, np.arange(len(hashes)), side="right") - 1]
        order = np.lexsort((owners, hashes))
        hashes, owners = hashes[order], owners[order]
        new = np.append(True, (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1]))[: len(hashes)]
        hashes, owners = hashes[new], owners[new]  # each n-gram once for each text
        known, first = np.unique(hashes, return_index=True)
        counts = np.bincount(owners, minlength=len(texts))
        held.append(_Held(size, known, owners, np.append(first, len(hashes)), counts))
    return names, held
