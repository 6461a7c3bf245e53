"""JSON lines and JSON arrays into rows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from aigc.core.documents.blocks import MAX_LINE, Lines, line_blocks
from aigc.core.documents.rows import BATCH_ROWS, Failure, Rows, numbered
from aigc.core.documents.source import Source
from aigc.errors import AigcError

__all__ = ["frame_of", "json_object", "json_objects", "read_json", "read_jsonl"]

MAX_JSON = 1 << 29
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# Half a pair of surrogates, which Polars would read as NUL. A backslash before hides what follows from this search: not trusted
_LONE_SURROGATE = re.compile(
    rb"\\\\u[dD][89a-fA-F]"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F])\\u[dD][c-fC-F]"
)


def read_jsonl(source: Source) -> Iterator[Rows]:
    """An object a line; always UTF-8, as JSON is.

    Raises:
        AigcError: the file is UTF-16.
    """
    with source.bytes() as stream:
        for block in line_blocks(stream):
            if block.first == 1:
                _refuse_wide(source.path, block.data)
            yield parse_block(source.path, block)


def json_objects(source: Source) -> Iterator[tuple[str, dict[str, Any] | Failure]]:
    """The same one by one as lines arrive, for a pipe may be slow: (file:line, fields)."""
    with source.bytes() as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1):
            if number == 1:
                _refuse_wide(source.path, line)
            if line.strip():
                yield f"{source.path}:{number}", json_object(source.path, number, line)


def _refuse_wide(path: Path, data: bytes) -> None:
    if data.startswith(_WIDE_MARKS):
        raise AigcError(f"{path}: is UTF-16, and JSON is read as UTF-8 only; `iconv -f UTF-16 -t UTF-8` converts it")


def json_object(path: Path, number: int, line: bytes) -> dict[str, Any] | Failure:
    """One line into its fields, or the reason why not."""

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


def parse_block(path: Path, block: Lines) -> Rows:
    """The fast way for a block without a fault, row by row where there is one."""
    failures = [Failure(f"{path}:{number}", f"a line of more than {MAX_LINE >> 20} MB", "") for number in block.too_long]
    whole = not block.has_blank
    data = block.data if whole else b"\n".join(block.lines)
    if not data:
        return Rows(pl.DataFrame(), numbered(1, 0), failures)
    if not (_SURROGATE.search(data) and _LONE_SURROGATE.search(data)):
        try:
            frame = pl.read_ndjson(data, infer_schema_length=None)
        except pl.exceptions.PolarsError:
            pass  # some row is broken, or a field has types that have nothing in common: below, each is looked at
        else:
            numbers = numbered(block.first, block.count) if whole else _numbers(block.numbers)
            if len(frame) == len(numbers):
                return Rows(frame, numbers, failures, lambda: block.lines)
    good: list[dict[str, Any]] = []
    good_numbers: list[int] = []
    good_lines: list[bytes] = []
    for number, line in zip(block.numbers, block.lines, strict=True):
        row = json_object(path, number, line)
        if isinstance(row, Failure):
            failures.append(row)
        else:
            good.append(row)
            good_numbers.append(number)
            good_lines.append(line)
    return Rows(frame_of(good), _numbers(good_numbers), failures, lambda: good_lines)


def _numbers(numbers: list[int]) -> pl.Series:
    return pl.Series(numbers, dtype=pl.Int64)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
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


def read_json(source: Source) -> Iterator[Rows]:
    """One object, or an array of them; all of it in memory, so at most 512 MB.

    Raises:
        AigcError: it is larger, UTF-16, or no JSON.
    """
    path = source.path
    with source.bytes() as stream:
        data = stream.read(MAX_JSON + 1)
    _refuse_wide(path, data)
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
        yield parse_block(path, Lines(b"\n".join(lines), start + 1))
