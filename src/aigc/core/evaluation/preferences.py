"""A stream of pairs into how often a model holds the chosen completion the likelier."""

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.stream import Stream
from aigc.core.evaluation.intervals import Metric, mean
from aigc.core.model.learner import Learner
from aigc.core.model.preference import log_probabilities

__all__ = ["Likelihoods", "likelihoods", "preference_metrics"]

Likelihoods = NDArray[np.float64]
"""(N, 2, 2) of each document its chosen and its rejected completion: nats, and tokens; NaN where there is none."""


def likelihoods(learner: Learner, stream: Stream) -> Likelihoods:
    """Read every completion once."""
    learner.eval()
    device = next(learner.parameters()).device
    found = np.full((sum(corpus.pieces.shards.documents for corpus in stream.corpora), 2, 2), np.nan)
    for samples in stream.once():
        batch = stream.collate(samples)
        nats = log_probabilities(learner, batch.to(device)).cpu().tolist()
        for sample, value in zip(samples, nats, strict=False):
            found[sample.document, 0 if sample.target else 1] = value, int((sample.labels >= 0).sum())
    return found


def preference_metrics(result: Likelihoods, baseline: Likelihoods) -> dict[str, Metric]:
    """Of pairs: `accuracy`, the chosen completion is the likelier one per token; `win_rate`, it gained more than the rejected one.

    Gained: over the model that training began with, in nats, as the rewards of DPO (Rafailov et al. 2023).
    """
    pairs = ~np.isnan(result[:, :, 0]).any(axis=1)
    per_token = result[pairs, :, 0] / result[pairs, :, 1]
    gained = result[pairs, :, 0] - baseline[pairs, :, 0]
    metrics = {"accuracy": mean(per_token[:, 0] > per_token[:, 1])}
    return metrics | ({"win_rate": mean(gained[:, 0] > gained[:, 1])} if result is not baseline else {})
