"""HTML and Markdown files into rows, one document a file."""

import html
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import yaml

from aigc.core.documents.rows import Failure, Rows, numbered
from aigc.core.documents.source import Source

__all__ = ["read_html", "read_markdown"]

HEAD = 1 << 16  # characters in which a title or a front matter must end
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_TITLE = re.compile(r"<title(?:\s[^>]*)?>(.*?)</title", re.IGNORECASE | re.DOTALL)
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def read_html(source: Source) -> Iterator[Rows]:
    """The page as it stands, tags and all (the edit html_to_text takes the text out), with its `file` and `title`.

    A page that is no UTF-8 is read in the encoding that its `<meta charset>` names, if it can be.
    """
    page = source.whole_text(_declared_charset)
    if isinstance(page, Failure):
        yield Rows(pl.DataFrame(), numbered(1, 0), [page])
        return
    found = _TITLE.search(page, 0, HEAD)
    title = " ".join(html.unescape(found[1]).split()) if found else None
    fields = {"text": [page], "file": [source.path.name], "title": [title]}
    yield Rows(pl.DataFrame(fields, schema=dict.fromkeys(fields, pl.String)), numbered(1, 1))


def _declared_charset(head: bytes) -> str | None:
    found = _CHARSET.search(head, 0, 4096)  # the HTML standard looks at 1024 bytes
    return found[1].decode("ascii", "replace") if found else None


def read_markdown(source: Source) -> Iterator[Rows]:
    """The Markdown as it stands, with its `file`; the scalars of a YAML front matter become columns, and it leaves the text."""
    text = source.whole_text()
    if isinstance(text, Failure):
        yield Rows(pl.DataFrame(), numbered(1, 0), [text])
        return
    fields, body = _front_matter(text)
    for name in ("text", "file"):
        if name in fields:
            fields[f"original_{name}"] = fields.pop(name)
    yield Rows(pl.DataFrame([{"text": body, "file": source.path.name, **fields}]), numbered(1, 1))


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Scalars of the front matter and the rest; none and all of the text where it has no such thing."""
    found = _FRONT_MATTER.match(text, 0, HEAD)
    if found is None:
        return {}, text
    try:
        values = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError):  # e.g. a rule of dashes above and below a text
        return {}, text
    if not isinstance(values, dict):
        return {}, text
    fields = {str(key): value.isoformat() if isinstance(value, date) else value for key, value in values.items()}
    scalars = {key: value for key, value in fields.items() if isinstance(value, str | int | float | bool)}
    return scalars, text[found.end() :]
