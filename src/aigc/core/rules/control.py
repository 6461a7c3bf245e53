"""Examples into examples that begin with a token which tells whether they are safe (Korbak et al. 2023, conditional training)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from aigc.core.batches.example import Example, Reader, Span
from aigc.core.rules.flags import Condition, flags, name_of_row, parts_of
from aigc.core.rules.penalties import settled
from aigc.errors import AigcError

__all__ = ["Control", "ControlTally", "controlled", "guided"]


@dataclass
class ControlTally:
    """How many documents got which token; batches add to it."""

    safe: int = 0
    unsafe: int = 0

    def told(self) -> dict[str, Any]:
        """For report.json."""
        return {"safe": self.safe, "unsafe": self.unsafe}


@dataclass(frozen=True)
class Control:
    """The two tokens, and what makes a document unsafe: any of some conditions."""

    conditions: Sequence[Condition]
    safe: str
    unsafe: str


def controlled(
    read: Reader, control: Control, tally: ControlTally, *, start: str = "", structure: re.Pattern[str] | None = None
) -> Reader:
    """A reader whose examples begin with a control token, which is read and not learned.

    The tokens have to be in the vocabulary, and not as special ones: what a text says is encoded blind to special tokens.

    Args:
        read: documents into examples.
        tally: adds up who got which.
        start: what a rendered chat begins with; the token stands behind it.
        structure: special tokens of rendered chats, which are never flagged.

    Raises:
        AigcError: a text says a control token itself; or as `flags` does, when it reads.
    """

    def reader(frame: pl.DataFrame) -> list[Example]:
        examples = list(read(frame))
        parts = parts_of(examples, structure)
        unsafe = {row for one in control.conditions for row in flags(frame, examples, parts, one)[:, 0].tolist()}
        tally.unsafe += len(unsafe)
        tally.safe += len(examples) - len(unsafe)
        for row, example in enumerate(examples):
            for token in (control.safe, control.unsafe):
                if token in example.completion or token in example.prompt:
                    raise AigcError(f"control: document {name_of_row(frame, row)} says {token} itself; choose another token")
            examples[row] = guided(example, control.unsafe if row in unsafe else control.safe, start=start)
        return examples

    return reader


def guided(example: Example, token: str, *, start: str = "") -> Example:
    """An example with a token before it that is read only: before the prompt, and in a chat behind what it starts with."""
    if not example.literal:
        return replace(example, prompt=token + example.prompt)
    if example.prompt:
        at = len(start) if example.prompt.startswith(start) else 0
        return replace(example, prompt=example.prompt[:at] + token + example.prompt[at:])
    at = len(start) if example.completion.startswith(start) else 0
    size = len(token)
    moved = [Span(span.begin + size * (span.begin >= at), span.end + size * (span.end > at), span.weight) for span in example.spans]
    text = example.completion[:at] + token + example.completion[at:]
    return replace(example, completion=text, spans=settled([*moved, Span(at, at + size, 0.0)], []))
