"""Documents and their parts into train-*.parquet, validation-*.parquet and test-*.parquet."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pyarrow.parquet

from aigc.core.documents.tables import TableWriter, read_tables
from aigc.core.splits.assign import Assignment
from aigc.core.splits.plan import PARTS
from aigc.errors import AigcError

__all__ = ["write_parts"]


def write_parts(paths: Sequence[Path], folder: Path, assignment: Assignment, *, advance: Callable[[int], None]) -> dict[str, int]:
    """Write each document into its part, in the order in which it is read; with folds, a column `fold` (null in test) is added.

    Returns:
        documents in each part.

    Raises:
        AigcError: rows do not add up.
    """
    schema = dict(pl.read_parquet_schema(paths[0]))
    if assignment.folds is not None:
        schema["fold"] = pl.Int16()
    for old in (path for name in PARTS for path in folder.glob(f"{name}-*.parquet")):
        old.unlink()  # of an earlier round
    start = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(TableWriter(folder, name, schema)) for name in PARTS]
        for frame in read_tables(paths):
            rows = slice(start, start + len(frame))
            if assignment.folds is not None:
                fold = pl.Series("fold", assignment.folds[rows])
                frame = frame.with_columns(fold.set(fold < 0, None))
            parts = pl.Series(assignment.parts[rows])
            for code, writer in enumerate(writers):
                writer.write(frame.filter(parts == code))
            start = rows.stop
            advance(len(frame))
    counts = {name: writer.rows for name, writer in zip(PARTS, writers, strict=True)}
    expected = sum(pyarrow.parquet.read_metadata(path).num_rows for path in paths)
    if sum(counts.values()) != expected or counts != assignment.counts():
        raise AigcError(f"rows do not add up, which is a fault of aigc: {expected} documents, {counts}")
    return counts
