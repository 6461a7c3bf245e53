"""Pieces into pairs of paragraphs: one is read, the next one is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.objective import Marks, decoder_start, room
from aigc.core.batches.objectives.ranges import braid, owners, sampled, shifted
from aigc.core.batches.objectives.window import Window, lay
from aigc.core.batches.sample import IGNORED, Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["NextSegment"]

WHOLE = 1 << 20  # tokens of a piece: a document is only cut where its paragraphs are


@dataclass(frozen=True)
class NextSegment:
    """Each paragraph of a document says the next one, and `end` behind it.

    An encoder-decoder reads `start` + paragraph + `end` and says `start` + next paragraph + `end`. A decoder reads `start` +
    paragraph + next paragraph, each token only what stands before it, and learns the next paragraph and `end`: so it generates
    from a paragraph as a prompt. Paragraphs that do not fit (the context in an encoder-decoder, half of it in a decoder) are cut
    into even segments, a document of one paragraph into two, so that each token is read or said; the first segment of a piece is
    only read.
    """

    codec: Vocabulary
    context: int  # tokens on either side
    source: bool = True  # whether the model has an encoder

    marks: ClassVar[Marks | None] = "paragraph"
    overlap: ClassVar[int] = 0

    def __post_init__(self) -> None:
        self._limit()

    @property
    def target_share(self) -> float:
        """All paragraphs but the first are said, all but the last are read: 1, and a tenth for what is drawn."""
        return 1.1 if self.source else 0.0

    def content(self, context: int) -> int:
        """A piece of any length makes samples that fit into `context`, if the objective was built for it."""
        return WHOLE

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each two segments that follow on each other."""
        window = lay(pieces, self.codec)
        begins, ends, piece = self._segments(window)
        first = np.flatnonzero(piece[1:] == piece[:-1])
        read, said = (begins[first], (ends - begins)[first]), (begins[first + 1], (ends - begins)[first + 1])
        documents = window.documents[piece[first]]
        none = np.zeros(len(first), np.int64)
        if self.source:
            where, source_bounds = braid([window.start, read, window.end], none)
            target, bounds = braid([window.start, said, window.end], none)
            input_ids = shifted(window.ids[target], bounds, decoder_start(self.codec))
            return sampled(documents, bounds, input_ids, window.labels[target], source=(window.ids[where], source_bounds))
        inputs, bounds = braid([window.start, read, said], none)
        outputs, _ = braid([window.start, read, said, window.end], none)
        firsts = bounds[:-1] + np.arange(len(first))  # of the samples in the outputs, which are one longer each
        labels = window.labels[outputs]
        hidden, _ = braid([(firsts, window.start[1] + read[1])], none)
        labels[hidden] = IGNORED
        return sampled(documents, bounds, window.ids[inputs], np.delete(labels, firsts))

    def _limit(self) -> int:
        """The most tokens in a segment."""
        starts = len(self.codec.start)
        most = room(self.context, starts + 1)
        return most if self.source else (most + 1) // 2

    def _segments(self, window: Window) -> tuple[Ids, Ids, Ids]:
        """Where segments begin and end, and the number of their piece: paragraphs, or even parts of the long ones."""
        units = window.units(window.begins)
        alone = np.bincount(units.pieces, minlength=len(window.begins))[units.pieces] == 1
        parts = np.maximum(-(-units.lengths // self._limit()), np.where(alone, 2, 1))
        row, number = owners(parts)
        length, rest = np.divmod(units.lengths[row], parts[row])
        begins = units.begins[row] + number * length + np.minimum(number, rest)
        return begins, begins + length + (number < rest), units.pieces[row]
