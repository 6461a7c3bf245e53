"""A model's matrices into the form that the CPU multiplies fastest by a few rows at a time."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

__all__ = ["Product", "pack_products", "product"]

LEAST_ROWS = 4  # fewer are faster with the matrix as it is: the time goes into reading it, once
ROWS = 32  # that the packed form is made for
LEAST = 1 << 16  # numbers in a matrix
MOST = 1 << 30  # numbers in all matrices: a second form of more would take too much memory

Product = Callable[[torch.Tensor], torch.Tensor]


def product(weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> Product:
    """`F.linear` with this matrix by oneDNN's packed form (the same sums in another order), for fp32 on CPUs; else as it is."""
    plain = weight_OI.device.type != "cpu" or weight_OI.dtype != torch.float32 or weight_OI.numel() < LEAST
    if plain or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return lambda x: F.linear(x, weight_OI, bias_O)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI.detach().contiguous(), ROWS)

    def multiply(x: torch.Tensor) -> torch.Tensor:
        rows = x.numel() // x.shape[-1]
        if rows < LEAST_ROWS or x.dtype != torch.float32:
            return F.linear(x, weight_OI, bias_O)
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x.reshape(rows, -1), packed, bias_O, "none", [], "")
        return out.view(*x.shape[:-1], -1)

    return multiply


def pack_products(model: PreTrainedModel) -> None:
    """Let every linear layer of a model that is not trained any more multiply by `product`."""
    matrices = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D)]
    if sum(module.weight.numel() for module in matrices) > MOST:
        return
    for module in matrices:
        weight = module.weight.detach()
        matrix = weight.T if isinstance(module, Conv1D) else weight
        module.forward = product(matrix, module.bias)  # type: ignore[method-assign]
