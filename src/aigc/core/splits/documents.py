"""Parquet files of documents into what a split needs of each: its id, the hash of its text, and the columns that are asked for."""

import difflib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from aigc.core.documents.engine import local
from aigc.core.documents.tables import read_tables
from aigc.core.rules.units import Hashes
from aigc.core.splits.places import text_hashes
from aigc.core.splits.plan import Plan
from aigc.errors import AigcError

__all__ = ["Documents", "read_documents"]


@dataclass(frozen=True)
class Documents:
    """Documents without their texts, which stay on disk.

    Attributes:
        ids: the id of each document.
        hashes: the hash of each text.
        columns: the columns that were asked for, by name.
        cluster_field: the column that names the clusters, None where the documents have none.
    """

    ids: pl.Series
    hashes: Hashes
    columns: dict[str, pl.Series]
    cluster_field: str | None = None

    def __len__(self) -> int:
        return len(self.hashes)

    def labels(self, name: str) -> pl.Series:
        """A column as text; null where it says nothing (blank, not a number)."""
        values = self.columns[name]
        if values.dtype.is_float():
            values = values.fill_nan(None)
        texts = values.cast(pl.String)
        return texts.set(texts.str.strip_chars() == "", None)


def read_documents(paths: Sequence[Path], plan: Plan, *, advance: Callable[[int], None]) -> Documents:
    """Read ids, text hashes and the columns that the plan names.

    Raises:
        AigcError: a column is missing or holds lists.
    """
    schema = dict(pl.read_parquet_schema(paths[0]))
    names = list(dict.fromkeys(_wanted(schema, plan)))
    ids: list[pl.Series] = []
    hashes: list[Hashes] = []
    columns: dict[str, list[pl.Series]] = {name: [] for name in names}
    waiting: deque[pl.DataFrame] = deque()

    def texts() -> Iterator[pl.Series]:
        for frame in read_tables(paths, list(dict.fromkeys(["id", "text", *names]))):
            waiting.append(frame.select(pl.col("id").cast(pl.String).alias("aigc:id"), *names))
            yield frame["text"]

    for found in local(text_hashes, texts()):
        frame = waiting.popleft()
        ids.append(frame["aigc:id"])
        hashes.append(found)
        for name, parts in columns.items():
            parts.append(frame[name])
        advance(len(frame))
    if not hashes or not sum(map(len, hashes)):
        raise AigcError(f"{paths[0].parent}: no documents; there is nothing to split")
    field = plan.cluster_field if plan.cluster_field in columns else None
    joined = {name: pl.concat(parts) for name, parts in columns.items()}
    return Documents(pl.concat(ids), np.concatenate(hashes), joined, cluster_field=field)


def _wanted(schema: dict[str, pl.DataType], plan: Plan) -> Iterator[str]:
    keys: list[tuple[str, str | None]] = [("group_by", name) for name in plan.group_by]
    keys += [("stratify", plan.stratify), ("by", plan.by)]
    if plan.cluster_field != "cluster" or "cluster" in schema:
        keys.append(("cluster_field", plan.cluster_field))
    for key, name in keys:
        if name is None:
            continue
        if name not in schema:
            near = difflib.get_close_matches(name, schema, 1, 0.6)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise AigcError(f"split.{key}: there is no column {name!r}{hint}; columns found: {', '.join(schema)}")
        if schema[name].is_nested() or schema[name] == pl.Binary:
            raise AigcError(f"split.{key}: the column {name!r} holds {schema[name]}; it needs one text or number a document")
        yield name
    if plan.folds is not None and "fold" in schema:
        raise AigcError("split.folds: writes a column 'fold', and the documents have one already; rename theirs")
