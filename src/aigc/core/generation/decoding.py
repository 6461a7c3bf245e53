"""Logits into the next token: greedy, or drawn from the likeliest."""

import torch

__all__ = ["next_tokens"]


def next_tokens(logits_BV: torch.Tensor, *, temperature: float, top_k: int, top_p: float, draws_B: torch.Tensor) -> torch.Tensor:
    """Choose a token for each row.

    Args:
        logits_BV: scores of the next token.
        temperature: 0 (or nearly) takes the likeliest; else logits are divided by it.
        top_k: keep the k likeliest; 0 keeps all (Fan et al. 2018).
        top_p: of those, keep the likeliest that together reach this probability, at least one (Holtzman et al. 2020).
        draws_B: a number in [0, 1) for each row, which picks the token: a row depends on its own draws only.

    Returns:
        (B,) int64.
    """
    if temperature < 1e-6:  # fp32 cannot divide by less
        return logits_BV.argmax(-1)
    k = min(top_k or logits_BV.shape[-1], logits_BV.shape[-1])
    scores_BK, tokens_BK = logits_BV.float().topk(k, dim=-1)  # likeliest first
    chances_BK = ((scores_BK - scores_BK[:, :1]) / temperature).softmax(-1)
    before_BK = chances_BK.cumsum(-1) - chances_BK
    chances_BK = chances_BK.masked_fill(before_BK >= top_p, 0.0)
    chances_BK[:, 0] = chances_BK[:, 0].clamp_min(1e-30)
    sums_BK = chances_BK.cumsum(-1)
    place_B1 = draws_B[:, None].to(sums_BK.dtype) * sums_BK[:, -1:]
    last_B1 = (chances_BK > 0).sum(-1, keepdim=True) - 1  # rounding must not lead out of the nucleus
    index_B1 = torch.searchsorted(sums_BK, place_B1, right=True).minimum(last_B1)
    return tokens_BK.gather(-1, index_B1)[:, 0]
