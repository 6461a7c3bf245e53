"""Files into batches of documents (id, text and whatever columns came along), with every broken row on record."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet

from aigc.core.documents.blocks import MAX_LINE, Lines, line_blocks
from aigc.core.documents.files import Meter, format_of, opened
from aigc.errors import AigcError

__all__ = ["Batch", "Failure", "Reader", "rows_of"]

BATCH_ROWS = 4096
MAX_JSON = 1 << 29
csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True)
class Failure:
    """A row that is no document."""

    origin: str  # file:line
    reason: str
    raw: str  # the start of what stood there


@dataclass(frozen=True)
class Batch:
    """Some rows of one file."""

    documents: pl.DataFrame  # id, text, and the other columns
    origins: pl.Series  # file:line of each document
    failures: list[Failure]

    @property
    def rows(self) -> int:
        """All rows read, the broken ones too."""
        return len(self.documents) + len(self.failures)


@dataclass
class _Rows:
    """Rows as they stand in the file, before anybody asks for their text."""

    frame: pl.DataFrame
    numbers: list[int]  # line or row numbers, counted from 1
    lines: list[bytes] | None = None  # the JSON of each row, where there is any
    failures: list[Failure] = field(default_factory=list)


class Reader:
    """Reads files into batches of documents. An id that is given is kept; else it is made from the text."""

    def __init__(self, *, text_field: str = "text", id_field: str = "id") -> None:
        if text_field == id_field:
            raise AigcError(f"clean.id_field: {id_field!r} is the text field as well")
        self.text_field = text_field
        self.id_field = id_field
        self.renamed_ids = 0
        self.meter = Meter()
        self._ids: set[bytes] = set()

    def read(self, path: Path) -> Iterator[Batch]:
        """The documents of one file, in order.

        Raises:
            AigcError: the file cannot be read at all. Broken rows are `failures` of a batch.
        """
        for rows in _READERS[format_of(path)](path, self.meter):
            yield self._documents(path, rows)

    def _documents(self, path: Path, rows: _Rows) -> Batch:
        frame, failures = rows.frame, rows.failures
        columns = frame.columns
        origins = pl.Series("origin", [f"{path}:{number}" for number in rows.numbers], dtype=pl.String)
        if self.text_field not in columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(self.text_field))
        if frame.schema[self.text_field].is_nested():
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(self.text_field))
        text = frame[self.text_field].cast(pl.String, strict=False)
        for row in _not_strings(rows.lines or [], text, self.text_field):
            text[row] = None
        frame = frame.with_columns(text.alias(self.text_field))
        missing = frame[self.text_field].is_null()
        if missing.any():
            has = ", ".join(columns) or "none"
            reason = f"no text in field {self.text_field!r} (fields: {has})"
            broken = zip(origins.filter(missing), rows.frame.filter(missing).iter_rows(named=True), strict=True)
            failures = failures + [
                Failure(origin, reason, json.dumps(row, ensure_ascii=False, default=str)[:200]) for origin, row in broken
            ]
            frame, origins = frame.filter(~missing), origins.filter(~missing)
        for name, theirs in (("text", self.text_field), ("id", self.id_field)):
            if theirs != name and theirs in frame.columns:
                if name in frame.columns:
                    other = f"original_{name}"
                    while other in frame.columns:
                        other += "_"
                    frame = frame.rename({name: other})
                frame = frame.rename({theirs: name})
        frame = frame.with_columns(id=self._unique_ids(frame))
        others = [name for name in frame.columns if name not in ("id", "text")]
        return Batch(frame.select("id", "text", *others), origins, failures)

    def _unique_ids(self, frame: pl.DataFrame) -> pl.Series:
        given = frame["id"] if "id" in frame.columns and not frame.schema["id"].is_nested() else None
        ids = given.cast(pl.String, strict=False) if given is not None else pl.repeat(None, len(frame), dtype=pl.String, eager=True)
        names: list[str] = []
        for name, text in zip(ids, frame["text"], strict=True):
            unique = wanted = name or hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
            count = 1
            while (key := hashlib.blake2b(unique.encode(), digest_size=8).digest()) in self._ids:
                count += 1
                unique = f"{wanted}#{count}"
            self.renamed_ids += count > 1
            self._ids.add(key)
            names.append(unique)
        return pl.Series("id", names, dtype=pl.String)


def _not_strings(lines: list[bytes], text: pl.Series, name: str) -> Iterator[int]:
    """Rows whose text was a list or an object among strings: Polars writes such a value out as JSON."""
    for row in text.str.contains(r"^[\[{]").fill_null(False).arg_true() if lines else ():
        parsed = _json_object(Path(), 0, lines[row])
        if isinstance(parsed, Failure) or not isinstance(parsed.get(name), str):
            yield row


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any] | Failure]]:
    """Each row of a file as (file:line, fields), or as a Failure, read as it arrives. Any format; for prompts."""
    if format_of(path) == "jsonl":  # line by line: a pipe may be slow
        with opened(path, Meter()) as stream:
            for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1):
                if line.strip():
                    row = _json_object(path, number, line)
                    yield f"{path}:{number}", row
        return
    for rows in _READERS[format_of(path)](path, Meter()):
        for number, row in zip(rows.numbers, rows.frame.iter_rows(named=True), strict=True):
            yield f"{path}:{number}", row
        for failure in rows.failures:
            yield failure.origin, failure


def _json_object(path: Path, number: int, line: bytes) -> dict[str, Any] | Failure:
    def failure(reason: str) -> Failure:
        return Failure(f"{path}:{number}", reason, line[:200].decode("utf-8", "replace"))

    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            return failure(f"not a JSON object but a {type(value).__name__}")
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # a lone surrogate is no text, NaN no JSON
    except UnicodeError:
        return failure("not UTF-8 text")
    except json.JSONDecodeError as error:
        return failure(f"not valid JSON: {error.msg} at column {error.colno}")
    except (RecursionError, ValueError) as error:
        return failure(f"not valid JSON: {error}")
    return value


def _read_jsonl(path: Path, meter: Meter) -> Iterator[_Rows]:
    with opened(path, meter) as stream:
        for block in line_blocks(stream):
            yield _parse_block(path, block)


def _parse_block(path: Path, block: Lines) -> _Rows:
    """The fast way for a block without a fault, row by row where there is one."""
    failures = [Failure(f"{path}:{number}", f"a line of more than {MAX_LINE >> 20} MB", "") for number in block.too_long]
    data = b"\n".join(block.lines)
    if not data:
        return _Rows(pl.DataFrame(), [], [], failures)
    if not _SURROGATE.search(data):  # Polars would read a lone one as NUL
        try:
            frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
            if len(frame) == len(block.lines):
                return _Rows(frame, block.numbers, block.lines, failures)
        except pl.exceptions.PolarsError:
            pass  # some row is broken, or a field has types that have nothing in common: below, each is looked at
    good: list[dict[str, Any]] = []
    numbers: list[int] = []
    lines: list[bytes] = []
    for number, line in zip(block.numbers, block.lines, strict=True):
        row = _json_object(path, number, line)
        if isinstance(row, Failure):
            failures.append(row)
        else:
            good.append(row)
            numbers.append(number)
            lines.append(line)
    return _Rows(_frame_of(good), numbers, lines, failures)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of any shape into columns; one whose values have no common type is kept as JSON text."""
    columns = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        try:
            columns.append(pl.Series(name, values, strict=True))
        except (pl.exceptions.PolarsError, TypeError, OverflowError):
            texts = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
            columns.append(pl.Series(name, texts, dtype=pl.String))
    return pl.DataFrame(columns)


