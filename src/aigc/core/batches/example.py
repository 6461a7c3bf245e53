"""What a row of a split is to a model: what it reads, what it learns of that, and what it tells of the whole."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

__all__ = ["Example", "Reader", "Span"]


@dataclass(frozen=True)
class Span:
    """Characters [begin, end) of a completion that weigh otherwise than 1."""

    begin: int
    end: int
    weight: float  # 0: read only; below 0: pushed down


@dataclass(frozen=True)
class Example:
    """A document to learn: the prompt is read only, the completion is learned."""

    completion: str
    prompt: str = ""
    row: int = 0  # which row of the split it is
    alternative: str | None = None  # another completion, to which the first is preferred
    target: float | None = None  # of the whole: the number of its class, its value; 1 for a good and 0 for a bad completion
    spans: tuple[Span, ...] = ()  # of the completion
    literal: bool = False  # a rendered chat: special tokens are written out in it, and no start or end is put round it

    @property
    def empty(self) -> bool:
        """Whether there is nothing to learn: no completion, or none to compare it with; a target can be told of nothing, too."""
        if self.target is not None:
            return False
        return _blank(self.completion) or (self.alternative is not None and _blank(self.alternative))

    def at(self, row: int) -> "Example":
        """The same of another row; half as dear as `replace`, which of a million headlines makes two seconds."""
        return Example(self.completion, self.prompt, row, self.alternative, self.target, self.spans, self.literal)


def _blank(text: str) -> bool:
    return not text or text.isspace()


Reader = Callable[[pl.DataFrame], list[Example]]
"""Rows of a split into examples: exactly one for each, in their order; the numbers of the rows are put in later."""
