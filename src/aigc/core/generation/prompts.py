"""Rows of a file, of stdin or of the project file into prompts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.core.documents.files import Meter, expand, format_of, opened
from aigc.core.documents.reading import Failure, rows_of
from aigc.core.documents.template import MissingField, fill

__all__ = ["BadPrompt", "Prompt", "read_prompts"]


@dataclass(frozen=True)
class Prompt:
    """A row whose template was filled."""

    id: str
    text: str


@dataclass(frozen=True)
class BadPrompt:
    """A row that is no prompt."""

    id: str
    origin: str
    reason: str


def read_prompts(given: str | Sequence[str | dict[str, Any]] | None, template: str) -> Iterator[Prompt | BadPrompt]:
    """Fill the template from each row, as rows arrive. An id that is given is kept, else it is the row's number.

    Args:
        given: a file, `-`, a list of texts or rows, or None for one row without fields.
        template: text with {field} places; a row that is a text has the one field `prompt`.
    """
    used: set[str] = set()
    for number, (origin, row) in enumerate(_rows(given)):
        name = f"{number:06d}" if isinstance(row, Failure) or row.get("id") is None else str(row["id"])
        name = next(unique for unique in (name, *(f"{name}#{count}" for count in range(2, number + 3))) if unique not in used)
        used.add(name)
        if isinstance(row, Failure):
            yield BadPrompt(name, origin, row.reason)
            continue
        try:
            yield Prompt(name, fill(template, row))
        except MissingField as error:
            yield BadPrompt(name, origin, str(error))


def _rows(given: str | Sequence[str | dict[str, Any]] | None) -> Iterator[tuple[str, dict[str, Any] | Failure]]:
    if given is None:
        yield "generate.prompt", {}
    elif not isinstance(given, str):
        for number, item in enumerate(given, start=1):
            yield f"generate.prompts:{number}", {"prompt": item} if isinstance(item, str) else item
    else:
        for path in expand([given]):
            if format_of(path) == "txt":
                yield from _lines(path)
            else:
                yield from rows_of(path)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | Failure]]:
    with opened(path, Meter()) as stream:
        for number, line in enumerate(stream, start=1):
            origin = f"{path}:{number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                yield origin, Failure(origin, "not UTF-8 text", "")
                continue
            if text.strip():
                yield origin, {"prompt": text}
