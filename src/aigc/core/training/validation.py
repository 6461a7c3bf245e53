"""The validation split into what a model makes of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aigc.core.batches.batch import Batch
from aigc.core.batches.stream import Stream
from aigc.core.model.learner import Losses
from aigc.core.training.replicas import Replicas, resharded

__all__ = ["Predictions", "Validation", "validate"]

SUMS = (
    *("nats", "right", "tokens", "bytes", "pushed_nats", "pushed"),
    *("sample_sum", "samples", "samples_right", "told", "chosen_rewards", "chosen", "rejected_rewards", "rejected"),
)
NAMES = {"loss": "validation_loss", "accuracy": "validation_accuracy"}  # in metrics.jsonl; the others are called there as here


@dataclass(frozen=True)
class Predictions:
    """What a model says of each sample as a whole, in the split's order."""

    scores: NDArray[np.float32]  # (V, C) of classes, (V, 1) values
    targets: NDArray[np.float32]  # (V,) numbers of classes, or values
    documents: NDArray[np.int64]  # (V,)


@dataclass(frozen=True)
class Validation:
    """How well the validation split is told.

    Tokens that are learned count by weight 1, whatever their weight in training. Tokens that are pushed down there are no part of
    the loss, the accuracy or the bits per byte.
    """

    loss: float  # nats per learned token; where no token is learned, `sequence_loss`
    bits_per_byte: float | None  # of the UTF-8 text that the labels stand for, so that tokenizers can be compared
    accuracy: float | None  # share of these tokens that the model holds the likeliest; where none is learned, `sequence_accuracy`
    sequence_loss: float | None = None  # per sample: nats, the square of a value, or what a preference costs
    sequence_accuracy: float | None = None  # share of the samples that are told right; None of values
    reward_margin: float | None = None  # nats: mean reward of chosen samples less that of rejected ones
    pushed_down: float | None = None  # nats: mean log-probability of the tokens that training pushes down
    extra: dict[str, float] = field(default_factory=dict)  # what the caller measured besides
    predictions: Predictions | None = field(default=None, compare=False, repr=False)  # where samples have classes or values

    @property
    def choice(self) -> float:
        """By which the best of several is chosen: the lower, the better."""
        return self.loss

    def figures(self) -> dict[str, float | None]:
        """All numbers by their names here."""
        return {name: getattr(self, name) for name in self._own()} | dict(self.extra)

    def as_metrics(self) -> dict[str, float]:
        """For metrics.jsonl; what was not measured is left out."""
        return {NAMES.get(name, name): value for name, value in self.figures().items() if value is not None}

    @classmethod
    def of(cls, metrics: Mapping[str, float]) -> "Validation":
        """From what `as_metrics` gave; without predictions."""
        short = {name: key for key, name in NAMES.items()}
        told = {short.get(name, name): value for name, value in metrics.items()}
        own: dict[str, Any] = {name: told.pop(name, None) for name in cls._own()}
        return cls(**own, extra=told)

    @classmethod
    def _own(cls) -> list[str]:
        return [one.name for one in fields(cls) if one.name not in ("extra", "predictions")]


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
    sums = dict.fromkeys(SUMS, 0.0)
    said: list[Predictions] = []
    bins = islice(stream.once(), most)
    while turn := list(islice(bins, replicas.count)):
        own = replicas.rank < len(turn)  # sharded weights are gathered together: every process takes every turn
        batch = stream.collate(turn[replicas.rank if own else 0])
        found = shared(batch.to(device), token_total=1.0, sequence_total=1.0, pushes=bool((batch.weights < 0).any()))
        if not own:
            continue
        for name, value in (_of_tokens(batch, found, byte_lengths) | _of_samples(batch, found)).items():
            sums[name] += value
        if found.scores is not None and batch.sequence_targets is not None:
            said.append(Predictions(found.scores.float().cpu().numpy(), batch.sequence_targets.numpy(), batch.documents))
    resharded(shared)
    predictions = _joined([one for each in replicas.gathered(said) for one in each])
    return _validation(dict(zip(SUMS, replicas.total(list(sums.values())), strict=True)), predictions)


def _of_tokens(batch: Batch, found: Losses, byte_lengths: NDArray[np.int64]) -> dict[str, float]:
    labels, weights = batch.labels.numpy(), batch.weights.numpy()
    learned = labels[(weights > 0) & bool(found.token_weight)]  # of texts that are preferred, tokens are no targets
    return {
        "nats": float(found.token_nats),
        "right": float(found.token_right),
        "tokens": len(learned),
        "bytes": float(byte_lengths[learned].sum()),
        "pushed_nats": float(found.pushed_nats),
        "pushed": float((weights < 0).sum()),
    }


def _of_samples(batch: Batch, found: Losses) -> dict[str, float]:
    if batch.sequence_targets is None:
        return {}
    samples = len(batch.documents)
    sums = {
        "sample_sum": float(found.sequence_sum),
        "samples": samples,
        "samples_right": float(found.sequence_right),
        "told": 0 if found.scores is not None and found.scores.shape[1] == 1 else samples,  # a value is neither right nor wrong
    }
    if found.rewards is not None:
        chosen, rewards = batch.sequence_targets.numpy() > 0.5, found.rewards.float().cpu().numpy()
        for name, those in (("chosen", chosen), ("rejected", ~chosen)):
            sums |= {f"{name}_rewards": float(rewards[those].sum()), name: float(those.sum())}
    return sums


def _joined(parts: list[Predictions]) -> Predictions | None:
    """In the split's order, whatever the order in which they were packed."""
    if not parts:
        return None
    order = np.argsort(np.concatenate([part.documents for part in parts]), kind="stable")
    return Predictions(*(np.concatenate([getattr(part, one.name) for part in parts])[order] for one in fields(Predictions)))


def _validation(sums: dict[str, float], predictions: Predictions | None) -> Validation:
    def mean(name: str, count: str) -> float | None:
        return sums[name] / sums[count] if sums[count] else None

    loss, accuracy, bits = mean("nats", "tokens"), mean("right", "tokens"), sums["nats"] / math.log(2)
    sequence_loss, sequence_accuracy = mean("sample_sum", "samples"), mean("samples_right", "told")
    chosen, rejected, pushed = mean("chosen_rewards", "chosen"), mean("rejected_rewards", "rejected"), mean("pushed_nats", "pushed")
    return Validation(
        loss=loss if loss is not None else sequence_loss or 0.0,
        bits_per_byte=bits / sums["bytes"] if sums["bytes"] else None,
        accuracy=accuracy if loss is not None else sequence_accuracy,
        sequence_loss=sequence_loss,
        sequence_accuracy=sequence_accuracy,
        reward_margin=None if chosen is None or rejected is None else chosen - rejected,
        pushed_down=None if pushed is None else -pushed,
        predictions=predictions,
    )
