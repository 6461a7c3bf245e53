"""Logits into the next token: the likeliest, or one that is drawn from the likeliest."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from aigc.core.generation.request import Decoding

__all__ = ["Sampling", "drawn_tokens", "filtered", "greedy_tokens", "likeliest"]

_COLDEST = 1e-6  # a temperature below it takes the likeliest: fp32 cannot divide by less
_FEW = 128  # candidates that are looked at first where top_k sets no limit
_GROWTH = 8  # times as many candidates, where more are as likely as the last of them
_STRIPES = 32  # tokens far from each other that the search for the k likeliest takes together

Group = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True)
class Sampling:
    """From which tokens is drawn; the filters follow each other in this order, as transformers' do."""

    temperature: float = 1.0  # logits are divided by it
    top_k: int = 0  # the k likeliest, and those as likely as the last of them; 0: all (Fan et al. 2018)
    top_p: float = 1.0  # the likeliest that together reach this probability, at least one (Holtzman et al. 2020)
    min_p: float = 0.0  # those of at least this share of the likeliest one's probability (Nguyen et al. 2024)
    typical_p: float = 1.0  # those nearest to the expected information that together reach this (Meister et al. 2023)

    @classmethod
    def of(cls, decoding: Decoding) -> "Sampling | None":
        """What a decoding says; None where it takes the likeliest."""
        if decoding.temperature < _COLDEST:
            return None
        return cls(decoding.temperature, decoding.top_k, decoding.top_p, decoding.min_p, decoding.typical_p)

    @property
    def plain(self) -> bool:
        """Whether every token may be drawn."""
        return not self.top_k and self.top_p >= 1 and not self.min_p and self.typical_p >= 1


def greedy_tokens(logits_BV: torch.Tensor) -> torch.Tensor:
    """(B,) int64: the likeliest token, of equals the first.

    On CPUs numpy finds it, in one thread and a tenth of the time: to wake torch's others up takes longer than the work.
    """
    if logits_BV.device.type != "cpu":
        return logits_BV.argmax(-1)
    return torch.from_numpy(logits_BV.numpy().argmax(-1))


