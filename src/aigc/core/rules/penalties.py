"""What is flagged in documents into spans that are learned with less weight, not at all, or pushed down."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from typing import Any

import numpy as np
import polars as pl

from aigc.core.batches.example import Example, Reader, Span
from aigc.core.rules.flags import Condition, Flags, flags, name_of_row, parts_of
from aigc.core.rules.rule import said
from aigc.core.rules.steps import order_of

__all__ = ["Penalty", "Tally", "penalised", "settled"]

EXAMPLES = 3
CUT = 200  # characters of an example


@dataclass(frozen=True)
class Penalty:
    """What is flagged, and how it is learned."""

    condition: Condition
    weight: float  # of what is flagged: 0 to below 1 (0: read only), or below 0: pushed down by so strong an unlikelihood term

    @property
    def by(self) -> str:
        """What becomes of it, in a word."""
        return "unlikelihood" if self.weight < 0 else "weigh" if self.weight else "mask"


@dataclass
class Count:
    """What one penalty flagged, before the harshest of all won."""

    documents: int = 0
    spans: int = 0
    characters: int = 0
    examples: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)  # with the smallest hashes of their ids


@dataclass
class Tally:
    """What penalties did to all documents that were read; batches add to it."""

    penalties: Sequence[Penalty]
    documents: int = 0
    characters: int = 0  # that are learned at all
    touched: int = 0  # documents with a weight other than 1 because of any of them
    counts: list[Count] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = [Count() for _ in self.penalties]

    def told(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "touched": self.touched,
            "penalties": [_told(penalty, count) for penalty, count in zip(self.penalties, self.counts, strict=True)],
        }


def _told(penalty: Penalty, count: Count) -> dict[str, Any]:
    condition = penalty.condition
    return {
        "rule": condition.name,
        "bounds": [] if isinstance(condition.by, str) else [said(*bound) for bound in condition.by.bounds()],
        "on": None if isinstance(condition.by, str) else condition.on,
        "by": penalty.by,
        "weight": penalty.weight,
        "documents": count.documents,
        "spans": count.spans,
        "characters": count.characters,
        "examples": [example for _, example in count.examples],
    }


def penalised(read: Reader, penalties: Sequence[Penalty], tally: Tally, *, structure: re.Pattern[str] | None = None) -> Reader:
    """A reader whose examples have spans for what is flagged, beside those that they had. Prompts are not looked at.

    Where spans overlap, the harshest wins: pushed down the strongest, then read only, then the least weight. What was read only
    before, such as the user's turns of a chat, is not flagged and stays as it is.

    Args:
        read: documents into examples.
        tally: adds up what is flagged.
        structure: special tokens of rendered chats, which are never flagged.

    Raises:
        AigcError: as `flags` does, when it reads.
    """

    def reader(frame: pl.DataFrame) -> list[Example]:
        examples = list(read(frame))
        parts = parts_of(examples, structure)
        tally.documents += len(examples)
        tally.characters += sum(part.end - part.begin for part in parts)
        more: dict[int, list[Span]] = {}
        for penalty, count in zip(penalties, tally.counts, strict=True):
            found = flags(frame, examples, parts, penalty.condition)
            _add(count, found, frame, examples)
            for row, begin, end in found.tolist():
                more.setdefault(row, []).append(Span(begin, end, penalty.weight))
        tally.touched += len(more)
        for row, spans in more.items():
            examples[row] = replace(examples[row], spans=settled(examples[row].spans, spans))
        return examples

    return reader


def _add(count: Count, found: Flags, frame: pl.DataFrame, examples: Sequence[Example]) -> None:
    if not len(found):
        return
    rows, firsts = np.unique(found[:, 0], return_index=True)
    count.documents += len(rows)
    count.spans += len(found)
    count.characters += int((found[:, 2] - found[:, 1]).sum())
    new = []
    for first in firsts.tolist():
        row, begin, end = found[first].tolist()
        name = name_of_row(frame, row)
        new.append((order_of(name), {"id": name, "flagged": examples[row].completion[begin:end][:CUT]}))
    count.examples = nsmallest(EXAMPLES, [*count.examples, *new], key=lambda one: one[0])


def settled(before: Sequence[Span], more: Sequence[Span]) -> tuple[Span, ...]:
    """Spans that may overlap into disjoint ones, ascending, each character with the harshest weight of its spans.

    Args:
        before: those of them that have weight 0 stay so, whatever `more` says.
    """
    edges = np.unique([at for span in (*before, *more) for at in (span.begin, span.end)])
    weights = np.full(max(len(edges) - 1, 0), np.inf)

    def among(span: Span) -> slice:
        return slice(*np.searchsorted(edges, (span.begin, span.end)).tolist())

    for span in (*before, *more):
        weights[among(span)] = np.minimum(weights[among(span)], span.weight)
    for span in before:
        if span.weight == 0:
            weights[among(span)] = 0
    found: list[Span] = []
    for begin, end, weight in zip(edges[:-1].tolist(), edges[1:].tolist(), weights.tolist(), strict=True):
        if weight == np.inf:
            continue
        if found and found[-1].end == begin and found[-1].weight == weight:
            begin = found.pop().begin
        found.append(Span(begin, end, weight))
    return tuple(found)
