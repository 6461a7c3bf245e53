"""Pieces into texts with hidden spans for the encoder, and the spans for the decoder to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.objective import Marks, decoder_start, room, share_within
from aigc.core.batches.objectives.ranges import after, braid, owners, sampled, shifted
from aigc.core.batches.objectives.subset import parted
from aigc.core.batches.objectives.window import lay
from aigc.core.batches.sample import Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["SpanCorruption", "spans"]


@dataclass(frozen=True)
class SpanCorruption:
    """Span corruption (Raffel et al. 2020, T5).

    The source is `start` + the text with a sentinel in place of each hidden span + `end`; the decoder says each sentinel and the
    span that it stands for, then `end`. A prompt is read and never hidden.

    Raises:
        AigcError: the codec has no sentinels, or a parameter is out of bounds.
    """

    codec: Vocabulary
    share: float = 0.15  # of the tokens that are hidden
    span: float = 3.0  # tokens in a span, on average

    marks: ClassVar[Marks | None] = None
    overlap: ClassVar[int] = 0

    def __post_init__(self) -> None:
        share_within("share", self.share)
        if self.span < 1:
            raise AigcError(f"the objective's mean length of a span is {self.span:g}: it has to be 1 or more")
        if not self.codec.sentinels:
            raise AigcError("span corruption needs sentinels, and the tokenizer has none: train one with sentinels")

    @property
    def target_share(self) -> float:
        """Of n tokens the decoder says n x (share + share / span), the source keeps n x (1 - share + share / span).

        That is 0.22 by default; a tenth is added, for each side has an `end` too and counts are rounded.
        """
        sentinels = self.share / self.span
        return 1.1 * (self.share + sentinels) / (1 - self.share + sentinels)

    def content(self, context: int) -> int:
        """The context without start and end, or less where the decoder's side is the longer one."""
        most = room(context, len(self.codec.start) + 1)
        lengths = np.arange(1, most + 1)
        hidden, number = spans(lengths, self.share, self.span, len(self.codec.sentinels))
        return room(int(np.max(lengths[hidden + number + 1 <= context], initial=0)), 0)

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece that has any text to learn."""
        sentinels = self.codec.sentinels
        window = lay([piece for piece in pieces if piece.unlearned < len(piece.ids) - piece.tail], self.codec, *sentinels)
        lengths = window.ends - window.bodies
        hidden, counts = spans(lengths, self.share, self.span, len(sentinels))
        row, number = owners(counts)
        kept = parted(lengths - hidden, counts, rng)
        gone = parted(hidden, counts, rng)
        begins = after(kept + gone)[:-1] + (window.bodies - after(lengths)[:-1])[row]
        sentinel = (window.others + number, 1)
        where, source_bounds = braid(
            [window.start, (window.begins, window.bodies - window.begins)],
            counts,
            [(begins, kept), sentinel],
            [window.end],
        )
        said, bounds = braid([], counts, [sentinel, (begins + kept, gone)], [window.end])
        labels = window.ids[said]
        input_ids = shifted(labels, bounds, decoder_start(self.codec))
        return sampled(window.documents, bounds, input_ids, labels, source=(window.ids[where], source_bounds))


def spans(lengths: Ids, share: float, mean: float, most: int) -> tuple[Ids, Ids]:
    """How many tokens are hidden of texts of these lengths (n,), and in how many spans, at most `most`.

    Source: `random_spans_noise_mask` in t5/data/preprocessors.py: round(n x share) tokens, but neither none nor all, in
    round(tokens / mean) spans with a token between each two. A text of one token is hidden.
    """
    hidden = np.clip(np.rint(lengths * share).astype(np.int64), 1, np.maximum(lengths - 1, 1))
    number = np.rint(np.minimum(hidden, lengths - hidden) / mean).astype(np.int64)
    return hidden, np.clip(number, 1, most)
