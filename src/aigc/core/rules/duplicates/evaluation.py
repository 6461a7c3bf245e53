"""Documents into those that hold a passage of an evaluation set."""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.documents.files import expand
from aigc.core.documents.reading import Reader
from aigc.core.rules.rule import Corpus, Duplicates, Memory
from aigc.core.rules.units import Hashes, ngrams

__all__ = ["Decontaminate"]

LEAST = 5  # words: an evaluation text that is shorter is found only as a whole document


class Decontaminate(Duplicates):
    """Documents that share an n-gram of words or Han characters with the texts of an evaluation set.

    Source: GPT-3 (Brown et al. 2020), appendix C.

    The keeper in the ledger is the evaluation text (its id, or file:line), the similarity the share of its n-grams that the
    document holds.
    """

    shorthand: ClassVar[str | None] = "files"

    files: list[str] = Field(..., min_length=1)
    """files of the evaluation set, in any format that `clean.input` takes"""
    text_field: str = "text"
    """the column that holds their text"""
    ngram: int = Field(13, ge=3, le=50)
    """words or Han characters in an n-gram"""
    share: float = Field(0, ge=0, le=1)
    """the share of an evaluation text's n-grams that must be met; 0 for a single one"""

    def _found(self, documents: pl.DataFrame) -> pl.DataFrame:
        held = _index(tuple(self.files), self.text_field, self.ngram)
        best: list[tuple[float, str | None]] = [(0.0, None)] * len(documents)
        for size, hashes, owners, counts, names in held:
            found, offsets = ngrams(documents["text"], size)
            place = np.searchsorted(hashes, found)
            place[place == len(hashes)] = 0
            hit = np.flatnonzero(hashes[place] == found) if len(hashes) else np.empty(0, np.int64)
            row = np.searchsorted(offsets, hit, side="right") - 1
            pairs = np.unique(np.stack([row, owners[place[hit]], place[hit]], 1), axis=0)
            if not len(pairs):
                continue
            both, common = np.unique(pairs[:, :2], axis=0, return_counts=True)
            for (document, owner), number in zip(both.tolist(), common.tolist(), strict=True):
                value = number / counts[owner]
                if value >= self.share:
                    best[document] = max(best[document], (value, names[owner]), key=lambda one: (one[0], one[1] or ""))
        return pl.DataFrame(
            [(name, value if name is not None else None) for value, name in best],
            schema={"keeper": pl.String, "similarity": pl.Float64},
            orient="row",
        )

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        return self._found(documents)

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        frame = pl.DataFrame({"keeper": corpus.column("keeper"), "similarity": corpus.column("similarity")})
        return frame.with_row_index("row").filter(pl.col("keeper").is_not_null())

    def memory(self) -> Memory:
        return self._found


Held = tuple[int, Hashes, "np.ndarray[tuple[int], np.dtype[np.int64]]", list[int], list[str]]


@lru_cache(maxsize=4)
def _index(files: tuple[str, ...], text_field: str, ngram: int) -> list[Held]:
    """The evaluation set's n-grams: sorted hashes, the text of each, and each text's number of n-grams and name.

    Texts shorter than an n-gram are looked for as the n-gram that they are.
    """
    texts: list[str] = []
    names: list[str] = []
    reader = Reader(text_field=text_field)
    for path in expand(list(files)):
        for batch in reader.read(Path(path)):
            texts += batch.documents["text"].to_list()
            names += batch.origins.to_list()
    series = pl.Series(texts, dtype=pl.String)
    units = np.diff(ngrams(series, 1)[1])
    held: list[Held] = []
    for size in sorted({min(int(count), ngram) for count in units if count >= LEAST}):
        chosen = np.flatnonzero(units >= ngram if size == ngram else units == size)
        hashes, offsets = ngrams(series.gather(chosen), size)
        owners = chosen[np.searchsorted(offsets, np.arange(len(hashes)), side="right") - 1]
        unique, first = np.unique(hashes, return_index=True)
        counts = np.zeros(len(texts), np.int64)
        counts[chosen] = [len(np.unique(hashes[a:b])) for a, b in pairwise(offsets)]
        held.append((size, unique, owners[first], counts.tolist(), names))
    return held
