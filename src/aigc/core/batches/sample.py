"""What an objective turns: pieces of tokenised documents into samples, each of which the model reads by itself."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["IGNORED", "Ids", "Piece", "Sample"]

Ids = NDArray[np.int64]
IGNORED = -100  # the label of a token that is not learned, as in torch's cross_entropy


@dataclass(frozen=True)
class Piece:
    """A stretch of one document's tokens, as they lie on disk: `start` + prompt + text + `end` of the codec, or a part of that.

    A rendered chat has neither start nor end. Of a pair of completions the rejected one, with an `end` too, stands behind the
    chosen one, and the only mark is where it begins.
    """

    document: int  # number of the document in its split, from 0
    ids: Ids  # (L,)
    head: bool  # the document begins here, with the codec's `start`
    tail: bool  # the document ends here, with the codec's `end`
    unlearned: int = 0  # tokens at the piece's head that are read but not learned: start and prompt
    marks: Ids = field(default_factory=lambda: np.zeros(0, np.int64))  # where a unit (sentence, paragraph, word) begins, ascending
    weights: NDArray[np.float32] | None = None  # (L,) of each token where it is a label, as those of a sample; None for 1 each
    target: float | None = None  # of the whole document, as that of a sample
    references: tuple[float, float] | None = None  # of a document with two completions: as those of its two samples


@dataclass(frozen=True)
class Sample:
    """What the model reads and learns at once. `labels[t]` is what the model has to say at `input_ids[t]`.

    For a decoder that is the token after it, for an encoder the token that was there before it was masked. Where `source_ids`
    are given, the encoder reads those, and `input_ids` are the decoder's.
    """

    document: int
    input_ids: Ids  # (L,)
    labels: Ids  # (L,) IGNORED where nothing is learned
    source_ids: Ids | None = None  # (S,) what an encoder-decoder reads
    token_types: Ids | None = None  # (L,) 0 for the first and 1 for the second of a pair of texts
    target: float | None = (
        None  # of the whole: its class (for a pair of texts 0 follows on, 1 does not), its value, 1 chosen or 0 rejected
    )
    reference: float | None = None  # nats: the labels' log-probability under the model that a preference is measured from
    mate: bool = False  # stands in a bin right behind the sample before it: the rejected one of a pair
    weights: NDArray[np.float32] | None = None  # (L,) of the labels, below 0 where they are pushed down; None for 1 each
