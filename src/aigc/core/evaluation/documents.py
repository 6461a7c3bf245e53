"""A stream of documents into how well a language model tells each of them."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.batches.stream import Stream
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import Head, head
from aigc.core.model.learner import Learner

__all__ = ["Told", "told"]

ROWS = 512  # targets whose logits are whole in memory at a time
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
    sums: dict[int, Numbers] = {}
    for samples in stream.once():
        batch = stream.collate(samples).to(device)
        with nullcontext() if learner.dtype is None else torch.autocast(device.type, learner.dtype):
            hidden_NW = hidden_states(learner.model, batch)
            said = head(learner.model, hidden_NW.index_select(0, batch.targets))
        nats, right = _scored(said, batch.labels)
        places = torch.searchsorted(batch.bounds[1 : len(samples) + 1], batch.targets.to(torch.int32), right=True).cpu().numpy()
        labels, wanted = batch.labels.cpu().numpy(), (batch.weights > 0).cpu().numpy()
        table = np.stack([nats, np.ones(len(labels)), right, byte_lengths[labels]], axis=1) * wanted[:, None]
        for place, sample in enumerate(samples):
            sums[sample.document] = sums.get(sample.document, np.zeros(4)) + table[places == place].sum(0)
    columns = np.array([sums[document] for document in sorted(sums)]).reshape(-1, 4).T
    return Told(np.array(sorted(sums), np.int64), *columns)


def _scored(said: Head, labels: torch.Tensor) -> tuple[Numbers, Numbers]:
    nats, right = [np.zeros(0)], [np.zeros(0)]
    for at in range(0, len(labels), ROWS):
        some = labels[at : at + ROWS]
        logs = Head(said.hidden[at : at + ROWS].float(), said.weight.float(), said.bias).logits().log_softmax(-1)
        own = logs.gather(1, some[:, None])[:, 0]
        nats.append(-own.cpu().double().numpy())
        right.append((own >= logs.amax(-1)).cpu().double().numpy())
    return np.concatenate(nats), np.concatenate(right)
