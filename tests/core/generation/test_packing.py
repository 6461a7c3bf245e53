"""Packed products are the products."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from aigc.core.generation.packing import LEAST, LEAST_ROWS, pack_products, product
from core.model.flats import model_of


@pytest.mark.parametrize("rows", [1, LEAST_ROWS - 1, LEAST_ROWS, 17, 64])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(512, 256), (256, 512), (8, 4)])
def test_a_product_is_that_of_torch(rows: int, biased: bool, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator)
    bias = torch.randn(shape[0], generator=generator) if biased else None
    x = torch.randn(rows, shape[1], generator=generator)
    with torch.inference_mode():
        torch.testing.assert_close(product(weight, bias)(x), F.linear(x, weight, bias), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(
            product(weight, bias)(x[None, :, None]), F.linear(x, weight, bias)[None, :, None], atol=1e-3, rtol=1e-4
        )


def test_every_linear_layer_of_a_model_is_packed_and_says_the_same() -> None:
    model = model_of("gpt2", width=256, heads=4)
    assert any(isinstance(m, Conv1D) and m.weight.numel() >= LEAST for m in model.modules())
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        pack_products(model)
        assert all("forward" in vars(m) for m in model.modules() if isinstance(m, nn.Linear | Conv1D))
        torch.testing.assert_close(model(input_ids=ids).logits, before, atol=1e-4, rtol=1e-4)


def test_what_is_not_fp32_on_a_cpu_is_left_alone() -> None:
    weight = torch.randn(512, 256, dtype=torch.bfloat16)
    x = torch.randn(8, 256, dtype=torch.bfloat16)
    assert torch.equal(product(weight, None)(x), F.linear(x, weight))
