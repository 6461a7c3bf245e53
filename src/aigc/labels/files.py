"""Files of any format into their labels and texts, and files that get a label or lose it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aigc.core.documents.files import STDIN
from aigc.core.documents.formats.json import json_objects
from aigc.core.documents.rows import MAX_TEXT, TOO_LONG, Failure
from aigc.core.documents.source import Source
from aigc.errors import AigcError
from aigc.labels import docx, html, markdown, plain, rows
from aigc.labels.label import Found, Label

__all__ = ["Reading", "kind_of", "readings", "strip", "write"]

KINDS = {
    ".jsonl": "rows", ".ndjson": "rows", ".json": "json", ".md": "md", ".markdown": "md", ".html": "html", ".htm": "html",
    ".docx": "docx", ".txt": "txt",
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One text of a file."""

    name: str  # file, or file:line
    found: Found | None
    text: str  # without label and notice; empty where a row has none


def kind_of(path: Path) -> str:
    """How a file is read, by its name: rows, json, md, html, docx or txt. Stdin is rows.

    Raises:
        AigcError: the name says no format that can bear a label.
    """
    if path == STDIN:
        return "rows"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] in ([".gz"], [".zst"], [".xz"])
    kind = KINDS.get(suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else "")
    if kind is None or (packed and kind != "rows"):
        raise AigcError(f"{path}: no format that can bear a label; known are {', '.join(KINDS)}")
    return kind


def readings(path: Path) -> Iterator[Reading]:
    """The texts of a file with their labels: one, or one for each row.

    Raises:
        AigcError: the file cannot be read as what its name says.
    """
    kind = kind_of(path)
    if kind == "rows":
        for origin, row in json_objects(Source(path)):
            if isinstance(row, Failure):
                raise AigcError(f"{origin}: {row.reason}")
            yield _row(origin, row)
        return
    with _told(path):
        if kind == "json":
            value = json.loads(_text(path))
            for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
                if not isinstance(row, dict):
                    raise AigcError("holds no object with a text")
                yield _row(f"{path}:{number}" if isinstance(value, list) else str(path), row)
        elif kind == "docx":
            data = _bytes(path)
            yield Reading(str(path), docx.read(data), docx.text_of(data))
        elif kind == "txt":
            text, sidecar = _text(path), _sidecar(path)
            yield Reading(str(path), plain.read(text, sidecar), plain.strip(text, sidecar))
        else:
            text, form = _text(path), markdown if kind == "md" else html
            yield Reading(str(path), form.read(text), form.text_of(text))


def _row(name: str, row: dict[str, object]) -> Reading:
    text = row.get("text")
    return Reading(name, rows.read(row), text if isinstance(text, str) else "")


def write(path: Path, label: Label) -> None:
    """Give a file this label and no other.

    Raises:
        AigcError: it holds rows, which have a label each; or it cannot be read.
    """
    kind = kind_of(path)
    with _told(path):
        if kind == "docx":
            path.write_bytes(docx.write(_bytes(path), label))
        elif kind == "txt":
            text, sidecar = plain.write(_text(path), label, _sidecar(path))
            _put(path, text)
            _put(_beside(path), sidecar)
        elif kind in ("md", "html"):
            _put(path, (markdown if kind == "md" else html).write(_text(path), label))
        else:
            raise AigcError("each of its rows has a label of its own")


def strip(path: Path) -> None:
    """Take the label off a file.

    Raises:
        AigcError: it holds rows, or it cannot be read.
    """
    kind = kind_of(path)
    with _told(path):
        if kind == "docx":
            path.write_bytes(docx.strip(_bytes(path)))
        elif kind == "txt":
            _put(path, plain.strip(_text(path), _sidecar(path)))
            _beside(path).unlink(missing_ok=True)
        elif kind in ("md", "html"):
            _put(path, (markdown if kind == "md" else html).strip(_text(path)))
        else:
            raise AigcError("each of its rows has a label of its own")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong with a file is told with its name."""
    try:
        yield
    except FileNotFoundError:
        raise AigcError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise AigcError(f"{path}: not UTF-8 text (byte {error.start:,})") from None
    except (ValueError, RecursionError) as error:
        raise AigcError(f"{path}: not valid JSON: {error}") from None
    except AigcError as error:
        raise AigcError(f"{path}: {error}") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise AigcError(TOO_LONG)
    return data


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8")  # its line ends as they are


def _put(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def _beside(path: Path) -> Path:
    return path.with_name(path.name + plain.SIDECAR)


def _sidecar(path: Path) -> str | None:
    return _text(_beside(path)) if _beside(path).exists() else None
