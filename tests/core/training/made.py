"""Made-up training data: documents of random tokens as streams."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.preferred import Preferred
from aigc.core.batches.objectives.sequences import Sequences
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import Corpus, Stream
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import TrainingData

__all__ = ["data_of", "pairs_of", "stream_of", "targets_of", "weighed"]


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


def targets_of(
    codec: TextCodec, lengths: list[int], *, classes: int = 3, rows: int = 2, context: int = 16, seed: int = 1
) -> Stream:
    """Documents of so many tokens, each with a target: the number of its class, which its first token tells."""
    plain = stream_of(codec, [(1, length - 1) for length in lengths], rows=rows, context=context, seed=seed)
    [corpus] = plain.corpora
    targets = np.arange(len(lengths), dtype=np.float32) % classes
    shards = replace(corpus.pieces.shards, targets=targets)
    shards.tokens[np.cumsum([0, *lengths[:-1]])] = 300 + targets.astype(int)
    pieces = Pieces.of(shards, content=context, overlap=0, whole=True)
    return replace(plain, corpora=[Corpus(pieces, 1.0)], objective=Sequences(codec))


def pairs_of(codec: TextCodec, documents: list[tuple[int, int, int]], *, rows: int = 3, context: int = 16, seed: int = 1) -> Stream:
    """Prompts of so many tokens, each with a chosen and a rejected completion of so many; the reference tells each at -3 nats."""
    plain = stream_of(codec, [(head, one + other) for head, one, other in documents], rows=rows, context=context, seed=seed)
    [corpus] = plain.corpora
    seconds = np.array([other for _, _, other in documents], np.int32)
    shards = replace(corpus.pieces.shards, seconds=seconds, references=np.full((len(documents), 2), -3.0, np.float32))
    pieces = Pieces.of(shards, content=context + 1, overlap=1, whole=True)
    return replace(plain, corpora=[Corpus(pieces, 1.0)], objective=Preferred(codec))


def weighed(stream: Stream, low: float, *, share: float = 0.3) -> Stream:
    """The same stream, with a share of its tokens of the weight `low`."""
    [corpus] = stream.corpora
    tokens = len(corpus.pieces.shards.tokens)
    weights = np.where(np.random.default_rng(7).random(tokens) < share, low, 1.0).astype(np.float32)
    pieces = replace(corpus.pieces, shards=replace(corpus.pieces.shards, weights=weights))
    return replace(stream, corpora=[Corpus(pieces, 1.0)])


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
