"""Examples into the characters that a condition flags: a measure whose bounds are broken, or a column of the documents."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aigc.core.batches.example import Example
from aigc.core.rules.apply import apply
from aigc.core.rules.rule import Measure
from aigc.core.rules.table import name_of
from aigc.core.tokens.units import marks_of
from aigc.errors import AigcError

__all__ = ["Condition", "Flags", "Part", "Place", "flags", "name_of_row", "parts_of"]

Place = Literal["document", "sentence", "span"]
Flags = NDArray[np.int64]
"""(F, 3) the row of an example, the first character that is flagged in its completion, and the one behind the last."""


@dataclass(frozen=True)
class Condition:
    """What is flagged."""

    by: Measure | str  # what breaks its bounds, or a column
    on: Place = "document"  # what a measure judges: whole texts, each sentence, or, if it knows them, the places that it counts

    @property
    def name(self) -> str:
        """As reports have it."""
        return f"column {self.by}" if isinstance(self.by, str) else name_of(self.by)


@dataclass(frozen=True)
class Part:
    """Characters [begin, end) of an example's completion that are learned: all, or a turn of a chat."""

    row: int
    begin: int
    end: int


def parts_of(examples: Sequence[Example], structure: re.Pattern[str] | None = None) -> list[Part]:
    """What is learned of each example, less what spans make read only. One that is empty has no part.

    Args:
        structure: special tokens of rendered chats: they are learned as they are, and none of a text's meaning.
    """
    found: list[Part] = []
    for row, example in enumerate(examples):
        if not example.spans and not example.literal:
            if example.completion:
                found.append(Part(row, 0, len(example.completion)))
            continue
        left_out = [(span.begin, span.end) for span in example.spans if span.weight == 0]
        if example.literal and structure is not None:
            left_out += [match.span() for match in structure.finditer(example.completion)]
        begin = 0
        for start, end in sorted([*left_out, (len(example.completion),) * 2]):
            if example.completion[begin:start].strip():
                found.append(Part(row, begin, start))
            begin = max(begin, end)
    return found


def flags(frame: pl.DataFrame, examples: Sequence[Example], parts: Sequence[Part], condition: Condition) -> Flags:
    """What a condition flags of the parts, ascending.

    A measure judges each part by itself. A column says true (all parts of the example) or has spans: their characters are counted
    in the column `text` where that stands in the completion as it is, else in the completion.

    Args:
        frame: the documents, one for each example.
        parts: see `parts_of`.

    Raises:
        AigcError: there is no such column, or it says something else.
    """
    if isinstance(condition.by, str):
        return _of_column(frame, examples, parts, condition.by)
    texts = [examples[part.row].completion[part.begin : part.end] for part in parts]
    found = _of_measure(texts, condition.by, condition.on)
    rows, begins = (np.array([getattr(part, name) for part in parts], np.int64) for name in ("row", "begin"))
    first = begins[found[:, 0]]
    return np.stack([rows[found[:, 0]], first + found[:, 1], first + found[:, 2]], axis=1)


def _of_measure(texts: Sequence[str], measure: Measure, on: Place) -> Flags:
    if on == "sentence":
        cuts = [(number, begin, end) for number, text in enumerate(texts) for begin, end in _sentences(text)]
        hit = _broken([texts[number][begin:end] for number, begin, end in cuts], measure)
        return np.array(cuts, np.int64).reshape(-1, 3)[hit]
    hit = _broken(texts, measure)
    if on == "document":
        return np.array([(number, 0, len(texts[number])) for number in hit.tolist()], np.int64).reshape(-1, 3)
    find = getattr(measure, "spans", None)
    if find is None:
        raise AigcError(f"{name_of(measure)} judges a text and knows no places in it: flag documents or sentences by it")
    found: Flags = find(pl.Series([texts[number] for number in hit.tolist()], dtype=pl.String))
    return np.column_stack([hit[found[:, 0]], found[:, 1:]])


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    return pairwise([*marks_of("sentence")(text), len(text)])


def _broken(texts: Sequence[str], measure: Measure) -> NDArray[np.int64]:
    """The numbers of the texts that break a bound."""
    documents = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_row_index("id").cast(pl.String)
    (step,) = apply(documents, [measure]).steps
    return step.hit.arg_true().to_numpy().astype(np.int64)


def _of_column(frame: pl.DataFrame, examples: Sequence[Example], parts: Sequence[Part], name: str) -> Flags:
    if name not in frame.columns:
        raise AigcError(f"column {name!r} is not in the documents; columns found: {', '.join(frame.columns)}")
    by_row: dict[int, list[Part]] = {}
    for part in parts:
        by_row.setdefault(part.row, []).append(part)
    found: list[tuple[int, int, int]] = []
    for row, value in enumerate(frame[name].to_list()):
        try:
            said = _said(value)
        except (ValueError, TypeError):
            raise AigcError(
                f"document {name_of_row(frame, row)}: column {name!r} has {str(value)[:60]!r}; needed is true or false, or a list "
                "of [begin, end] character spans"
            ) from None
        if said is True:
            found += [(row, part.begin, part.end) for part in by_row.get(row, ())]
        elif said:
            found += _placed(frame, examples[row], row, name, said)
    return np.array(found, np.int64).reshape(-1, 3)


def _said(value: Any) -> bool | list[tuple[int, int]]:
    """What a column says of a document. CSV has text only: there `true` and `[[0, 4]]` are written out."""
    if isinstance(value, str):
        word = value.strip().lower()
        value = False if not word else json.loads(word)
    if value is None or value != value:  # nothing, or not a number
        return False
    if not isinstance(value, list):
        if value not in (0, 1):
            raise ValueError(value)
        return bool(value)
    pairs = [(begin, end) for begin, end in value]
    if any(not isinstance(at, int) for pair in pairs for at in pair) or any(not 0 <= begin <= end for begin, end in pairs):
        raise ValueError(value)
    return sorted(pair for pair in pairs if pair[0] < pair[1])


def _placed(
    frame: pl.DataFrame, example: Example, row: int, name: str, pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, int]]:
    """Spans of a column as characters of the completion."""
    text = frame["text"][row] if frame.schema.get("text") == pl.String else None
    at = example.completion.find(text) if text else -1
    if at < 0 and example.literal:
        raise AigcError(f"document {name_of_row(frame, row)}: spans of column {name!r} cannot be found in a chat that is rendered")
    shift, length = (at, len(text or "")) if at >= 0 else (0, len(example.completion))
    last = max(end for _, end in pairs)
    if last > length:
        where = f"document {name_of_row(frame, row)}: column {name!r}"
        raise AigcError(f"{where} has a span that ends at {last:,}, and the text has {length:,} characters")
    return ((row, shift + begin, shift + end) for begin, end in pairs)


def name_of_row(frame: pl.DataFrame, row: int) -> str:
    """A document's id, or the number of its row where it has none."""
    return str(frame["id"][row]) if "id" in frame.columns else f"in row {row}"
