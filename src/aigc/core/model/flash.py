"""Queries, keys and values of a flat batch into attention on the CPU, by operators that a compiler does not look into.

Softmax(Q K^T / sqrt(d) + bias) V of each sample by itself (Vaswani et al. 2017, equation 1), by PyTorch's own flash kernel for
CPUs (Dao 2023). The operators read the bounds while they run, so that new bounds compile nothing anew.
"""

from typing import Any

import torch

from aigc.core.model.spans import Group, Layout, Rows, groups

__all__ = ["DistanceBias", "distances", "flash"]

MOST_SCORES = 1 << 24  # numbers of fp32 that the gradient of biased attention holds at once

kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
kernel_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class DistanceBias:
    """What is added to scores by how far a key is behind its query. No tensor nor dataclass, so that FSDP does not hook into it."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values  # (H, 2 R - 1) fp32; a distance of d stands at [:, R - 1 + d]


def flash(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    bias: torch.Tensor | None,
    layout: Layout,
) -> torch.Tensor:
    """Attention (N, H, D), zero where a sample has no keys. Differentiable in queries, keys, values and bias.

    Args:
        q_NHD: queries; k_MHD and v_MHD have as many heads. fp32, bf16 or fp16, all alike.
        bias: (H, 2 R - 1) fp32, added to the score of a key that stands `d` places behind its query at [:, R - 1 + d].
    """
    bounds, source_bounds, causal, scale = layout
    out: torch.Tensor = _flash(q_NHD, k_MHD, v_MHD, bounds, source_bounds, bias, causal, scale)[0]
    return out


def distances(bias: torch.Tensor, queries: int, keys: int) -> torch.Tensor:
    """The bias (H, T, S) of each query and key, out of that of each distance (H, 2 R - 1)."""
    middle = bias.shape[-1] // 2
    return bias[:, middle - queries + 1 : middle + keys].unfold(-1, keys, 1).flip(-2)


@torch.library.custom_op("aigc::flash", mutates_args=())
def _flash(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    bounds: torch.Tensor,
    source_bounds: torch.Tensor | None,
    bias: torch.Tensor | None,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, H, D) and the logarithms (N, H), fp32, of the sums that softmax divides by."""
    out, sums = None, None
    for group in groups(bounds, source_bounds):
        q, k, v = (_take(*part) for part in ((q_NHD, group.queries, group), (k_MHD, group.keys, group), (v_MHD, group.keys, group)))
        mask = _mask(group, q, k, bias, causal)
        one, one_sums = kernel(q, k, v, 0.0, causal and mask is None, attn_mask=mask, scale=scale)
        one, one_sums = one.transpose(1, 2).flatten(0, 1), one_sums.transpose(1, 2).flatten(0, 1)
        if len(one) == len(q_NHD) and isinstance(group.queries, slice):
            return one.contiguous(), one_sums.contiguous()
        if out is None or sums is None:
            out, sums = _blank(q_NHD, source_bounds), _blank(q_NHD.new_empty(q_NHD.shape[:2], dtype=torch.float32), source_bounds)
        _put(out, one, group.queries, group.real_queries)
        _put(sums, one_sums, group.queries, group.real_queries)
    if out is None or sums is None:
        return q_NHD.new_zeros(q_NHD.shape), q_NHD.new_zeros(q_NHD.shape[:2], dtype=torch.float32)
    return out, sums


@_flash.register_fake
def _(q_NHD, k_MHD, v_MHD, bounds, source_bounds, bias, causal, scale):  # type: ignore[no-untyped-def]
    return q_NHD.new_empty(q_NHD.shape), q_NHD.new_empty(q_NHD.shape[:2], dtype=torch.float32)


