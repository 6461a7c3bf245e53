"""Batches and a model into a better model: one plain loop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from aigc.core.batches.feed import StepBatches
from aigc.core.batches.stream import Position
from aigc.core.training.replicas import Replicas, settled, unsynchronised

__all__ = ["NonFinite", "Step", "train"]


class NonFinite(Exception):
    """The loss or the gradient is no number."""

    def __init__(self, step: int, loss: float, gradient_norm: float, documents: list[int]) -> None:
        super().__init__(f"step {step}: the loss is {loss:g}, the gradient norm {gradient_norm:g}")
        self.documents = documents  # of the batches of all processes


@dataclass(frozen=True)
class Step:
    """One optimiser step, after it was taken. Figures are those of all processes, times this one's."""

    number: int  # from 1
    loss: float  # nats per learned token, by weight; where no token is learned, the loss per sample
    sequence_loss: float | None  # per sample: nats, the square of a value, or what a preference costs
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens: int  # that were read
    labels: int  # that were learned or pushed down
    seconds: float
    waited: float  # of these, spent on waiting for data
    behind: Position  # of the stream
    unlikelihood: float | None = None  # nats per token that is pushed down, by weight: -log(1 - p)


def train(
    shared: nn.Module,
    steps: Iterator[StepBatches],
    optimiser: torch.optim.Optimizer,
    *,
    learning_rate: Callable[[int], float],
    clip: float,
    numbers: range,
    seed: int,
    replicas: Replicas,
) -> Iterator[Step]:
    """Take the optimiser steps `numbers`, counted from 0.

    The loss of a step is the sum over its targets divided by their weights, over all accumulated batches and processes; those that
    are pushed down (weights below 0) count in both by what they weigh without the sign. What is told of whole samples is divided by
    the number of samples, and added. Only what wants a gradient is trained.
    Dropout of each batch is drawn from a seed of its own, so that neither a resumed run nor one on more processes draws anew.

    Args:
        shared: a Learner, or what `Replicas.share` made of it.

    Raises:
        NonFinite: before the weights are touched.
    """
    device = next(shared.parameters()).device
    for number in numbers:
        started = time.perf_counter()
        step = next(steps)
        waited = time.perf_counter() - started
        rate = learning_rate(number)
        for group in optimiser.param_groups:
            group["lr"] = rate
        shared.train()
        if number == numbers.start:
            settled(shared, step.batches[0].to(device))
        optimiser.zero_grad(set_to_none=True)
        weight, down, samples, tokens, labels = replicas.total(
            [
                sum(float(batch.weights.abs().sum()) for batch in step.batches),
                sum(float(-batch.weights.clamp_max(0).sum()) for batch in step.batches),
                sum(len(batch.documents) for batch in step.batches if batch.sequence_targets is not None),
                sum(batch.tokens for batch in step.batches),
                sum(len(batch.labels) for batch in step.batches),
            ]
        )
        # gradients are averaged over the processes: each counts for so many
        totals = {"token_total": max(weight, 1.0) / replicas.count, "sequence_total": max(samples, 1.0) / replicas.count}
        sums = torch.zeros(4, device=device)
        for place, batch in enumerate(step.batches):
            _seed(seed, number, place * replicas.count + replicas.rank)
            with unsynchronised(shared, last=place + 1 == len(step.batches)):
                losses = shared(batch.to(device), **totals, pushes=bool((batch.weights < 0).any()))
                losses.loss.backward()
            sums += torch.stack([losses.token_sum, losses.token_weight, losses.sequence_sum, losses.pushed_sum])
        norm = _clipped(shared, clip)
        nats, learned, sequences, pushed = replicas.total(sums.tolist())
        sequence_loss = sequences / samples if samples else None
        loss = nats / learned if learned else sequence_loss or 0.0
        unlikelihood = pushed / down if down else None
        gradient_norm = float(norm)
        if not np.isfinite([loss, sequence_loss or 0.0, unlikelihood or 0.0, gradient_norm]).all():
            documents = replicas.union(int(document) for batch in step.batches for document in batch.documents)
            raise NonFinite(number + 1, loss, gradient_norm, documents)
        optimiser.step()
        yield Step(
            number=number + 1,
            loss=loss,
            sequence_loss=sequence_loss,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            tokens=int(tokens),
            labels=int(labels),
            seconds=time.perf_counter() - started,
            waited=waited,
            behind=step.behind,
            unlikelihood=unlikelihood,
        )


def _seed(seed: int, step: int, place: int) -> None:
    state = np.random.SeedSequence([seed, step, place]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state >> np.uint64(1)))


def _clipped(shared: nn.Module, clip: float) -> torch.Tensor:
    norm = nn.utils.clip_grad_norm_([p for p in shared.parameters() if p.requires_grad], clip)
    full = getattr(norm, "full_tensor", None)  # of weights that are sharded
    return norm if full is None else full()
