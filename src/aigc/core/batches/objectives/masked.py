"""Pieces into samples in which the hidden tokens are said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.masking import hidden, mask_of, picked
from aigc.core.batches.objectives.objective import Marks, plain_ids, room, share_within
from aigc.core.batches.objectives.ranges import braid, sampled
from aigc.core.batches.objectives.window import lay
from aigc.core.batches.sample import IGNORED, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["Masked"]


@dataclass(frozen=True)
class Masked:
    """Masked language modelling (Devlin et al. 2019): each sample is `start` + text + `end`, wherever its piece was cut.

    Raises:
        AigcError: the codec has no mask token, or the share is none.
    """

    codec: Vocabulary
    share: float = 0.15  # of the tokens of text that are to be said
    whole_words: bool = False  # hide all tokens of a word or none

    overlap: ClassVar[int] = 0
    target_share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        mask_of(self.codec)
        share_within("share", self.share)

    @property
    def marks(self) -> Marks | None:
        """Words, where they are hidden whole."""
        return "word" if self.whole_words else None

    def content(self, context: int) -> int:
        """The context without start and end."""
        return room(context, len(self.codec.start) + 1)

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece that has any text."""
        window = lay(pieces, self.codec)
        none = np.zeros(len(window.begins), np.int64)
        text = (window.begins, window.ends - window.begins)
        where, bounds = braid([window.start, text, window.end], none)
        ids = window.ids[where]
        free = plain_ids(self.codec)[ids] & (window.labels[where] != IGNORED)
        unit = None
        if self.whole_words:
            firsts = np.zeros(len(window.ids), np.int64)
            firsts[window.units(window.bodies).begins] = 1
            unit = np.cumsum(firsts[where])
        input_ids, labels = hidden(ids, picked(free, bounds, self.share, rng, unit), self.codec, rng)
        return sampled(window.documents, bounds, input_ids, labels)
