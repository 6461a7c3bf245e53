"""A label in a JSON row: the fields `AIGC` and `ai_disclosure`."""

from collections.abc import Mapping
from typing import Any

from aigc.labels.label import AIGC, DISCLOSURE, Found, Label, found_in, refuse_faulty

__all__ = ["read", "strip", "write"]


def write(row: Mapping[str, Any], label: Label) -> dict[str, Any]:
    """The row with this label and no other, at its end. Its text stays as it is: who shows it shows the notice beside it.

    Raises:
        AigcError: the label breaks the standard.
    """
    refuse_faulty(label)
    return {**strip(row), AIGC: label.fields, DISCLOSURE: label.companion}


def strip(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without a label."""
    return {name: value for name, value in row.items() if name not in (AIGC, DISCLOSURE)}


def read(row: Mapping[str, Any], where: str = "field AIGC") -> Found | None:
    """The label of a row, None where it has none."""
    return found_in(row.get(AIGC), row.get(DISCLOSURE), where=where)
