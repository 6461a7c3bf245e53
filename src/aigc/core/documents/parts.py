"""Rows without a text, in the formats that models are finetuned on, into the text that rules judge them by."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from aigc.core.documents.conversations import Broken, is_chat, messages_of

__all__ = ["PARTS", "parts_of", "text_of_parts"]

PARTS: Sequence[Sequence[str]] = (  # columns that say all of a document, in the order in which they are looked for
    ("messages",),
    ("conversations",),
    ("chosen", "rejected"),
    ("prompt", "completion"),
    ("instruction", "output"),
)
BEFORE = ("system", "prompt", "input")  # what may stand beside them


def parts_of(columns: Sequence[str]) -> list[str]:
    """The columns that a document without a text is made of, in their own order; none where no format is known by them."""
    form = next((names for names in PARTS if all(name in columns for name in names)), ())
    return [name for name in columns if name in (*form, *BEFORE)] if form else []


def text_of_parts(frame: pl.DataFrame) -> pl.Series | None:
    """What each row says, its parts one under the other; null where a part is broken, None where the format is not known."""
    names = parts_of(frame.columns)
    if not names:
        return None
    return pl.Series([_said(row) for row in frame.select(names).iter_rows()], dtype=pl.String)


def _said(row: Sequence[Any]) -> str | None:
    said: list[str] = []
    for value in row:
        if is_chat(value):
            try:
                said += [message.content for message in messages_of(value)]
            except Broken:
                return None
        elif isinstance(value, str):
            said.append(value)
        elif value is not None:
            return None
    return "\n".join(part for part in said if part) or None
