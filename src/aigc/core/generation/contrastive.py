"""Prompts into texts by contrastive search: of the likeliest tokens, the one that least resembles what was there before."""

from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import normalize
from transformers import DynamicCache, PreTrainedModel

__all__ = ["Scores", "Take", "contrast"]

Scores = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]
"""Logits (B, V) and the rows that they are of, into what tokens are chosen by: -inf for what is forbidden."""
Take = Callable[[int, int | None, float], bool]
"""A row, its next token (None: all are forbidden) and the log-probability that the model gives it; whether the text is finished."""


@torch.inference_mode()
def contrast(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    alpha: float,
    candidates: int,
    pad: int,
    scores: Scores,
    take: Take,
) -> None:
    """Continue all prompts until their texts are finished.

    Contrastive search (Su et al. 2022, 3.2): among the likeliest tokens, that of the highest (1 - alpha) p - alpha s, where p is
    its probability and s the cosine of its last hidden state with the nearest one of a token before it. A step of the model reads
    all candidates of all rows, each as the next token of its row.

    Args:
        model: a causal one, with plain attention.
        prompts: at least a token each; they are padded on the left.
        candidates: so many of the likeliest.
        pad: an id for places that nobody reads.
        scores: what tokens are chosen by.
        take: is given the next token of each row.
    """
    device = next(model.parameters()).device
    longest = max(map(len, prompts))
    ids_BT = torch.tensor([[pad] * (longest - len(ids)) + list(ids) for ids in prompts], device=device)
    lengths_B = torch.tensor([len(ids) for ids in prompts], device=device)
    mask_BT = (torch.arange(longest, device=device) >= longest - lengths_B[:, None]).long()
    cache = DynamicCache(config=model.config)
    place_BT = (lengths_B - longest)[:, None] + torch.arange(longest, device=device)
    hidden_BTW, logits_BV = _read(model, ids_BT, mask_BT, place_BT, cache)
    rows = list(range(len(prompts)))
    while rows:
        scores_BV = scores(logits_BV, rows)
        scores_BK, token_BK = scores_BV.topk(min(candidates, scores_BV.shape[-1]))
        chance_BK = (scores_BK - scores_BV.logsumexp(-1, keepdim=True)).exp()
        k = token_BK.shape[-1]
        wide_BT = torch.cat([mask_BT, torch.ones_like(mask_BT[:, :1])], dim=1).repeat_interleave(k, 0)
        cache.batch_repeat_interleave(k)
        new_N1W, next_NV = _read(model, token_BK.view(-1, 1), wide_BT, lengths_B.repeat_interleave(k)[:, None], cache)
        alike_BKT = new_N1W.view(len(rows), k, -1) @ hidden_BTW.transpose(1, 2)
        alike_BK = alike_BKT.masked_fill(mask_BT[:, None] == 0, -torch.inf).amax(-1)
        value_BK = ((1 - alpha) * chance_BK - alpha * alike_BK).masked_fill(scores_BK == -torch.inf, -torch.inf)
        best_B = value_BK.argmax(-1)
        chosen_B = token_BK.gather(1, best_B[:, None])[:, 0]
        nats_B = logits_BV.log_softmax(-1).gather(1, chosen_B[:, None])[:, 0]
        some = (scores_BK[:, 0] > -torch.inf).tolist()
        told = zip(rows, chosen_B.tolist(), nats_B.tolist(), some, strict=True)
        left = [number for number, (row, token, nats, any_) in enumerate(told) if not take(row, token if any_ else None, nats)]
        rows = [rows[number] for number in left]
        left_B = torch.tensor(left, dtype=torch.long, device=device)
        best_B = left_B * k + best_B[left_B]
        cache.batch_select_indices(best_B)
        mask_BT, logits_BV, lengths_B = wide_BT[best_B], next_NV[best_B], lengths_B[left_B] + 1
        hidden_BTW = torch.cat([hidden_BTW[left_B], new_N1W[best_B]], dim=1)


def _read(
    model: PreTrainedModel, ids_BT: torch.Tensor, mask_BT: torch.Tensor, place_BT: torch.Tensor, cache: DynamicCache
) -> tuple[torch.Tensor, torch.Tensor]:
    """Last hidden states (B, T, W) of length 1, and the next token's logits (B, V).

    Args:
        place_BT: of the tokens in their sequences; below 0 for padding.
    """
    out = model(
        input_ids=ids_BT,
        attention_mask=mask_BT,
        position_ids=place_BT.clamp_min(0),
        past_key_values=cache,
        use_cache=True,
        output_hidden_states=True,
        logits_to_keep=1,
    )
    return normalize(out.hidden_states[-1].float(), dim=-1), out.logits[:, -1].float()
