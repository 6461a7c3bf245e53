"""The ledger: one row per decision about a document, and the sum that must add up."""

from collections.abc import Sequence
from typing import Any

import polars as pl

__all__ = ["SCHEMA", "Tally", "rows"]

SCHEMA: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "verdict": pl.String,  # read, failed, edited, marked, dropped, kept
    "rule": pl.String,
    "value": pl.Float64,  # what a measure found
    "bound": pl.String,  # the bound that it broke, e.g. "min 50 (en)"
    "detail": pl.String,  # what it found, where a number does not say it
    "keeper": pl.String,  # for a duplicate, the document that stays
    "similarity": pl.Float64,  # to the keeper, 0 to 1
    "origin": pl.String,  # file:line of a row that was read, or could not be
    "reason": pl.String,  # why a row failed
}


def rows(ids: pl.Series | Sequence[str], verdict: str, **columns: Any) -> pl.DataFrame:
    """Ledger rows for some documents; columns that are not given are null."""
    frame = pl.DataFrame({"id": pl.Series(ids, dtype=pl.String)})
    values = {name: columns.get(name) for name in SCHEMA if name not in ("id", "verdict")}
    return frame.select(
        "id",
        verdict=pl.lit(verdict),
        **{name: (value if isinstance(value, pl.Series) else pl.lit(value)).cast(SCHEMA[name]) for name, value in values.items()},
    ).select(list(SCHEMA))


class Tally:
    """Counts ledger rows as they pass, and checks that no document was lost."""

    def __init__(self) -> None:
        self.verdicts = dict.fromkeys(("read", "failed", "edited", "marked", "dropped", "kept"), 0)
        self.dropped: dict[str, int] = {}

    def add(self, ledger: pl.DataFrame) -> None:
        """Count some rows of a ledger."""
        for verdict, rule, count in ledger.group_by("verdict", "rule").len().iter_rows():
            self.verdicts[verdict] += count
            if verdict == "dropped":
                self.dropped[rule] = self.dropped.get(rule, 0) + count

    @property
    def rows_read(self) -> int:
        """All rows, the broken ones too."""
        return self.verdicts["read"] + self.verdicts["failed"]

    def balanced(self, rows_read: int) -> bool:
        """Whether rows read = kept + dropped + failed."""
        parts = self.verdicts["kept"] + self.verdicts["dropped"] + self.verdicts["failed"]
        return rows_read == self.rows_read == parts
