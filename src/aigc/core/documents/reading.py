"""Files into batches of documents (id, text and whatever columns came along), with every broken row on record."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from aigc.core.documents.encodings import codec_of
from aigc.core.documents.files import Meter, format_of
from aigc.core.documents.formats.columns import read_arrow, read_parquet
from aigc.core.documents.formats.hub import read_hub
from aigc.core.documents.formats.json import json_object, json_objects, read_json, read_jsonl
from aigc.core.documents.formats.markup import read_html, read_markdown
from aigc.core.documents.formats.plain import read_txt
from aigc.core.documents.formats.table import read_table
from aigc.core.documents.ids import Ids
from aigc.core.documents.parts import parts_of, text_of_parts
from aigc.core.documents.rows import MAX_TEXT, TOO_LONG, Failure, Rows
from aigc.core.documents.source import Source, TxtDocuments
from aigc.errors import AigcError

__all__ = ["Batch", "Failure", "Reader", "rows_of"]

_FORMATS: dict[str, Callable[[Source], Iterator[Rows]]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_table,
    "tsv": read_table,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "txt": read_txt,
    "html": read_html,
    "md": read_markdown,
    "hub": read_hub,
}

TEXT = "text"  # the field of the text where no other is named; a document without it may be made of parts


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


class Reader:
    """Reads files into batches of documents. An id that is given is kept; else it is made from the text.

    Args:
        text_field: the column or JSON field of the text.
        id_field: the column or JSON field of the id.
        encoding: of txt, csv, tsv, html and md; None finds it, file by file.
        txt_documents: what is a document in a txt file.

    Raises:
        AigcError: both fields are the same, or the encoding is unknown.
    """

    def __init__(
        self,
        *,
        text_field: str = TEXT,
        id_field: str = "id",
        encoding: str | None = None,
        txt_documents: TxtDocuments = "file",
    ) -> None:
        if text_field == id_field:
            raise AigcError(f"clean.id_field: {id_field!r} is the text field as well")
        self.text_field = text_field
        self.id_field = id_field
        self.encoding = None if encoding is None else codec_of(encoding)
        self.txt_documents = txt_documents
        self.meter = Meter()
        self.of_parts: set[str] = set()  # the columns that texts were made of, where documents have no text
        self._ids = Ids()

    @property
    def renamed_ids(self) -> int:
        """How many documents had an id that was used before."""
        return self._ids.renamed

    def read(self, path: Path) -> Iterator[Batch]:
        """The documents of one file, in order.

        Raises:
            AigcError: the file cannot be read at all. Broken rows are `failures` of a batch.
        """
        source = Source(path, self.meter, self.encoding, self.txt_documents)
        for rows in _FORMATS[format_of(path)](source):
            yield self._documents(path, rows)

    def _documents(self, path: Path, rows: Rows) -> Batch:
        frame = rows.frame.with_columns(self._texts(rows))
        origins = pl.select(origin=pl.lit(f"{path}:") + rows.numbers.cast(pl.String)).to_series()
        text = frame[self.text_field]
        failures = rows.failures
        good = (text.str.len_bytes() <= MAX_TEXT).fill_null(False)
        if not good.all():
            none = text.is_null()
            too_long = [Failure(origin, TOO_LONG, "") for origin in origins.filter(~good & ~none)]
            failures = [*failures, *too_long, *self._without_text(rows.frame.filter(none), origins.filter(none))]
            frame, origins = frame.filter(good), origins.filter(good)
        for name, theirs in (("text", self.text_field), ("id", self.id_field)):
            if theirs != name and theirs in frame.columns:
                if name in frame.columns:
                    other = f"original_{name}"
                    while other in frame.columns:
                        other += "_"
                    frame = frame.rename({name: other})
                frame = frame.rename({theirs: name})
        given = frame["id"] if "id" in frame.columns and not frame.schema["id"].is_nested() else None
        frame = frame.with_columns(id=self._ids.unique(given, frame["text"]))
        others = [name for name in frame.columns if name not in ("id", "text")]
        return Batch(frame.select("id", "text", *others), origins, failures)

    def _texts(self, rows: Rows) -> pl.Series:
        """The column of texts; null where there is none."""
        frame, name = rows.frame, self.text_field
        if name == TEXT and name not in frame.columns and (told := text_of_parts(frame)) is not None:
            self.of_parts.update(parts_of(frame.columns))
            return told.rename(name)
        if name not in frame.columns or frame.schema[name].is_nested():
            return pl.Series(name, [None] * len(frame), dtype=pl.String)
        text = frame[name].cast(pl.String, strict=False)
        as_list = text.str.starts_with("[") & text.str.ends_with("]")
        as_object = text.str.starts_with("{") & text.str.ends_with("}")
        suspects = (as_list | as_object).fill_null(False).arg_true()
        lines = rows.lines() if len(suspects) else []
        if lines:  # a list or an object among strings is written out as JSON by Polars
            parsed = [json_object(Path(), 0, lines[row]) for row in suspects]
            wrong = [isinstance(fields, Failure) or not isinstance(fields.get(name), str) for fields in parsed]
            text = text.scatter(suspects.filter(pl.Series(wrong)), None)
        return text

    def _without_text(self, frame: pl.DataFrame, origins: pl.Series) -> Iterator[Failure]:
        reason = f"no text in field {self.text_field!r} (fields: {', '.join(frame.columns) or 'none'})"
        for origin, row in zip(origins, frame.iter_rows(named=True), strict=True):
            yield Failure(origin, reason, json.dumps(row, ensure_ascii=False, default=str)[:200])


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any] | Failure]]:
    """Each row of a file as (file:line, fields), or as a Failure, read as it arrives. Any format; for prompts."""
    source = Source(path)
    if format_of(path) == "jsonl":
        yield from json_objects(source)
        return
    for rows in _FORMATS[format_of(path)](source):
        for number, row in zip(rows.numbers, rows.frame.iter_rows(named=True), strict=True):
            yield f"{path}:{number}", row
        for failure in rows.failures:
            yield failure.origin, failure
