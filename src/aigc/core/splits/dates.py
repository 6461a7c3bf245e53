"""Dates, timestamps and numbers into whole numbers that sort in time, and these into train, validation and test, oldest first."""

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.units import Ints
from aigc.core.splits.clusters import Clusters
from aigc.core.splits.plan import Plan, amount
from aigc.errors import AigcError

__all__ = ["cut_by_date", "moments"]

_DATE = r"(\d{4})(?:[-/年]?(\d{1,2})(?:[-/月]?(\d{1,2})日?|月)?|年)?"
_TIME = r"(?:[Tt ]\s*(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?"
_ISO = rf"^\s*{_DATE}{_TIME}\s*$"


def moments(values: pl.Series, ids: pl.Series, *, column: str) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    """Something that sorts in time for each value: microseconds for dates, the number itself for numbers.

    Text may be numbers (all of it) or ISO 8601 dates and times, `2024`, `2024-05`, `2024-05-01T10:00:00+08:00`, also with slashes
    or as 2024年5月1日; a time without a zone is UTC.

    Raises:
        AigcError: a value is missing or no date; the message names the first row.
    """
    kind = values.dtype
    if kind.is_integer():
        found = values.cast(pl.Int64)
    elif kind.is_numeric():
        found = values.cast(pl.Float64).fill_nan(None)
    elif kind in (pl.Date, pl.Datetime):
        found = values.cast(pl.Datetime("us")).cast(pl.Int64)
    elif kind == pl.String:
        numbers = values.cast(pl.Float64, strict=False).fill_nan(None)
        found = numbers if numbers.null_count() == values.null_count() else _parsed(values)
    else:
        raise AigcError(f"split.by: the column {column!r} holds {kind}; it needs dates, timestamps or numbers")
    if found.null_count():
        row = int(found.is_null().arg_true()[0])
        what = "nothing" if values[row] is None or kind.is_numeric() else f"{str(values[row])[:60]!r}, which is no ISO date"
        raise AigcError(f"split.by: document {ids[row]!r} (row {row + 1:,}) has {what} in the column {column!r}; "
                        f"{found.null_count():,} of {len(values):,} are so; drop them in clean")  # fmt: skip
    return found.to_numpy()


def _parsed(values: pl.Series) -> pl.Series:
    """ISO 8601 texts as microseconds since 1970, null where a text is no date."""
    distinct = values.unique().drop_nulls()
    parts = distinct.str.extract_groups(_ISO).struct.rename_fields(list("ymdHMSfz")).struct.unnest()
    two = {
        name: pl.col(name).fill_null(default).str.zfill(2) for name, default in zip("mdHMS", ("1", "1", "0", "0", "0"), strict=True)
    }
    micros = pl.col("f").fill_null("0").str.pad_end(6, "0").str.slice(0, 6)
    text = pl.format("{}-{}-{} {}:{}:{}.{}", pl.col("y"), *two.values(), micros)
    zone = pl.col("z").str.replace(":", "").str.replace("(?i)z", "+0000").str.pad_end(5, "0").fill_null("+0000")
    minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3, 2).cast(pl.Int64)
    offset = pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes)
    moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", time_unit="us", strict=False).cast(pl.Int64) - offset * 60_000_000
    return values.replace_strict(distinct, parts.select(moment).to_series(), default=None, return_dtype=pl.Int64)


def cut_by_date(dates: npt.NDArray[np.int64] | npt.NDArray[np.float64], clusters: Clusters, plan: Plan) -> npt.NDArray[np.int8]:
    """The part of each cluster: the newest are test, those before them validation, the rest train; equal dates stay together.

    A cluster has the date of its newest document, so that nothing in train is newer than the cut.

    Args:
        dates: one for each document.

    Raises:
        AigcError: there are too few different dates.
    """
    newest = np.full(len(clusters), dates.min(), dtype=dates.dtype)
    np.maximum.at(newest, clusters.of, dates)
    times, which = np.unique(newest, return_inverse=True)
    rows = np.bincount(which, weights=clusters.sizes).astype(np.int64)
    parts = np.zeros(len(times), dtype=np.int8)
    end, wanted = len(times), 1 + (plan.validation > 0) + (plan.test > 0)
    if len(times) < wanted:
        raise AigcError(f"split.by: {len(times)} different {plan.by!r} (clusters count as one) are too few for {wanted} parts")
    for code, value in ((2, plan.test), (1, plan.validation)):
        if value:
            wanted -= 1
            end = _cut(rows[:end], amount(value, len(dates)), least=wanted)
            parts[end:][parts[end:] == 0] = code
    return parts[which]


def _cut(rows: Ints, target: float, *, least: int) -> int:
    """Where to cut so that what follows has about `target` rows; `least` dates stay before the cut, and one at least after."""
    after = np.cumsum(rows[::-1])[::-1][least:]
    return least + int(len(after) - 1 - np.argmin(np.abs(after[::-1] - target)))
