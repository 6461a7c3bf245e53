"""Linear layers into layers that hold their weights in 4 bits: NF4 with quantised constants (Dettmers et al. 2023)."""

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from aigc.errors import AigcError

__all__ = ["quantise"]


def quantise(model: PreTrainedModel, names: Sequence[str]) -> None:
    """Put layers in 4 bits in the place of those of these names, on the GPU; their products are in bf16.

    Raises:
        AigcError: there is no CUDA device, or no bitsandbytes.
    """
    try:
        bits = import_module("bitsandbytes") if torch.cuda.is_available() else None
    except ImportError:
        bits = None
    if bits is None:
        raise AigcError("lora.bits: 4 needs a CUDA device and the package bitsandbytes")
    device = model.device if model.device.type == "cuda" else torch.device("cuda", torch.cuda.current_device())
    for name in names:
        parent, _, child = name.rpartition(".")
        layer = model.get_submodule(name)
        weight = (layer.weight.T if isinstance(layer, Conv1D) else layer.weight).detach().contiguous()
        wide, high = weight.shape[1], weight.shape[0]
        small = bits.nn.Linear4bit(wide, high, bias=layer.bias is not None, compute_dtype=torch.bfloat16, quant_type="nf4")
        small.weight = bits.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True)
        if layer.bias is not None:
            small.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
        setattr(model.get_submodule(parent), child, small.to(device))
    model.is_loaded_in_4bit = True  # peft looks at it
