"""The weights of a run into their moving average, which often does better than the last of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["Average"]


class Average:
    """Exponential moving average of the trained weights, in fp32. Source: Polyak & Juditsky 1992; Tarvainen & Valpola 2017.

    Early on it follows quickly: after n steps the decay is at most (1 + n) / (10 + n), as in TensorFlow's.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self.weights: dict[str, torch.Tensor] = {name: p.detach().clone() for name, p in self._trained()}

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, p) for name, p in self._model.named_parameters() if p.requires_grad)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        names, now = zip(*self._trained(), strict=True)
        torch._foreach_lerp_([self.weights[name] for name in names], list(now), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While inside, the model has the average for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def put(self) -> None:
        """Give the model the average for good."""
        for name, parameter in self._trained():
            parameter.copy_(self.weights[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._trained():
            mine = self.weights[name].clone()
            self.weights[name].copy_(parameter)
            parameter.copy_(mine)
