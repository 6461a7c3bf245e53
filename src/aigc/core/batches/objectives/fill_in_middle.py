"""Pieces into samples in which each token says the next one, half of the documents with their middle moved to the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.causal import next_tokens
from aigc.core.batches.objectives.objective import Marks, rate_within, room
from aigc.core.batches.objectives.ranges import braid, sampled
from aigc.core.batches.objectives.window import lay
from aigc.core.batches.sample import IGNORED, Piece, Sample
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["FillInMiddle"]


@dataclass(frozen=True)
class FillInMiddle:
    """Fill in the middle (Bavarian et al. 2022), on tokens.

    A document is cut at two places, each place between two tokens equally likely, into prefix, middle and suffix. With the ids
    PRE, SUF and MID it becomes PRE prefix SUF suffix MID middle, or, in the second of the paper's two suffix-first forms, which
    it trains together with the other one, PRE SUF suffix MID prefix middle; `end` behind it ends the middle. The loss is on
    prefix, suffix and middle, as in the paper, so that nothing of the text goes unlearned; the paper does not leave out the
    three ids, and neither do we. Parts of a document that was cut stay as they are: their suffix would not be the end of anything.
    So do documents of which not every token weighs the same.

    Raises:
        AigcError: the codec has no ids for it, or a rate is none.
    """

    codec: Vocabulary
    rate: float = 0.5  # of the whole documents that are turned
    suffix_first: float = 0.5  # of those

    marks: ClassVar[Marks | None] = None
    overlap: ClassVar[int] = 1
    target_share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if self.codec.infill is None:
            raise AigcError("fill in the middle needs three ids of its own, and the tokenizer has none: train one with them")
        rate_within("rate", self.rate)
        rate_within("suffix_first", self.suffix_first)

    def content(self, context: int) -> int:
        """One token more than the context, which is only a label, and three less for the ids; but two at least."""
        return room(context, 3) + 1

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece of two tokens or more, in their order."""
        pieces = [piece for piece in pieces if len(piece.ids) > 1]
        starts = len(self.codec.start)
        whole = [
            piece.head and piece.tail and piece.weights is None and len(piece.ids) - 1 > max(starts, piece.unlearned)
            for piece in pieces
        ]
        turned = (rng.random(len(pieces)) < self.rate) & np.array(whole, np.bool_)
        moved = iter(self._turned([pieces[number] for number in np.flatnonzero(turned)], rng))
        return [next(moved) if turn else next_tokens(piece) for piece, turn in zip(pieces, turned.tolist(), strict=True)]

    def _turned(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        assert self.codec.infill is not None
        window = lay(pieces, self.codec, *self.codec.infill)
        pre, suf, mid = ((window.others + number, 1) for number in range(3))
        sizes = window.ends - window.bodies
        none = np.zeros(len(sizes), np.int64)
        low, high = np.sort(rng.integers(0, sizes + 1, (2, len(sizes))), axis=0) + window.bodies
        first = rng.random(len(sizes)) < self.suffix_first
        prefix, suffix, middle = (window.bodies, low - window.bodies), (high, window.ends - high), (low, high - low)
        where, bounds = braid(
            [
                window.start,
                (window.begins, window.bodies - window.begins),
                pre,
                (prefix[0], np.where(first, 0, prefix[1])),
                suf,
                suffix,
                mid,
                (prefix[0], np.where(first, prefix[1], 0)),
                middle,
                window.end,
            ],
            none,
        )
        ids, labels = window.ids[where], window.labels[where]
        labels[(where >= window.start[0]) & (where < window.end[0])] = IGNORED
        return sampled(
            window.documents,
            bounds - np.arange(len(bounds)),
            np.delete(ids, bounds[1:] - 1),
            np.delete(labels, bounds[:-1]),
        )
