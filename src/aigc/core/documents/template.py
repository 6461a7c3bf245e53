"""A template such as "{title}\\n{text}" and a document's fields into text."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MissingField", "fields_of", "fill"]

_PIECE = re.compile(r"\{\{|\}\}|\{(\w+)\}")


class MissingField(Exception):
    """A template names a field that a row does not have."""

    def __init__(self, name: str, row: Mapping[str, Any]) -> None:
        super().__init__(f"the template needs the field {name!r}; fields found: {', '.join(map(str, row)) or 'none'}")


def fields_of(template: str) -> list[str]:
    """The fields that a template names, each once."""
    return list(dict.fromkeys(match[1] for match in _PIECE.finditer(template) if match[1]))


def fill(template: str, row: Mapping[str, Any]) -> str:
    """Put a row's fields in; `{{` and `}}` stand for braces, a field that is null for nothing.

    Raises:
        MissingField: the row lacks a field.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]
        if name not in row:
            raise MissingField(name, row)
        return "" if row[name] is None else str(row[name])

    return _PIECE.sub(value, template)
