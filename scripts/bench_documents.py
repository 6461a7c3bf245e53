"""Documents of token ids in memory as the stream that training reads, for the scripts that time it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import Corpus, Stream

__all__ = ["stream_of"]


class Ids:
    """The numbers of a codec that batches need: id 0 begins, ends and pads."""

    start, end, pad, mask, infill = [0], 0, 0, None, None
    sentinels: list[int] = []  # noqa: RUF012

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    @property
    def byte_lengths(self) -> NDArray[np.int64]:
        return np.ones(self.vocabulary, np.int64)


def stream_of(documents: Sequence[Sequence[int]], context: int, vocabulary: int, *, rows: int) -> Stream:
    """Causal batches of `rows * context` tokens, of documents each with the id 0 before and behind it."""
    ends = np.cumsum([len(one) for one in documents])
    tokens = np.concatenate([np.asarray(one, np.uint16) for one in documents])
    shards = Shards(tokens, ends, np.ones(len(documents), np.int32), np.arange(len(documents)), np.zeros(0, np.int64), 1)
    pieces = Pieces.of(shards, content=context + 1, overlap=1, whole=False)
    return Stream.of([Corpus(pieces, 1.0)], Causal(Ids(vocabulary)), context=context, rows=rows, pad=0, seed=0)
