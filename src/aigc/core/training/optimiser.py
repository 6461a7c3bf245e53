"""AdamW and the learning rate of each step."""

import math
from typing import Literal

import torch
from torch import nn

__all__ = ["Schedule", "adamw", "learning_rate_at"]

Schedule = Literal["cosine", "linear", "constant"]


def adamw(model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019), betas 0.9 and 0.95; only matrices decay, not biases and gains."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


def learning_rate_at(step: int, *, steps: int, highest: float, warmup: float, schedule: Schedule) -> float:
    """The learning rate of step `step` (from 0) of `steps`: linear warm-up, then cosine to a tenth, linear to 0, or constant."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    done = (step - rising) / max(steps - rising, 1)
    if schedule == "cosine":
        return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
    return highest * (1 - done) if schedule == "linear" else highest
