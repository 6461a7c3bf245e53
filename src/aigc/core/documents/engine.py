"""Questions about all documents at once, asked of Daft; the only module that knows it.

Daft is pinned exactly, for its API moves within 0.7. It runs embedded in this process.
"""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")  # before the import: Daft's telemetry is on by default

import daft
import polars as pl
from daft import col, lit

__all__ = ["repeated"]


def repeated(tables: Sequence[Path]) -> pl.DataFrame:
    """The rows whose key occurs more than once.

    Args:
        tables: parquet files with the columns key, id, length.

    Returns:
        Columns key, id, length, in no particular order.
    """
    rows = daft.read_parquet([str(path) for path in tables])
    counts = rows.groupby("key").agg(col("id").count().alias("count")).where(col("count") != lit(1)).select("key")
    found = rows.join(counts, on="key", how="semi").select("key", "id", "length")
    return pl.DataFrame(pl.from_arrow(found.to_arrow()))
