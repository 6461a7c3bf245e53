"""Batches of documents into parquet files with one schema, and back, one batch at a time."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet

__all__ = ["TableWriter", "common_schema", "fitted", "read_tables"]

FILE_BYTES = 256 << 20


class TableWriter:
    """Writes frames of one schema to prefix-00000.parquet, prefix-00001.parquet, ..., or to one file where `whole` is set."""

    def __init__(self, folder: Path, prefix: str, schema: dict[str, Any], *, whole: bool = False) -> None:
        self._folder, self._prefix, self._whole = folder, prefix, whole
        self._empty = pl.DataFrame(schema=schema)
        self._writer: pa.parquet.ParquetWriter | None = None
        self._size = 0
        self._files = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append some rows; columns are those of the schema, in its order."""
        if not len(frame) and self._files:
            return
        table = frame.to_arrow()
        if self._writer is None or (not self._whole and self._size > FILE_BYTES):
            self._close()
            name = f"{self._prefix}.parquet" if self._whole else f"{self._prefix}-{self._files:05d}.parquet"
            self._writer = pa.parquet.ParquetWriter(self._folder / name, table.schema, compression="zstd")
            self._files += 1
            self._size = 0
        self._writer.write_table(table)
        self._size += table.nbytes
        self.rows += len(frame)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and not self._files:
            self.write(self._empty)
        self._close()


def read_tables(paths: Iterable[Path], columns: Sequence[str] | None = None, *, rows: int = 8192) -> Iterator[pl.DataFrame]:
    """The rows of parquet files, in order, some at a time."""
    for path in paths:
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns) if columns is not None else None):
                yield pl.DataFrame(pl.from_arrow(batch))


def common_schema(schemas: Iterable[dict[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """One schema that holds every column of all; a column whose types have nothing in common becomes text."""
    merged: dict[str, pl.DataType] = {}
    for schema in schemas:
        for name, kind in schema.items():
            known = merged.get(name)
            if known is None or known == pl.Null:
                merged[name] = kind
            elif kind not in (known, pl.Null):
                merged[name] = _common_type(known, kind)
    return {name: pl.String() if kind == pl.Null else kind for name, kind in merged.items()}


def _common_type(a: pl.DataType, b: pl.DataType) -> pl.DataType:
    try:
        frames = [pl.DataFrame(schema={"x": a}), pl.DataFrame(schema={"x": b})]
        return pl.concat(frames, how="vertical_relaxed").schema["x"]
    except pl.exceptions.PolarsError:
        return pl.String()


def fitted(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The frame with exactly these columns and types; columns that it lacks are null."""
    columns = []
    for name, kind in schema.items():
        if name not in frame.columns:
            columns.append(pl.lit(None, dtype=kind).alias(name))
        elif kind == pl.String and frame.schema[name].is_nested():
            values = [
                None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in frame[name].to_list()
            ]
            columns.append(pl.lit(pl.Series(name, values, dtype=pl.String)).alias(name))
        else:
            columns.append(pl.col(name).cast(kind))
    return frame.select(columns)
