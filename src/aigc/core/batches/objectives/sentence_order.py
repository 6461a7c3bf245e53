"""Pieces into pairs of texts that follow on each other or were swapped, with hidden tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.masking import mask_of
from aigc.core.batches.objectives.objective import Marks, rate_within, room, share_within
from aigc.core.batches.objectives.pairs import SPECIALS, cut, joined
from aigc.core.batches.sample import Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["SentenceOrder"]


@dataclass(frozen=True)
class SentenceOrder:
    """Masked language modelling and sentence order prediction (Lan et al. 2020, ALBERT): half of the pairs are swapped.

    Raises:
        AigcError: the codec has no mask token, or a share is none.
    """

    codec: Vocabulary
    share: float = 0.15  # of the tokens of text that are to be said
    short: float = 0.1  # of the pieces make several short pairs

    marks: ClassVar[Marks | None] = "sentence"
    overlap: ClassVar[int] = 0
    target_share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        mask_of(self.codec)
        share_within("share", self.share)
        rate_within("short", self.short)

    def content(self, context: int) -> int:
        """The context without start and two ends."""
        return room(context, len(self.codec.start) + SPECIALS)

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece, but for those that make short pairs; a text of one token is its own first part."""
        cuts = cut(pieces, self.codec, short=self.short, rng=rng)
        swapped = (rng.random(len(cuts.begins)) < 0.5) & (cuts.ends - cuts.begins > 1)
        ahead, behind = cuts.cuts - cuts.begins, cuts.ends - cuts.cuts
        parts = (
            (np.where(swapped, cuts.cuts, cuts.begins), np.where(swapped, behind, ahead)),
            (np.where(swapped, cuts.begins, cuts.cuts), np.where(swapped, ahead, behind)),
        )
        return joined(cuts, parts, swapped, codec=self.codec, share=self.share, rng=rng)
