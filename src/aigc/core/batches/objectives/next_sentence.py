"""Pieces into pairs of texts of which the second follows on or is of another document, with hidden tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aigc.core.batches.objectives.masking import mask_of
from aigc.core.batches.objectives.objective import Marks, rate_within, room, share_within
from aigc.core.batches.objectives.pairs import SPECIALS, Cuts, cut, joined
from aigc.core.batches.sample import Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["NextSentence", "exchanges"]


@dataclass(frozen=True)
class NextSentence:
    """Masked language modelling and next sentence prediction (Devlin et al. 2019).

    Half of the texts give their second part to a text of another document and take its second part, which is just as long: so
    every token stays in exactly one sample, and no length tells whether a pair follows on.

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
        at, partner = exchanges(cuts, rng)
        second = (at[partner], (cuts.ends - at)[partner])
        random = partner != np.arange(len(partner))
        return joined(cuts, ((cuts.begins, at - cuts.begins), second), random, codec=self.codec, share=self.share, rng=rng)


def exchanges(cuts: Cuts, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Which texts exchange their second parts, and where they are cut to have them of one length.

    Half of the texts are drawn. Those whose second parts are of one length already are paired; the others are cut at another
    sentence for it; and the few for which there is none (in a window of few documents), between two tokens. Texts that find no
    other document stay as they are.

    Returns:
        (S,) the cuts, and (S,) the text whose second part a text takes: its own where nothing is exchanged.
    """
    at = cuts.cuts.copy()
    partner = np.arange(len(at))
    drawn = np.flatnonzero((rng.random(len(at)) < 0.5) & (cuts.ends - cuts.begins > 1))
    order = drawn[np.lexsort((rng.random(len(drawn)), (cuts.ends - at)[drawn]))]
    lengths, documents = (cuts.ends - at).tolist(), cuts.documents.tolist()

    def exchange(one: int, other: int, length: int) -> None:
        at[[one, other]] = cuts.ends[[one, other]] - length
        partner[one], partner[other] = other, one

    left: list[int] = []
    for text in order.tolist():
        if left and lengths[left[-1]] == lengths[text] and documents[left[-1]] != documents[text]:
            exchange(left.pop(), text, lengths[text])
        else:
            left.append(text)
    lone = _recut(cuts, [left[i] for i in rng.permutation(len(left))], exchange)
    waiting: list[int] = []
    for text in sorted(lone, key=lambda text: int(cuts.ends[text] - cuts.begins[text])):
        if waiting and documents[waiting[-1]] != documents[text]:
            other = waiting.pop()
            exchange(other, text, lengths[other])
        else:
            waiting.append(text)
    return at, partner


def _recut(cuts: Cuts, texts: list[int], exchange: Callable[[int, int, int], None]) -> list[int]:
    """Pair texts that can be cut at sentences so that their second parts are of one length; those that are left."""
    waiting: dict[int, list[int]] = {}  # by the length of a second part, the texts that can have it
    paired: set[int] = set()
    documents, ends = cuts.documents.tolist(), cuts.ends.tolist()
    for text in texts:
        lengths = [ends[text] - at for at in cuts.inner[cuts.bounds[text] : cuts.bounds[text + 1]].tolist()]
        for length in lengths:
            free = (other for other in waiting.get(length, ()) if other not in paired and documents[other] != documents[text])
            other = next(free, None)
            if other is not None:
                exchange(other, text, length)
                paired |= {other, text}
                break
        else:
            for length in lengths:
                waiting.setdefault(length, []).append(text)
    return [text for text in texts if text not in paired]
