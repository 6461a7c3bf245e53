"""CSV and TSV into rows."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from aigc.core.documents.blocks import MAX_LINE, line_blocks
from aigc.core.documents.encodings import Encoded
from aigc.core.documents.files import format_of
from aigc.core.documents.rows import BATCH_ROWS, Failure, Rows
from aigc.core.documents.source import Source
from aigc.errors import AigcError

__all__ = ["MAX_RECORD", "read_table"]

MAX_RECORD = MAX_LINE  # characters; a quoted cell that does not end within them was never closed
DELIMITERS = ",;\t"


class _Record(NamedTuple):
    line: int  # where it starts
    cells: list[str]  # empty where it is broken
    reason: str = ""
    raw: str = ""


def read_table(source: Source, *, max_record: int = MAX_RECORD) -> Iterator[Rows]:
    """Rows under a header; a quoted cell may hold line breaks. What splits the cells of a .csv is found in its header: , ; or tab.

    A broken row is a failure, and reading goes on with the line after its first: so an unclosed quote costs its own line only.

    Raises:
        AigcError: two columns have one name, or the file cannot be decoded.
    """
    path = source.path
    with source.text() as text:
        lines = _lines(path, text)
        start, header_line = next(((number, line) for number, line in enumerate(lines, 1) if line.strip()), (0, ""))
        if not header_line:
            return
        csv.field_size_limit(max(csv.field_size_limit(), max_record))
        delimiter = "\t" if format_of(path) == "tsv" else _delimiter(header_line)
        records = _records(_Feed(lines, header_line, max_record), start, delimiter)
        header = next(records)
        if header.reason:
            raise AigcError(f"{path}:{header.line}: not valid CSV in the header: {header.reason}")
        twice = next((name for name in header.cells if header.cells.count(name) > 1), None)
        if twice is not None:
            raise AigcError(f"{path}:{header.line}: two columns are called {twice!r}")
        batch: list[_Record] = []
        for record in records:
            batch.append(record)
            if len(batch) >= BATCH_ROWS:
                yield _rows(path, header.cells, batch)
                batch = []
        yield _rows(path, header.cells, batch)


def _rows(path: Path, header: list[str], records: list[_Record]) -> Rows:
    width = len(header)
    good = [record for record in records if len(record.cells) == width]
    failures = []
    for record in records if len(good) < len(records) else ():
        if len(record.cells) != width:
            reason = record.reason or f"{len(record.cells)} cells where the header has {width}"
            failures.append(Failure(f"{path}:{record.line}", reason, record.raw or ",".join(record.cells)[:200]))
    columns = zip(*(record.cells for record in good), strict=True) if good else [()] * len(header)
    frame = pl.DataFrame(dict(zip(header, columns, strict=True)), schema=dict.fromkeys(header, pl.String))
    return Rows(frame, pl.Series([record.line for record in good], dtype=pl.Int64), failures)


def _lines(path: Path, text: Encoded) -> Iterator[str]:
    """Lines with their ends: \\n, \\r\\n, or the \\r of old tables."""
    for block in line_blocks(text.stream):
        if block.too_long:
            raise AigcError(f"{path}:{block.too_long[0]}: a line of more than {MAX_LINE >> 20} MB")
        try:
            yield from io.StringIO(block.data.decode(text.codec) + "\n", newline="")
        except UnicodeDecodeError as error:
            number = block.first + block.data.count(b"\n", 0, error.start)
            raise AigcError(f"{path}: not {text.name} text at line {number}; name its encoding with `encoding:`") from None


def _delimiter(header: str) -> str:
    """The one that makes most columns; a comma where none does."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=unquoted.count)


class _Unclosed(Exception):
    """A record is too long: somewhere a quote was not closed."""


class _Feed:
    """Lines for the csv module, kept until the record that they make is known to be whole."""

    def __init__(self, lines: Iterator[str], first: str, limit: int) -> None:
        self._lines, self.limit = lines, limit
        self._ahead = deque([first])
        self.record: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.record.append(line)
        self._size += len(line)
        if self._size > self.limit:
            raise _Unclosed
        return line

    def done(self) -> None:
        """The record is whole."""
        self.record.clear()
        self._size = 0

    def back(self) -> None:
        """The record is broken: its lines but the first are to be read again."""
        self._ahead.extendleft(reversed(self.record[1:]))
        self.done()


def _records(feed: _Feed, start: int, delimiter: str) -> Iterator[_Record]:
    while True:
        table = csv.reader(feed, strict=True, delimiter=delimiter)
        try:
            for cells in table:
                if cells:
                    yield _Record(start, cells)
                start += len(feed.record)
                feed.done()
            return
        except csv.Error as error:
            reason = f"not valid CSV: {error}" if "end of data" not in str(error) else "a quote that is never closed"
        except _Unclosed:
            reason = f"a quote that is not closed within {feed.limit:,} characters"
        yield _Record(start, [], reason, feed.record[0][:200])
        feed.back()
        start += 1
