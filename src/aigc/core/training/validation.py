"""The validation split into what a model makes of it."""

import math
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aigc.core.batches.stream import Stream
from aigc.core.training.replicas import Replicas, resharded

__all__ = ["Validation", "validate"]


@dataclass(frozen=True)
class Validation:
    """How well the validation split is told."""

    loss: float  # nats per label token
    bits_per_byte: float | None  # of the UTF-8 text that the labels stand for, so that tokenizers can be compared
    accuracy: float  # share of the label tokens that the model holds the likeliest
    pair_loss: float | None = None  # nats per pair of texts
    pair_accuracy: float | None = None

    def as_metrics(self) -> dict[str, float]:
        """For metrics.jsonl; what was not measured is left out."""
        names = {"loss": "validation_loss", "accuracy": "validation_accuracy"}
        return {names.get(name, name): value for name, value in asdict(self).items() if value is not None}


@torch.no_grad()
def validate(
    shared: nn.Module, stream: Stream, *, byte_lengths: NDArray[np.int64], replicas: Replicas, most: int | None = None
) -> Validation:
    """Read every piece of the validation split once, with the same masks each time.

    Args:
        shared: a Learner, or what `Replicas.share` made of it.
        byte_lengths: (V,) UTF-8 bytes that each token stands for.
        most: batches that are read at most.
    """
    device = next(shared.parameters()).device
    shared.eval()
    sums = np.zeros(6)  # nats, tokens right, tokens, bytes, nats of pairs, pairs right
    pairs = 0
    bins = islice(stream.once(), most)
    while turn := list(islice(bins, replicas.count)):
        own = replicas.rank < len(turn)  # sharded weights are gathered together: every process takes every turn
        batch = stream.collate(turn[replicas.rank if own else 0])
        found = shared(batch.to(device), token_total=1.0, pair_total=1.0)
        if not own:
            continue
        labels = batch.labels.numpy()
        sums += [
            float(found.token_sum),
            float(found.token_right),
            len(labels),
            float(byte_lengths[labels].sum()),
            float(found.pair_sum),
            float(found.pair_right),
        ]
        pairs += len(batch.documents) if batch.pairs is not None else 0
    resharded(shared)
    nats, right, tokens, size, pair_nats, pairs_right, pair_count = replicas.total([*sums.tolist(), pairs])
    return Validation(
        loss=nats / max(tokens, 1),
        bits_per_byte=nats / math.log(2) / size if size else None,
        accuracy=right / max(tokens, 1),
        pair_loss=pair_nats / pair_count if pair_count else None,
        pair_accuracy=pairs_right / pair_count if pair_count else None,
    )
