"""A stream of documents into how well a language model tells each of them."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.batches.stream import Stream
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import head
from aigc.core.model.learner import Learner
from aigc.core.model.losses import token_scores

__all__ = ["Told", "told"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """Sums over the tokens that are to be told, for each of V documents."""

    documents: NDArray[np.int64]  # (V,) numbers in the split
    nats: Numbers
    tokens: Numbers
    right: Numbers  # tokens that the model holds the likeliest
    size: Numbers  # bytes of UTF-8 that the tokens stand for


@torch.no_grad()
def told(learner: Learner, stream: Stream, *, byte_lengths: NDArray[np.int64]) -> Told:
    """Read every document once.

    Args:
        byte_lengths: (V,) UTF-8 bytes that each token stands for.
    """
    learner.eval()
    device = next(learner.parameters()).device
    sums_D4 = np.zeros((sum(corpus.pieces.shards.documents for corpus in stream.corpora), 4))
    for samples in stream.once():
        batch = stream.collate(samples).to(device)
        with nullcontext() if learner.dtype is None else torch.autocast(device.type, learner.dtype):
            said = head(learner.model, hidden_states(learner.model, batch).index_select(0, batch.targets))
        nats, right = (one.cpu().double().numpy() for one in token_scores(said, batch.labels, learner.dtype))
        ends = batch.bounds[1 : len(samples) + 1].to(batch.targets.dtype)
        owners = batch.documents[torch.searchsorted(ends, batch.targets, right=True).cpu().numpy()]
        labels, wanted = batch.labels.cpu().numpy(), (batch.weights > 0).cpu().numpy()
        np.add.at(sums_D4, owners, np.stack([nats, np.ones(len(labels)), right, byte_lengths[labels]], 1) * wanted[:, None])
    documents = np.flatnonzero(sums_D4[:, 1])
    return Told(documents, *sums_D4[documents].T)
