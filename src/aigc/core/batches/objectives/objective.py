"""What an objective is: pieces of documents into samples, each of which the model reads by itself."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.sample import Piece, Sample
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["Marks", "Objective", "decoder_start", "plain_ids", "rate_within", "room", "share_within"]

Marks = Literal["sentence", "paragraph", "word"]


class Objective(Protocol):
    """Pieces into samples; deterministic given the pieces and the generator."""

    @property
    def marks(self) -> Marks | None:
        """The units whose beginnings a piece has to bring along."""

    @property
    def overlap(self) -> int:
        """Tokens at the end of a piece that the document's next piece begins with: 1 where the last one is only a label."""

    @property
    def target_share(self) -> float:
        """Decoder tokens per source token, rather too many than too few; 0 without a source; SourceTarget's is measured."""

    def content(self, context: int) -> int:
        """The longest piece, in tokens, of which no sample exceeds `context` inputs, nor as many tokens of source."""

    def __call__(self, pieces: Sequence[Piece], rng: np.random.Generator) -> list[Sample]:
        """The samples of a whole window of pieces; those of other documents are there to draw from."""


def plain_ids(codec: Vocabulary) -> NDArray[np.bool_]:
    """(V,) whether an id stands for text: it has bytes and none of the codec's special parts."""
    plain = np.asarray(codec.byte_lengths) > 0
    special = [*codec.start, codec.end, codec.pad, *codec.sentinels, *(codec.infill or ())]
    plain[special if codec.mask is None else [*special, codec.mask]] = False
    return plain


def decoder_start(codec: Vocabulary) -> int:
    """What a decoder with a source reads first: `pad` where texts have no start (T5), else `end` (BART), as in their configs."""
    return codec.end if codec.start else codec.pad


def room(context: int, taken: int) -> int:
    """Tokens of a context that are left for text where `taken` are needed for others.

    Raises:
        AigcError: nothing is left.
    """
    if context - taken < 1:
        raise AigcError(f"a context of {context} tokens has no room for text: this objective needs {taken} for special tokens")
    return context - taken


def share_within(name: str, value: float) -> None:
    """Check that a share lies between 0 and 1, both excluded.

    Raises:
        AigcError: it does not.
    """
    if not 0 < value < 1:
        raise AigcError(f"the objective's {name} is {value:g}: it has to lie between 0 and 1")


def rate_within(name: str, value: float) -> None:
    """Check that a probability lies between 0 and 1, both included.

    Raises:
        AigcError: it does not.
    """
    if not 0 <= value <= 1:
        raise AigcError(f"the objective's {name} is {value:g}: it has to be from 0 to 1")
