"""A template such as "{title}\\n{text}" and a document's fields into text."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MissingField", "fields_of", "fill", "needed_fields"]

_PIECE = re.compile(r"\{\{|\}\}|\{(\w+)(?:\|([^{}]*))?\}")


class MissingField(Exception):
    """A template names a field that a row does not have."""

    def __init__(self, name: str, row: Mapping[str, Any]) -> None:
        super().__init__(f"the template needs the field {name!r}; fields found: {', '.join(map(str, row)) or 'none'}")


def fields_of(template: str) -> list[str]:
    """The fields that a template names, each once."""
    return list(dict.fromkeys(match[1] for match in _PIECE.finditer(template) if match[1]))


def needed_fields(template: str) -> list[str]:
    """Those of them that a row must have: the ones that somewhere stand without a bar."""
    return list(dict.fromkeys(match[1] for match in _PIECE.finditer(template) if match[1] and match[2] is None))


def fill(template: str, row: Mapping[str, Any]) -> str:
    """Put a row's fields in; `{{` and `}}` stand for braces, a field that is null for nothing.

    `{tone|calm}` is calm where the row has no tone, or one that is null or empty; `{tone|}` is nothing there.

    Raises:
        MissingField: the row lacks a field that has no such text.
    """

    def value(match: re.Match[str]) -> str:
        name, other = match[1], match[2]
        if name is None:
            return match[0][0]
        if other is not None:
            return other if row.get(name) in (None, "") else str(row[name])
        if name not in row:
            raise MissingField(name, row)
        return "" if row[name] is None else str(row[name])

    return _PIECE.sub(value, template)
