"""Documents into those outside of the corpus that they repeat: each is judged by itself."""

from abc import abstractmethod
from typing import ClassVar

import polars as pl

from aigc.core.rules.rule import Corpus, Duplicates, Memory

__all__ = ["FOUND", "Outside"]

FOUND = {"keeper": pl.String, "similarity": pl.Float64}


class Outside(Duplicates):
    """Duplicates whose keepers are known beforehand."""

    inside: ClassVar[bool] = False

    @abstractmethod
    def found(self, documents: pl.DataFrame) -> pl.DataFrame:
        """The columns of FOUND, a row for each document, null where it repeats none."""

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        """See Surveyor."""
        return self.found(documents)

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        """See Duplicates."""
        frame = pl.DataFrame({name: corpus.column(name) for name in FOUND})
        return frame.with_row_index("row").filter(pl.col("keeper").is_not_null())

    def memory(self) -> Memory:
        """See Duplicates; nothing has to be remembered."""
        return self.found
