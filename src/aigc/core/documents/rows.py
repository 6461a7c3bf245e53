"""Rows as they stand in a file, before anybody asks for their text."""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

__all__ = ["BATCH_ROWS", "MAX_TEXT", "TOO_LONG", "Failure", "Rows", "numbered"]

BATCH_ROWS = 4096
MAX_TEXT = 64 << 20  # bytes of UTF-8; a longer text is a failure
TOO_LONG = f"a text of more than {MAX_TEXT >> 20} MB"


@dataclass(frozen=True)
class Failure:
    """A row that is no document."""

    origin: str  # file:line
    reason: str
    raw: str  # the start of what stood there


def _nothing() -> list[bytes]:
    return []


@dataclass(frozen=True)
class Rows:
    """Some rows of one file, and what was broken among them."""

    frame: pl.DataFrame
    numbers: pl.Series  # of lines or rows, counted from 1; as long as the frame
    failures: list[Failure] = field(default_factory=list)
    lines: Callable[[], list[bytes]] = _nothing  # the JSON of each row, where there is any


def numbered(first: int, count: int) -> pl.Series:
    """The numbers first, first + 1, ... of `count` rows."""
    return pl.int_range(first, first + count, eager=True)
