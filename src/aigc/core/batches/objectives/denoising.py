"""Pieces into texts with shuffled sentences and hidden spans for the encoder, and the whole text for the decoder to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.masking import mask_of
from aigc.core.batches.objectives.objective import Marks, decoder_start, room, share_within
from aigc.core.batches.objectives.ranges import after, braid, indices, owners, sampled, shifted
from aigc.core.batches.objectives.subset import choose
from aigc.core.batches.objectives.window import Window, lay
from aigc.core.batches.sample import Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["Denoising", "infill_lengths"]


@dataclass(frozen=True)
class Denoising:
    """Text infilling and sentence permutation (Lewis et al. 2020, BART).

    The source is `start` + the text, its sentences in a random order and each hidden span behind one mask, + `end`; spans of no
    token insert a mask. The decoder says `start` + the text + `end`, as fairseq's denoising_dataset.py has it for each block. A
    prompt is read at its place, and neither hidden nor said.

    Raises:
        AigcError: the codec has no mask token, or a parameter is out of bounds.
    """

    codec: Vocabulary
    share: float = 0.3  # of the tokens that are hidden
    span: float = 3.0  # tokens in a span, Poisson
    shuffle: bool = True  # put the sentences in another order

    overlap: ClassVar[int] = 0

    def __post_init__(self) -> None:
        mask_of(self.codec)
        share_within("share", self.share)
        if not self.span > 0:
            raise AigcError(f"the objective's mean length of a span is {self.span:g}: it has to be above 0")

    @property
    def marks(self) -> Marks | None:
        """Sentences, where they are shuffled."""
        return "sentence" if self.shuffle else None

    @property
    def target_share(self) -> float:
        """The decoder says all n tokens, the source keeps n x (1 - share) and n x share / span masks, one a span.

        That is 1.25 by default (1 / 0.7 = 1.43 were there no masks); a twentieth is added, for the spans' lengths are drawn.
        """
        return 1.05 / (1 - self.share + min(self.share / self.span, self.share, 1 - self.share))

    def content(self, context: int) -> int:
        """The context without start and end: a source is never longer than its text."""
        return room(context, len(self.codec.start) + 1)

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """One sample for each piece that has any text to learn."""
        pieces = [piece for piece in pieces if piece.unlearned < len(piece.ids) - piece.tail]
        window = lay(pieces, self.codec, mask_of(self.codec))
        sizes = window.ends - window.bodies
        none = np.zeros(len(sizes), np.int64)
        order = self._order(window, rng)
        ids = np.concatenate((window.ids, window.ids[order]))
        shuffled = len(window.ids) + after(sizes)[:-1]  # where the shuffled bodies begin

        hidden = np.maximum(np.rint(sizes * self.share).astype(np.int64), 1)
        slots = sizes - hidden + 1  # before each token that is kept, and behind the last one
        gone, counts = infill_lengths(hidden, np.minimum(slots, hidden), self.span, rng)
        row, number = owners(counts)
        taken = np.flatnonzero(choose(slots, counts, rng)) - after(slots)[row]
        begins = taken + after(gone)[:-1] - np.repeat(after(gone)[after(counts)[:-1]], counts)
        behind = np.where(number == 0, 0, np.roll(begins + gone, 1))  # where the span before ends
        last = np.zeros(len(sizes), np.int64)
        last[row] = begins + gone  # the last write of each row stays
        where, source_bounds = braid(
            [window.start, (window.begins, window.bodies - window.begins)],
            counts,
            [(behind + shuffled[row], begins - behind), (window.others, 1)],
            [(last + shuffled, sizes - last), window.end],
        )
        said, bounds = braid([window.start, (window.begins, window.ends - window.begins), window.end], none)
        input_ids = shifted(window.ids[said], bounds, decoder_start(self.codec))
        return sampled(window.documents, bounds, input_ids, window.labels[said], source=(ids[where], source_bounds))

    def _order(self, window: Window, rng: np.random.Generator) -> Ids:
        """The bodies' tokens behind each other, the sentences of each in a random order."""
        if not self.shuffle:
            return indices(window.bodies, window.ends - window.bodies)
        sentences = window.units(window.bodies)
        order = np.argsort(sentences.pieces + rng.random(len(sentences.pieces)))
        return indices(sentences.begins[order], sentences.lengths[order])


def infill_lengths(hidden: Ids, most: Ids, mean: float, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Poisson lengths, drawn until they add up to `hidden` (n,) tokens of each text; the last one is cut to fit.

    Where more than `most` (n,) would be needed, the last one of those takes the rest. They are turned by a random number of
    places in each text, for the one that was cut to fit would else always be the last.

    Returns:
        The lengths, behind each other, and how many each text has (n,).
    """
    columns = int(min(most.max(initial=0), hidden.max(initial=0) / max(mean, 0.1) * 2 + 16))
    drawn = rng.poisson(mean, (len(hidden), columns))
    sums = np.cumsum(drawn, axis=1)
    counts = np.minimum((sums < hidden[:, None]).sum(1) + 1, np.minimum(most, columns))
    rows = np.arange(len(hidden))
    drawn[rows, counts - 1] += hidden - sums[rows, counts - 1]
    row, number = owners(counts)
    turned = (number + rng.integers(0, counts)[row]) % counts[row]
    return drawn[row, turned], counts
