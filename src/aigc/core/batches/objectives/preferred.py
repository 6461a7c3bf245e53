"""Pieces with two completions into pairs of samples, the better one first; those with one into samples that are good or bad."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.causal import next_tokens
from aigc.core.batches.objectives.objective import Marks, room
from aigc.core.batches.sample import Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["Preferred"]


@dataclass(frozen=True)
class Preferred:
    """Preferences: each completion is read behind the prompt, and learned from left to right.

    A piece with a mark has two completions, of which the mark begins the rejected one (Rafailov et al. 2023): it makes two samples,
    chosen (target 1) and rejected (target 0), that stay together. One without has a completion that is good or bad, as its target
    says (Ethayarajh et al. 2024).
    """

    codec: Vocabulary

    marks: ClassVar[Marks | None] = None  # of units; those of a pair come with it
    overlap: ClassVar[int] = 1
    target_share: ClassVar[float] = 0.0

    def content(self, context: int) -> int:
        """One token more than the context, which is only a label: of a prompt with one completion, or with the other."""
        return room(context, 0) + 1

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """Two samples for each pair, and one for each piece of two tokens or more that is none."""
        samples = []
        for piece in pieces:
            if len(piece.marks):
                middle = int(piece.marks[0])
                rejected = np.concatenate([piece.ids[: piece.unlearned], piece.ids[middle:]])
                samples += [_judged(piece, piece.ids[:middle], 1.0), _judged(piece, rejected, 0.0, mate=True)]
            elif len(piece.ids) > 1:
                samples.append(_judged(piece, piece.ids, piece.target))
        return samples


def _judged(piece: Piece, ids: Ids, target: float | None, *, mate: bool = False) -> Sample:
    """The sample of a prompt with one completion; its reference is that of a good completion or that of a bad one."""
    reference = None if piece.references is None else piece.references[0 if target else 1]
    return replace(next_tokens(replace(piece, ids=ids)), target=target, reference=reference, mate=mate)
