"""The tanh form of GELU is the same function however it is written, and transformers' layers that compute it are found."""

import pytest
import torch
from transformers.activations import ACT2FN

from aigc.core.model.gelu import TanhGelu

X = torch.cat([torch.linspace(-12, 12, 4801, dtype=torch.float64), torch.tensor([-1e6, -0.0, 1e6], dtype=torch.float64)])


def with_gradient(function: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    y = function(x)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


@pytest.mark.parametrize("name", ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_python_tanh"])
@pytest.mark.parametrize("compiled", [False, True])
def test_it_is_what_the_layer_computed(name: str, compiled: bool) -> None:
    layer = ACT2FN[name]
    before = with_gradient(layer, X)
    TanhGelu.take(layer)
    assert type(layer) is TanhGelu
    found = with_gradient(torch.compile(layer, backend="aot_eager") if compiled else layer, X)
    constant = 1e-9 if name == "gelu_fast" else 1e-14  # which has 10 digits of sqrt(2 / pi)
    torch.testing.assert_close(found, before, atol=1e-13 + constant, rtol=1e-12 + constant)


@pytest.mark.parametrize("name", ["gelu", "quick_gelu", "silu", "relu", "gelu_10"])
def test_other_functions_stay(name: str) -> None:
    layer = ACT2FN[name]
    kind = type(layer)
    TanhGelu.take(layer)
    assert type(layer) is kind
