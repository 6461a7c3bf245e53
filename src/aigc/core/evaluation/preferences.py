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


def preference_metrics(result: Likelihoods, baseline: Likelihoods) -> tuple[dict[str, Metric], int]:
    """Metrics, and of how many documents they are.

    Of pairs: `accuracy`, the chosen completion is the likelier one per token; `win_rate`, it gained more than the rejected one.
    Of single completions, where there are no pairs (KTO): `win_rate`, a good one gained, a bad one lost. Gained: over the model
    that training began with, in nats, as the rewards of DPO (Rafailov et al. 2023); the baseline itself has no `win_rate`.
    """
    nats, gained = result[:, :, 0], result[:, :, 0] - baseline[:, :, 0]
    pairs = ~np.isnan(nats).any(axis=1)
    if pairs.any():
        per_token = nats[pairs] / result[pairs, :, 1]
        metrics, won, documents = {"accuracy": mean(per_token[:, 0] > per_token[:, 1])}, gained[pairs], int(pairs.sum())
        wins = won[:, 0] > won[:, 1]
    else:
        metrics, good, bad = {}, ~np.isnan(nats[:, 0]), ~np.isnan(nats[:, 1])
        documents = int((good | bad).sum())
        wins = np.where(good, gained[:, 0] > 0, gained[:, 1] < 0)[good | bad]
    return metrics | ({"win_rate": mean(wins)} if result is not baseline else {}), documents
