"""Batches and a model into a better model: one plain loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from aigc.core.batches.packing import IGNORED, Batch, Packed
from aigc.errors import AigcError

__all__ = ["Step", "evaluate", "loss_sum", "train"]


@dataclass(frozen=True)
class Step:
    """One optimiser step, after it was taken."""

    number: int  # from 1
    loss: float  # nats per label token
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens: int  # label tokens
    seconds: float


def train(
    model: PreTrainedModel,
    batches: Packed,
    optimiser: torch.optim.Optimizer,
    *,
    learning_rate: Callable[[int], float],
    accumulate: int,
    clip: float,
    steps: range,
) -> Iterator[Step]:
    """Take the optimiser steps `steps`, counted from 0; step s reads the batches s * accumulate and following.

    The loss of a step is the sum over its label tokens divided by their number, over all accumulated batches.

    Raises:
        AigcError: the loss is not finite.
    """
    device = next(model.parameters()).device
    for step in steps:
        started = time.perf_counter()
        model.train()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step)
        micro = [batches[step * accumulate + i] for i in range(accumulate)]
        tokens = sum(int((batch.labels != IGNORED).sum()) for batch in micro)
        loss = torch.zeros((), device=device)
        optimiser.zero_grad(set_to_none=True)
        for batch in micro:
            part = loss_sum(model, batch.to(device)) / max(tokens, 1)
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        value, gradient_norm = float(loss), float(norm)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise AigcError(f"step {step + 1}: the loss is {value:g}, the gradient norm {gradient_norm:g}; lower learning_rate")
        optimiser.step()
        yield Step(step + 1, value, learning_rate(step), gradient_norm, tokens, time.perf_counter() - started)


def loss_sum(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Cross-entropy in nats, summed over the label tokens of a batch (scalar, fp32).

    No attention mask and no cache: only then does transformers keep packed documents apart by their position ids.
    """
    with _autocast(batch.input_ids.device):
        logits_BTV = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits
    return functional.cross_entropy(logits_BTV.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED, reduction="sum")


def _autocast(device: torch.device) -> AbstractContextManager[object]:
    """bf16 where the device is fast at it; on CPUs without AMX it is slower than fp32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@torch.no_grad()
def evaluate(model: PreTrainedModel, batches: Packed) -> tuple[float, int]:
    """The summed loss in nats over one epoch, and its number of label tokens."""
    device = next(model.parameters()).device
    model.eval()
    total, tokens = 0.0, 0
    for number in range(len(batches)):
        batch = batches[number]
        total += float(loss_sum(model, batch.to(device)))
        tokens += int((batch.labels != IGNORED).sum())
    return total, tokens
