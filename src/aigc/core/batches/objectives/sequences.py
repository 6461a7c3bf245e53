"""Pieces into samples of which the model tells one thing: a class or a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.objective import Marks, room
from aigc.core.batches.sample import IGNORED, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["Sequences"]


@dataclass(frozen=True)
class Sequences:
    """Classification and regression: a whole document is read, its target told, and no token learned.

    A document that is longer than the context loses its tail, and keeps an `end`: a decoder tells the target there, and an encoder
    has always seen one behind a text.
    """

    codec: Vocabulary

    marks: ClassVar[Marks | None] = None
    overlap: ClassVar[int] = 0
    target_share: ClassVar[float] = 0.0

    def content(self, context: int) -> int:
        """The context, start and end among it."""
        room(context, len(self.codec.start) + 1)
        return context

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece, which has to be a whole document or its head."""
        assert all(piece.head for piece in pieces), "a target is that of a whole document"
        return [
            Sample(
                document=piece.document,
                input_ids=piece.ids if piece.tail else np.append(piece.ids[:-1], self.codec.end),
                labels=np.full(len(piece.ids), IGNORED, np.int64),
                target=piece.target,
            )
            for piece in pieces
        ]
