"""Documents into train, validation and test, by a stable hash of their content."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pyarrow.parquet

from aigc.core.documents.tables import TableWriter, read_tables
from aigc.errors import AigcError

__all__ = ["PARTS", "assign", "split_tables"]

PARTS = ("train", "validation", "test")
_SALT = b"aigc split 1"  # part of the contract: another salt would move every document


def assign(texts: pl.Series, *, validation: float, test: float) -> pl.Series:
    """The part that each text belongs to: a function of the text (white space aside) and the shares alone.

    A document keeps its part when the corpus grows or is read in another order, and texts that differ only in white space
    fall into the same part. When a share grows, no document leaves that part.
    """
    parts = []
    for text in texts.str.replace_all(r"\s+", ""):
        place = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=_SALT).digest()) / 2**64
        parts.append("test" if place < test else "validation" if place >= 1 - validation else "train")
    return pl.Series("part", parts, dtype=pl.String)


def split_tables(
    paths: Sequence[Path], folder: Path, *, validation: float, test: float, advance: Callable[[int], None]
) -> dict[str, int]:
    """Write train-*.parquet, validation-*.parquet and test-*.parquet.

    Returns:
        documents in each part.

    Raises:
        AigcError: a part that was asked for would be empty.
    """
    schema = dict(pl.read_parquet_schema(paths[0]))
    with ExitStack() as stack:
        writers = {name: stack.enter_context(TableWriter(folder, name, schema)) for name in PARTS}
        for frame in read_tables(paths):
            part = assign(frame["text"], validation=validation, test=test)
            for name, writer in writers.items():
                writer.write(frame.filter(part == name))
            advance(len(frame))
    counts = {name: writer.rows for name, writer in writers.items()}
    total = sum(counts.values())
    expected = sum(pyarrow.parquet.read_metadata(path).num_rows for path in paths)
    if total != expected:
        raise AigcError(f"rows do not add up, which is a fault of aigc: {expected} documents, {counts}")
    wanted = {"train": 1.0, "validation": validation, "test": test}
    for name, share in wanted.items():
        if share and not counts[name]:
            raise AigcError(f"split: the {name} part is empty: {share:.3g} of {total:,} documents is too few; raise split.{name}")
    return counts
