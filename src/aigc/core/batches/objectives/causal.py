"""Pieces into samples in which each token says the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.objective import Marks, room
from aigc.core.batches.sample import IGNORED, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["Causal", "next_tokens"]


@dataclass(frozen=True)
class Causal:
    """Language modelling from left to right (Radford et al. 2018).

    The last token of a piece is only a label: the next piece of the document begins with it, so that every token but the
    document's first is learned once, and by its weight.
    """

    codec: Vocabulary

    marks: ClassVar[Marks | None] = None
    overlap: ClassVar[int] = 1
    target_share: ClassVar[float] = 0.0

    def content(self, context: int) -> int:
        """One token more than the context, which is only a label."""
        return room(context, 0) + 1

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece of two tokens or more."""
        return [next_tokens(piece) for piece in pieces if len(piece.ids) > 1]


def next_tokens(piece: Piece) -> Sample:
    """A sample of L - 1 inputs, whose labels are the tokens behind them; those before `unlearned` and of weight 0 are IGNORED."""
    labels = piece.ids[1:]
    weights = None if piece.weights is None else piece.weights[1:]
    if piece.unlearned > 1 or weights is not None:
        labels = labels.copy()
        labels[: max(piece.unlearned - 1, 0)] = IGNORED
        if weights is not None:
            labels[weights == 0] = IGNORED
    return Sample(document=piece.document, input_ids=piece.ids[:-1], labels=labels, weights=weights)