@torch.library.custom_op("aigc::flash_backward", mutates_args=())
def _flash_backward(
    grad_NHD: torch.Tensor,
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    out_NHD: torch.Tensor,
    sums_NH: torch.Tensor,
    bounds: torch.Tensor,
    source_bounds: torch.Tensor | None,
    bias: torch.Tensor | None,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of queries, keys, values and bias; the last is empty where there is none."""
    grads = None
    grad_bias = q_NHD.new_zeros(0 if bias is None else bias.shape, dtype=torch.float32)
    for group in groups(bounds, source_bounds):
        q, grad, out, sums = (_take(x, group.queries, group) for x in (q_NHD, grad_NHD, out_NHD, sums_NH[..., None]))
        k, v = (_take(x, group.keys, group) for x in (k_MHD, v_MHD))
        sums = sums[..., 0]
        if group.real_queries is not None:
            grad = _without_padding(grad, group.real_queries)
        mask = _mask(group, q, k, bias, causal)
        if bias is None:
            ones = kernel_backward(grad, q, k, v, out, sums, 0.0, causal and mask is None, attn_mask=mask, scale=scale)
        else:
            assert mask is not None
            ones = _biased_backward(grad, q, k, v, out, sums, mask, scale, grad_bias)
        ones = [one.transpose(1, 2).flatten(0, 1) for one in ones]
        whole = isinstance(group.queries, slice) and len(ones[0]) == len(q_NHD) and len(ones[1]) == len(k_MHD)
        if whole:
            return ones[0].contiguous(), ones[1].contiguous(), ones[2].contiguous(), grad_bias
        if grads is None:
            grads = [_blank(x, source_bounds) for x in (q_NHD, k_MHD, v_MHD)]
        _put(grads[0], ones[0], group.queries, group.real_queries)
        _put(grads[1], ones[1], group.keys, group.real_keys)
        _put(grads[2], ones[2], group.keys, group.real_keys)
    if grads is None:
        grads = [x.new_zeros(x.shape) for x in (q_NHD, k_MHD, v_MHD)]
    return grads[0], grads[1], grads[2], grad_bias


@_flash_backward.register_fake
def _(grad_NHD, q_NHD, k_MHD, v_MHD, out_NHD, sums_NH, bounds, source_bounds, bias, causal, scale):  # type: ignore[no-untyped-def]
    grad_bias = q_NHD.new_empty(0 if bias is None else bias.shape, dtype=torch.float32)
    return q_NHD.new_empty(q_NHD.shape), k_MHD.new_empty(k_MHD.shape), v_MHD.new_empty(v_MHD.shape), grad_bias


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    q_NHD, k_MHD, v_MHD, bounds, source_bounds, bias, ctx.causal, ctx.scale = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(q_NHD, k_MHD, v_MHD, *output, bounds, source_bounds, bias)


def _gradients(ctx: Any, grad_NHD: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    *tensors, bias = ctx.saved_tensors
    *grads, grad_bias = _flash_backward(grad_NHD, *tensors, bias, ctx.causal, ctx.scale)
    return *grads, None, None, grad_bias if bias is not None else None, None, None


_flash.register_autograd(_gradients, setup_context=_save)


def _take(x_NHD: torch.Tensor, rows: Rows, group: Group) -> torch.Tensor:
    """(B, H, T, D)"""
    taken = x_NHD[rows] if isinstance(rows, slice) else x_NHD.index_select(0, rows)
    return taken.view(group.samples, -1, *taken.shape[1:]).transpose(1, 2)


def _blank(x: torch.Tensor, source_bounds: torch.Tensor | None) -> torch.Tensor:
    """Room for what is put in group by group; places of samples that are in no group, which only a source makes, are zero."""
    return x.new_empty(x.shape) if source_bounds is None else x.new_zeros(x.shape)


def _put(out_NHD: torch.Tensor, one: torch.Tensor, rows: Rows, real: torch.Tensor | None) -> None:
    if isinstance(rows, slice):
        out_NHD[rows] = one
    else:
        assert real is not None
        out_NHD.index_copy_(0, rows[real], one.index_select(0, real))


def _without_padding(x_BHTD: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    flat = x_BHTD.transpose(1, 2).flatten(0, 1)
    kept = flat.new_zeros(flat.shape).index_copy_(0, real, flat.index_select(0, real))
    return kept.view(x_BHTD.shape[0], -1, *kept.shape[1:]).transpose(1, 2)


def _mask(group: Group, q: torch.Tensor, k: torch.Tensor, bias: torch.Tensor | None, causal: bool) -> torch.Tensor | None:
    """What is added to the scores, (B or 1, H or 1, T or 1, S). None where the kernel's own causal order is all there is."""
    mask = None
    if bias is not None:
        mask = distances(bias, q.shape[2], k.shape[2])[None].float()
        if causal:
            mask = mask.masked_fill(torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(1), -torch.inf)
    if group.hidden is not None and not causal:  # in causal order, no real query sees the padding behind it
        shown = torch.zeros(group.hidden.shape) if mask is None else mask
        mask = shown.masked_fill(group.hidden, -torch.inf)
    return None if mask is None else mask.to(q.dtype) if bias is None else mask


def _biased_backward(
    grad: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    sums: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
    grad_bias: torch.Tensor,
) -> list[torch.Tensor]:
    """Gradients (B, H, T or S, D) as in Dao et al. 2022, algorithm 4; adds that of the bias to `grad_bias`."""
    B, H, T, S = *q.shape[:2], q.shape[2], k.shape[2]
    heads = max(1, min(H, MOST_SCORES // (B * T * S)))
    middle = grad_bias.shape[-1] // 2
    parts = []
    for h in range(0, H, heads):
        some = slice(h, h + heads)
        one_q, one_k, one_v, one_out, one_grad = (x[:, some].float() for x in (q, k, v, out, grad))
        weights = (one_q @ one_k.mT).mul_(scale).add_(mask[:, some]).sub_(sums[:, some, :, None]).exp_()  # (B, h, T, S)
        grad_scores = (one_grad @ one_v.mT).sub_((one_grad * one_out).sum(-1, keepdim=True)).mul_(weights)
        parts.append([scale * (grad_scores @ one_k), scale * (grad_scores.mT @ one_q), weights.mT @ one_grad])
        summed = grad_scores.sum(0).flip(-2)
        along = torch.ops.aten.unfold_backward(summed, [summed.shape[0], T + S - 1], 1, S, 1)  # sums of all at one distance
        grad_bias[some, middle - T + 1 : middle + S] += along
    return [torch.cat(some, 1).to(q.dtype) for some in zip(*parts, strict=True)]