def likeliest(logits_BV: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and tokens (B, k), the likeliest first. On CPUs the tokens are taken in stripes of 32 at first, which halves the time:
    the k likeliest lie in the k stripes with the highest maxima."""
    wide = logits_BV.shape[-1]
    width = wide // _STRIPES * _STRIPES
    if logits_BV.device.type != "cpu" or k * _STRIPES * 2 > width:
        top = logits_BV.topk(k, dim=-1)
        return top.values, top.indices
    size = width // _STRIPES
    stripes_BSN = logits_BV[:, :width].view(len(logits_BV), _STRIPES, size)
    best_BK = torch.from_numpy(stripes_BSN.numpy().max(1)).topk(k, dim=-1, sorted=False).indices
    tokens_BC = (best_BK[:, None] + torch.arange(0, width, size)[:, None]).flatten(1)
    if width < wide:
        tokens_BC = torch.cat([tokens_BC, torch.arange(width, wide).expand(len(tokens_BC), -1)], -1)
    top = logits_BV.gather(-1, tokens_BC).topk(k, dim=-1)
    return top.values, tokens_BC.gather(-1, top.indices)


def drawn_tokens(logits_BV: torch.Tensor, how: Sampling, draws_B: torch.Tensor) -> torch.Tensor:
    """(B,) int64: a token for each row. Where no score is finite, which one says nothing.

    Args:
        logits_BV: scores of the next token, fp32.
        draws_B: float64 in [0, 1), which picks the token: a row depends on its own logits and draw only.
    """
    found_B = torch.zeros(len(logits_BV), dtype=torch.int64, device=logits_BV.device)
    for rows_R, chances_RK, tokens_RK in _groups(logits_BV, how):
        sums_RK = chances_RK.cumsum(-1, dtype=torch.float64)
        total_R1 = sums_RK[:, -1:].contiguous()
        last_R1 = torch.searchsorted(sums_RK, total_R1)  # rounding must not lead out of what was kept
        index_R1 = torch.searchsorted(sums_RK, draws_B[rows_R, None] * total_R1, right=True)
        index_R1 = index_R1.minimum(last_R1).clamp_max(chances_RK.shape[-1] - 1)
        found_B[rows_R] = (index_R1 if tokens_RK is None else tokens_RK.gather(-1, index_R1))[:, 0]
    return found_B


def filtered(logits_BV: torch.Tensor, how: Sampling) -> torch.Tensor:
    """(B, V) the logits, divided by the temperature, of the tokens that may be drawn, and -inf for the others."""
    if how.plain:
        return logits_BV / how.temperature
    kept_BV = torch.full_like(logits_BV, -torch.inf)
    for rows_R, chances_RK, tokens_RK in _groups(logits_BV, how):
        assert tokens_RK is not None
        scores_RK = logits_BV[rows_R].gather(-1, tokens_RK) / how.temperature
        part_RV = torch.full_like(logits_BV[rows_R], -torch.inf)
        scores_RK = scores_RK.masked_fill(chances_RK <= 0, -torch.inf)
        kept_BV[rows_R] = part_RV.scatter_reduce(-1, tokens_RK, scores_RK, "amax")  # token 0 fills up rows
    return kept_BV


def _groups(logits_BV: torch.Tensor, how: Sampling) -> Iterator[Group]:
    """Rows, chances (0 for what is not to be drawn) and their tokens, the likeliest first; no tokens: all in their order.

    Sums are taken along a row's own candidates in order, so that the other rows never change what rounding does to it.
    """
    rows_R = torch.arange(len(logits_BV), device=logits_BV.device)
    width = logits_BV.shape[-1]
    if how.top_k:
        k = min(how.top_k, width)
        size = min(k + 1, width)
        while len(rows_R):
            scores_RK, tokens_RK = likeliest(logits_BV[rows_R] if size > k + 1 else logits_BV, size)
            least_R1 = scores_RK[:, k - 1 : k]
            whole_R = (scores_RK[:, -1] < least_R1[:, 0]) | (size == width) | ~least_R1[:, 0].isfinite()
            chances_RK = _kept(_chances(scores_RK, least_R1, how.temperature), how)
            yield from _some(whole_R, rows_R, chances_RK, tokens_RK)
            rows_R, size = rows_R[~whole_R], min(size * _GROWTH, width)
        return
    chances_BV = (logits_BV / how.temperature).softmax(-1)
    if how.plain:
        yield rows_R, chances_BV, None
        return
    if how.typical_p >= 1:  # most often few tokens are enough
        found_BK, tokens_BK = likeliest(chances_BV, min(_FEW, logits_BV.shape[-1]))
        last_B = found_BK[:, -1].double()
        whole_B = found_BK.cumsum(-1, dtype=torch.float64)[:, -1] - last_B >= how.top_p
        whole_B |= last_B < how.min_p * found_BK[:, 0]
        yield from _some(whole_B, rows_R, _kept(found_BK.double(), how), tokens_BK)
        rows_R, chances_BV = rows_R[~whole_B], chances_BV[~whole_B]
    if len(rows_R):
        found_BK, tokens_BK = _above(chances_BV, _least(chances_BV, how), how.top_p)
        yield rows_R, _kept(found_BK.double(), how), tokens_BK


def _least(chances_BV: torch.Tensor, how: Sampling) -> torch.Tensor:
    """(B, 1) a probability below which the filters keep no token."""
    highest_B1 = chances_BV.amax(-1, keepdim=True)
    if how.typical_p < 1:
        return torch.zeros_like(highest_B1)
    # All tokens below it together have less than half of what top_p leaves out
    return (highest_B1 * how.min_p).clamp_min((1 - how.top_p) / chances_BV.shape[-1] / 2).minimum(highest_B1)


def _above(chances_BV: torch.Tensor, least_B1: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Chances and tokens (B, K) that are at least so likely, the likeliest first, at least those that reach top_p; 0 behind them.

    Only these are sorted, which takes a tenth of sorting all: how much the tokens of each power of two of probability have together
    tells how far down to go.
    """
    rows_N, tokens_N = (chances_BV >= least_B1).nonzero(as_tuple=True)
    chances_N = chances_BV[rows_N, tokens_N]
    if top_p < 1 and len(rows_N):
        levels_N = 1 - torch.frexp(chances_N).exponent.long()
        count = int(levels_N.max()) + 1
        sums_BL = torch.bincount(rows_N * count + levels_N, chances_N.double(), len(chances_BV) * count)
        deepest_B = (sums_BL.view(-1, count).cumsum(-1) < top_p).sum(-1)
        deep_N = (levels_N <= deepest_B[rows_N]).nonzero()[:, 0]
        rows_N, tokens_N, chances_N = rows_N[deep_N], tokens_N[deep_N], chances_N[deep_N]
    counts_B = torch.bincount(rows_N, minlength=len(chances_BV))
    size = max(int(counts_B.max()), 1)
    places_N = torch.arange(len(rows_N), device=rows_N.device) - (counts_B.cumsum(0) - counts_B)[rows_N]
    found_BK = chances_BV.new_zeros(len(chances_BV), size)
    found_BK[rows_N, places_N] = chances_N
    tokens_BK = tokens_N.new_zeros(len(chances_BV), size)
    tokens_BK[rows_N, places_N] = tokens_N
    found_BK, order_BK = found_BK.sort(dim=-1, descending=True, stable=True)
    return found_BK, tokens_BK.gather(-1, order_BK)


def _some(whole_R: torch.Tensor, rows_R: torch.Tensor, chances_RK: torch.Tensor, tokens_RK: torch.Tensor) -> Iterator[Group]:
    if bool(whole_R.all()):
        yield rows_R, chances_RK, tokens_RK
    elif bool(whole_R.any()):
        yield rows_R[whole_R], chances_RK[whole_R], tokens_RK[whole_R]


def _chances(scores_RK: torch.Tensor, least_R1: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities (float64) of the candidates that are at least so likely, among themselves."""
    above_RK = (scores_RK.double() - scores_RK[:, :1].double()) / temperature
    return above_RK.masked_fill(scores_RK < least_R1, -torch.inf).softmax(-1)


def _kept(chances_RK: torch.Tensor, how: Sampling) -> torch.Tensor:
    """Chances, the likeliest first, with 0 for those that the filters behind top-k leave out."""
    if how.top_p < 1:
        before_RK = chances_RK.cumsum(-1) - chances_RK
        left_out_RK = before_RK >= how.top_p
        left_out_RK[:, 0] = False
        chances_RK = chances_RK.masked_fill(left_out_RK, 0.0)
    if how.min_p:
        chances_RK = chances_RK.masked_fill(chances_RK < how.min_p * chances_RK[:, :1], 0.0)
    if how.typical_p < 1:
        shares_RK = chances_RK / chances_RK.cumsum(-1)[:, -1:]
        information_RK = -shares_RK.log()
        expected_R1 = (shares_RK * information_RK).nansum(-1, keepdim=True)
        off_RK = (information_RK - expected_R1).abs()
        sorted_RK, order_RK = off_RK.sort(dim=-1, stable=True)
        reached_RK = shares_RK.gather(-1, order_RK).cumsum(-1) >= how.typical_p
        last_R1 = (~reached_RK).sum(-1, keepdim=True).clamp_max(off_RK.shape[-1] - 1)
        chances_RK = chances_RK.masked_fill(off_RK > sorted_RK.gather(-1, last_R1), 0.0)
    return chances_RK
