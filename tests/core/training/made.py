"""Made-up training data: documents of random tokens as streams."""

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import Corpus, Stream
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import TrainingData

__all__ = ["data_of", "stream_of"]


def stream_of(
    codec: TextCodec, documents: list[tuple[int, int]], *, rows: int = 2, context: int = 16, whole: bool = True, seed: int = 1
) -> Stream:
    """A causal stream of documents of so many tokens that are read only and so many that are learned."""
    lengths = np.array([head + tail for head, tail in documents], np.int64)
    tokens: NDArray[np.uint16] = np.random.default_rng(0).integers(1, 300, lengths.sum()).astype(np.uint16)
    heads = np.array([head for head, _ in documents], np.int32)
    shards = Shards(tokens, np.cumsum(lengths), heads, np.arange(len(documents)), np.zeros(0, np.int64), 1)
    pieces = Pieces.of(shards, content=context + 1, overlap=1, whole=whole)
    return Stream.of([Corpus(pieces, 1.0)], Causal(codec), context=context, rows=rows, pad=codec.pad, seed=seed)


def data_of(codec: TextCodec, training: Stream, validation: Stream) -> TrainingData:
    """Both as a run takes them."""
    return TrainingData(
        training,
        validation,
        training.accounting(),
        validation.accounting(),
        codec.byte_lengths,
        lambda documents: [f"doc-{document}" for document in documents],
    )
