"""Queries, keys and values of a flat batch into attention on GPUs by FlexAttention, for what flash attention has not.

That is fp32, and scores that a learned bias is added to (Dong et al. 2024).
"""

from collections.abc import Callable
from functools import cache

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from aigc.core.model.spans import Layout

__all__ = ["blockwise"]


def blockwise(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    bias: torch.Tensor | None,
    layout: Layout,
) -> torch.Tensor:
    """Attention (N, H, D), zero where a sample has no keys. Arguments as of `flash.flash`; keys may have fewer heads."""
    attend = _compiled() if q_NHD.is_cuda and not torch.compiler.is_compiling() else _attend
    return attend(q_NHD, k_MHD, v_MHD, bias, layout)


@cache
def _compiled() -> Callable[..., torch.Tensor]:
    return torch.compile(_attend, dynamic=False)  # uncompiled, the scores would be whole in memory


def _attend(
    q_NHD: torch.Tensor,
    k_MHD: torch.Tensor,
    v_MHD: torch.Tensor,
    bias: torch.Tensor | None,
    layout: Layout,
) -> torch.Tensor:
    bounds, source_bounds, causal, scale = layout
    N, M = len(q_NHD), len(k_MHD)
    samples_of_q = _samples(bounds, N)
    samples_of_k = samples_of_q if source_bounds is None else _samples(source_bounds, M)
    middle = 0 if bias is None else bias.shape[-1] // 2

    def seen(b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        same = samples_of_q[q] == samples_of_k[k]
        return same & (q >= k) if causal else same

    def biased(score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        assert bias is not None
        return score + bias[h, middle + k - q]

    query, key, value = (x.transpose(0, 1)[None] for x in (q_NHD, k_MHD, v_MHD))
    done = flex_attention(
        query,
        key,
        value,
        score_mod=None if bias is None else biased,
        block_mask=create_block_mask(seen, None, None, N, M, device=str(q_NHD.device)),
        scale=scale,
        enable_gqa=q_NHD.shape[1] != k_MHD.shape[1],
    )
    assert isinstance(done, torch.Tensor)
    return done[0].transpose(0, 1)


def _samples(bounds: torch.Tensor, places: int) -> torch.Tensor:
    """The number (places,) of the sample that each place belongs to."""
    every = torch.arange(places, device=bounds.device, dtype=bounds.dtype)
    return torch.searchsorted(bounds, every, right=True)
