"""Parquet and Arrow files into rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from aigc.core.documents.files import COMPRESSIONS, joined
from aigc.core.documents.rows import BATCH_ROWS, Rows, numbered
from aigc.core.documents.source import Source
from aigc.errors import AigcError

__all__ = ["read_arrow", "read_parquet"]

BATCH_BYTES = 64 << 20
MAX_PACKED = 1 << 29
_FILE_MAGIC = b"ARROW1"


def read_parquet(source: Source) -> Iterator[Rows]:
    """A parquet file's rows; of long ones fewer at a time.

    Raises:
        AigcError: the file cannot be read.
    """
    path, meter = source.path, source.meter
    with _errors(source, "parquet"), pa.parquet.ParquetFile(path) as file:
        count = max(file.metadata.num_rows, 1)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        longest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
        seen = 0
        for batch in file.iter_batches(batch_size=max(1, min(BATCH_ROWS, BATCH_BYTES // max(longest, 1)))):
            frame = _frame(batch)
            yield Rows(frame, numbered(seen + 1, len(frame)))
            seen += len(frame)
            meter.bytes += path.stat().st_size * len(frame) // count


def read_arrow(source: Source) -> Iterator[Rows]:
    """An Arrow IPC file (also called Feather 2) or stream, recognised by its first bytes.

    One that is not compressed as a whole is mapped, not loaded; a compressed file, whose index stands at its end, may have up to
    512 MB, a compressed stream any size.

    Raises:
        AigcError: the file cannot be read.
    """
    with _arrow_batches(source) as batches:
        seen = 0
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                frame = _frame(batch.slice(start, BATCH_ROWS))
                yield Rows(frame, numbered(seen + 1, len(frame)))
                seen += len(frame)


@contextmanager
def _arrow_batches(source: Source) -> Iterator[Iterator[Any]]:
    path = source.path
    if path.suffix.lower().removeprefix(".") not in COMPRESSIONS:
        with _errors(source, "Arrow"), pa.memory_map(str(path)) as mapped:
            source.meter.bytes += path.stat().st_size
            head = mapped.read(len(_FILE_MAGIC))
            mapped.seek(0)
            yield _file_batches(mapped) if head == _FILE_MAGIC else pa.ipc.open_stream(mapped)
        return
    with source.bytes() as packed, _errors(source, "Arrow"):
        head = packed.read(len(_FILE_MAGIC))
        stream = joined(head, packed)
        if head != _FILE_MAGIC:
            yield pa.ipc.open_stream(pa.PythonFile(stream, "r"))
            return
        data = stream.read(MAX_PACKED + 1)
        if len(data) > MAX_PACKED:
            raise AigcError(f"{path}: an Arrow file of more than {MAX_PACKED >> 20} MB is read only if it is decompressed first")
        yield _file_batches(pa.BufferReader(data))


def _file_batches(stream: Any) -> Iterator[Any]:
    with pa.ipc.open_file(stream) as file:
        for number in range(file.num_record_batches):
            yield file.get_batch(number)


def _frame(batch: Any) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(batch))


@contextmanager
def _errors(source: Source, format_name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise AigcError(f"{source.path}: not a readable {format_name} file ({reason})") from None
