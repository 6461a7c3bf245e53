"""Rows of a file, of stdin or of the project file into prompts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.core.documents.files import expand
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
        name = f"{number:06d}"
        if isinstance(row, Failure):
            yield BadPrompt(name, origin, row.reason)
            continue
        if row.get("id") is not None and str(row["id"]) not in used:
            name = str(row["id"])
        used.add(name)
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
            if path.suffix == ".txt":
                yield from _lines(path)
            else:
                yield from rows_of(path)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", {"prompt": line.rstrip("\n")}
