"""AdamW and the learning rate of each step."""

import math
from typing import Literal

import torch
from torch import nn

from aigc.errors import AigcError

__all__ = ["Schedule", "adamw", "learning_rate_at"]

Schedule = Literal["cosine", "linear", "constant", "wsd"]
DECAY = 0.2  # of a WSD run, the share in which the learning rate falls (Hu et al. 2024 find 10 to 20 % enough)


def adamw(model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019), betas 0.9 and 0.95, of what takes a gradient.

    Only matrices decay, not biases, gains and DoRA's magnitudes. So it is with the two matrices of an adapter and those of a new
    head, too: adapters that decay draw the model back to the checkpoint that it began as.

    Raises:
        AigcError: nothing takes a gradient.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise AigcError("freeze: nothing is left that could be trained")
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


def learning_rate_at(step: int, *, steps: int, highest: float, warmup: float, schedule: Schedule) -> float:
    """The learning rate of step `step` (from 0) of `steps`, after a linear warm-up.

    cosine falls to a tenth, linear to 0, constant stays; wsd stays and falls linearly to 0 in the last fifth of the steps
    (warm-up, stable, decay: Hu et al. 2024, "MiniCPM").
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    done = (step - rising) / max(steps - rising, 1)
    match schedule:
        case "cosine":
            return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
        case "linear":
            return highest * (1 - done)
        case "wsd":
            falling = max(math.ceil(DECAY * steps), 1)
            return highest * min((steps - step) / falling, 1.0)
        case "constant":
            return highest
