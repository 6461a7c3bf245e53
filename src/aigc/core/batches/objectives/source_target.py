"""Pieces into samples whose prompt an encoder reads and whose completion the decoder says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.objective import Marks, decoder_start, room
from aigc.core.batches.sample import IGNORED, Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["SourceTarget"]


@dataclass(frozen=True)
class SourceTarget:
    """Sequence to sequence: the encoder reads `start` + prompt + `end`, the decoder says `start` + completion + `end`.

    So T5 (which has no start) and BART are finetuned: the decoder reads what it says one place to the right, behind its own start.
    A prompt or a completion that is too long loses its tail. A prompt keeps an `end`; a completion that was cut does not learn one.
    """

    codec: Vocabulary
    context: int  # tokens on either side

    marks: ClassVar[Marks | None] = None
    overlap: ClassVar[int] = 0
    target_share: ClassVar[float] = 1.0  # the documents decide: a stream of them measures it, see `sizes`

    def __post_init__(self) -> None:
        self.content(self.context)

    def content(self, context: int) -> int:
        """Of a side as it lies on disk (`start` + prompt, completion + `end`): the context without what is put before or behind."""
        return room(context, max(len(self.codec.start), 1))

    def sizes(self, prompts: Ids, completions: Ids) -> tuple[Ids, Ids]:
        """(N,) tokens of the sources and of the targets of documents whose sides on disk have so many (N,)."""
        most = self.content(self.context)
        return np.minimum(prompts, most) + 1, np.minimum(completions, most) + len(self.codec.start)

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece, which has to be a whole document."""
        assert all(piece.head and piece.tail for piece in pieces), "a prompt and its completion are not cut"
        most = self.content(self.context)
        first, start, end = (np.array(ids, np.int64) for ids in ([decoder_start(self.codec)], self.codec.start, [self.codec.end]))
        samples = []
        for piece in pieces:
            said = np.concatenate([start, piece.ids[piece.unlearned :][:most]])
            labels, weights = said, None
            if piece.weights is not None:
                weights = np.concatenate([np.ones(len(start), np.float32), piece.weights[piece.unlearned :][:most]])
                labels = np.where(weights == 0, IGNORED, said)
            samples.append(
                Sample(
                    document=piece.document,
                    input_ids=np.concatenate([first, said[:-1]]),
                    labels=labels,
                    source_ids=np.concatenate([piece.ids[: piece.unlearned][:most], end]),
                    weights=weights,
                )
            )
        return samples