def _read_json(path: Path, meter: Meter) -> Iterator[_Rows]:
    with opened(path, meter) as stream:
        data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        raise AigcError(f"{path}: more than {MAX_JSON >> 20} MB of JSON in one value; write it as JSON lines")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise AigcError(f"{path}: not valid JSON: {error}") from None
    items = value if isinstance(value, list) else [value]
    for start in range(0, len(items), BATCH_ROWS):
        chunk = items[start : start + BATCH_ROWS]
        lines = [json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass") for item in chunk]
        yield _parse_block(path, Lines(lines, list(range(start + 1, start + len(chunk) + 1)), []))


def _read_csv(path: Path, meter: Meter) -> Iterator[_Rows]:
    with opened(path, meter) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        table = csv.reader(text, strict=True, delimiter="\t" if format_of(path) == "tsv" else ",")
        try:
            header = next(table, None)
            if header is None:
                return
            twice = next((name for name in header if header.count(name) > 1), None)
            if twice is not None:
                raise AigcError(f"{path}:1: two columns are called {twice!r}")
            rows: list[list[str]] = []
            numbers: list[int] = []
            failures: list[Failure] = []
            start = table.line_num + 1
            for cells in table:
                if len(cells) == len(header):
                    rows.append(cells)
                    numbers.append(start)
                elif cells:
                    reason = f"{len(cells)} cells where the header has {len(header)}"
                    failures.append(Failure(f"{path}:{start}", reason, ",".join(cells)[:200]))
                start = table.line_num + 1
                if len(rows) + len(failures) >= BATCH_ROWS:
                    yield _Rows(pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row"), numbers, None, failures)
                    rows, numbers, failures = [], [], []
            yield _Rows(pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row"), numbers, None, failures)
        except csv.Error as error:
            raise AigcError(f"{path}:{table.line_num}: not valid CSV: {error}") from None
        except UnicodeDecodeError:
            raise AigcError(f"{path}: not UTF-8 text near line {table.line_num + 1}") from None
        finally:
            text.detach()


def _read_parquet(path: Path, meter: Meter) -> Iterator[_Rows]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            seen = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                frame = pl.DataFrame(pl.from_arrow(batch))
                yield _Rows(frame, list(range(seen + 1, seen + len(frame) + 1)))
                seen += len(frame)
                meter.bytes += path.stat().st_size * len(frame) // max(file.metadata.num_rows, 1)
    except (pyarrow.ArrowException, OSError) as error:
        raise AigcError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]})") from None


def _read_txt(path: Path, meter: Meter) -> Iterator[_Rows]:
    with opened(path, meter) as stream:
        data = stream.read(MAX_LINE + 1)
    if len(data) > MAX_LINE:
        yield _Rows(pl.DataFrame(), [], None, [Failure(f"{path}:1", f"a text of more than {MAX_LINE >> 20} MB", "")])
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte {error.start:,})"
        yield _Rows(pl.DataFrame(), [], None, [Failure(f"{path}:1", reason, data[:200].decode("utf-8", "replace"))])
        return
    yield _Rows(pl.DataFrame({"text": [text], "file": [path.name]}), [1])


_READERS: dict[str, Callable[[Path, Meter], Iterator[_Rows]]] = {
    "jsonl": _read_jsonl,
    "json": _read_json,
    "csv": _read_csv,
    "tsv": _read_csv,
    "parquet": _read_parquet,
    "txt": _read_txt,
}
