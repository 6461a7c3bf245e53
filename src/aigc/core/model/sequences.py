"""Scores of whole samples into the loss of what is to be told of them: a class, or a value."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch.nn import functional as F

__all__ = ["Classes", "SequenceLoss", "SequenceSums", "Values"]


class SequenceSums(NamedTuple):
    """Over all samples of a batch."""

    loss: torch.Tensor  # () fp32, differentiable
    right: torch.Tensor  # () int64, samples of which the highest score is the right one


class SequenceLoss(Protocol):
    """What a Learner is given to learn of whole samples."""

    def __call__(self, scores_DC: torch.Tensor, targets_D: torch.Tensor) -> SequenceSums:
        """Of scores in fp32 and the samples' targets (`Sample.target`), fp32."""
        ...


@dataclass(frozen=True)
class Classes:
    """Cross-entropy of class scores, in nats; targets are the classes' numbers.

    With weights, each sample's loss counts by the weight of its class, in training and in validation alike. The sum is divided by
    the number of samples, not by their weights: so weights should have a mean of 1 over the samples of the training split.
    """

    weights: torch.Tensor | None = None  # (C,) fp32

    def __call__(self, scores_DC: torch.Tensor, targets_D: torch.Tensor) -> SequenceSums:
        """The loss is in nats."""
        numbers = targets_D.long()
        weights = None if self.weights is None else self.weights.to(scores_DC)
        loss = F.cross_entropy(scores_DC, numbers, weights, reduction="sum")
        return SequenceSums(loss, (scores_DC.argmax(-1) == numbers).sum())


@dataclass(frozen=True)
class Values:
    """Squared error of one score, in the square of the targets' unit. None is right or wrong."""

    def __call__(self, scores_DC: torch.Tensor, targets_D: torch.Tensor) -> SequenceSums:
        """Scores are (D, 1)."""
        loss = F.mse_loss(scores_DC[:, 0], targets_D.to(scores_DC.dtype), reduction="sum")
        return SequenceSums(loss, torch.zeros((), dtype=torch.int64, device=scores_DC.device))
