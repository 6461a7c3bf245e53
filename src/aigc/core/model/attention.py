"""Queries, keys and values of a flat batch into attention in which samples do not see each other, for transformers' layers.

Softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, equation 1) of each sample by itself. It is registered with transformers under
the name `packed` and takes the samples' bounds from the keyword arguments that transformers' layers hand down.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

from aigc.core.model.blocks import blockwise
from aigc.core.model.flash import DistanceBias, distances, flash
from aigc.core.model.spans import Layout, runs
from aigc.errors import AigcError

__all__ = ["NAME", "by_sample", "kernel_of", "pack", "packed", "unpacked"]

NAME = "packed"
FOREIGN = ("softcap", "s_aux", "sinks")  # of other models' attention, which this one has not
HALVES = (torch.bfloat16, torch.float16)
NARROWEST = 16  # head that flex has a kernel for


def packed(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: DistanceBias | torch.Tensor | None = None,
    bounds: torch.Tensor | None = None,
    source_bounds: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention (1, N, H, D) of a flat batch; an attention function of transformers.

    A module that is not causal and is given `source_bounds` is a decoder's that looks at the source: queries stand at `bounds`,
    keys at `source_bounds`.

    Args:
        query: (1, H, N, D).
        key: (1, K, M, D), where K divides H; value alike.
        attention_mask: None.
        position_bias: T5's, by distance. What it hands to layers that look at the source is not read: they have none.
        bounds: (N + 1,) int32.
        source_bounds: (N + 1,) int32.

    Raises:
        AigcError: the model's attention does what this one cannot.
    """
    assert bounds is not None and attention_mask is None and query.shape[0] == 1, "packed attention is for flat batches"
    for name in FOREIGN:
        if others.get(name) is not None:
            raise AigcError(f"the model's attention has {name}, which is not supported in training")
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    keys_at = None if causal else source_bounds
    bias = position_bias.values if isinstance(position_bias, DistanceBias) and keys_at is None else None
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in _alike(query, key, value))
    layout = Layout(bounds, keys_at, causal, q.shape[-1] ** -0.5 if scaling is None else scaling)
    match kernel_of(q.device.type, q.dtype, width=q.shape[-1], biased=bias is not None, dropout=dropout):
        case "flash":
            out = flash(q, *_repeated(q, k, v), bias, layout)
        case "varlen":
            out = _variable_lengths(q, *_repeated(q, k, v), layout, dropout)
        case "blocks":
            out = blockwise(q, k, v, bias, layout)
        case _:
            out = by_sample(q, *_repeated(q, k, v), bias, layout, dropout)
    return out[None], None


AttentionInterface.register(NAME, packed)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def kernel_of(device: str, dtype: torch.dtype, *, width: int, biased: bool, dropout: float) -> str:
    """What computes it: `flash` (CPU), `varlen` (flash on GPUs), `blocks` (flex on GPUs), or SDPA `by_sample`.

    Args:
        device: `cpu`, `cuda`, ...
        width: D, of a head.
    """
    if device == "cuda" and dtype in HALVES and not biased:
        return "varlen"
    if device == "cuda" and not dropout and width >= NARROWEST:
        return "blocks"
    return "flash" if device == "cpu" and not dropout else "by sample"


def pack(model: PreTrainedModel, name: str = NAME) -> None:
    """Let all layers of a model attend by the function of that name."""
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation_internal"):
            config._attn_implementation_internal = name  # what set_attn_implementation sets, after checks of no use here


@contextmanager
def unpacked(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The model with plain attention, as its own forward and `generate` need it."""
    before = model.config._attn_implementation
    pack(model, "sdpa" if before == NAME else before)
    try:
        yield model
    finally:
        pack(model, before)


def _alike(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """In one dtype: under autocast that of its products, as rotary positions leave queries and keys in fp32."""
    kind = tensors[0].device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensors[-1].dtype
    return tuple(x.to(dtype) for x in tensors)


def _repeated(q_NHD: torch.Tensor, k_MHD: torch.Tensor, v_MHD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values once for each of the heads that share them (Ainslie et al. 2023)."""
    times = q_NHD.shape[1] // k_MHD.shape[1]
    return (k_MHD, v_MHD) if times == 1 else (k_MHD.repeat_interleave(times, 1), v_MHD.repeat_interleave(times, 1))


def _variable_lengths(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    layout: Layout,
    dropout: float,
) -> torch.Tensor:
    bounds, source_bounds, causal, scale = layout
    keys_at = bounds if source_bounds is None else source_bounds
    most = len(q_NHD), len(k_MHD)  # the longest sample, at most
    if dropout:  # varlen_attn has none; the operator beneath it has, and its gradient
        args = (q_NHD, k_MHD, v_MHD, bounds, keys_at, *most, dropout, causal, False)
        out: torch.Tensor = torch.ops.aten._flash_attention_forward(*args, scale=scale)[0]
        return out
    window = (-1, 0) if causal else (-1, -1)
    done = varlen_attn(q_NHD, k_MHD, v_MHD, bounds, keys_at, *most, scale=scale, window_size=window)
    assert isinstance(done, torch.Tensor)
    return done


@torch.compiler.disable  # type: ignore[untyped-decorator]
def by_sample(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    bias: torch.Tensor | None,
    layout: Layout,
    dropout: float,
) -> torch.Tensor:
    """Attention (N, H, D) by one call of torch's own for each run of samples of one length; the only way with dropout on a CPU."""
    bounds, source_bounds, causal, scale = layout
    out = q_NHD.new_zeros(q_NHD.shape)
    places, parts = [], []
    for samples, queries, keys in runs(bounds.cpu(), None if source_bounds is None else source_bounds.cpu()):
        q, k, v = (x.view(samples, -1, *x.shape[1:]).transpose(1, 2) for x in (q_NHD[queries], k_MHD[keys], v_MHD[keys]))
        mask = None
        if bias is not None:
            mask = distances(bias, q.shape[2], k.shape[2]).to(q.dtype)
            if causal:
                mask = mask.masked_fill(torch.ones_like(mask, dtype=torch.bool).triu(1), -torch.inf)
        part = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal and mask is None, scale=scale
        )
        places.append(queries)
        parts.append(part.transpose(1, 2).flatten(0, 1))
    if sum(map(len, parts)) == len(out):
        return torch.cat(parts)
    for place, part in zip(places, parts, strict=True):
        out = out.slice_scatter(part, 0, place.start, place.stop)
    return out
