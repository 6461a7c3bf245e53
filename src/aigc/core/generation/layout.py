"""Feeds into a flat batch: where each token stands, and which neighbouring slots attend together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from aigc.core.generation.stepper import Feed

__all__ = ["Group", "Layout", "layout_of"]

TOGETHER = 8  # tokens of a feed, at most, that it attends together with others of as many


@dataclass
class Group:
    """Feeds of n tokens each in neighbouring slots; what they attend to is computed at once."""

    low: int  # the first slot
    high: int  # one behind the last
    begin: int  # the first of its tokens in the flat batch
    end: int
    tokens: int  # n, of each feed
    longest: int  # tokens of the longest sequence, new ones included
    befores: torch.Tensor  # (R, 1, 1, 1) tokens that each slot held before; 0 where it has no feed
    rows: torch.Tensor | None  # which of the R slots have a feed; None: all
    even: bool  # whether all sequences are as long as the longest
    _masks: dict[Any, torch.Tensor] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether it is one whole sequence from its first token on, or as good as that."""
        return self.high - self.low == 1 and self.tokens == self.longest

    def sees_all(self, window: int | None) -> bool:
        """Whether every query sees every key, so that no mask is needed."""
        return self.even and self.tokens == 1 and (window is None or window >= self.longest)

    def mask(self, window: int | None) -> torch.Tensor:
        """(R, 1, n, L) Whether a query sees a key: those before it, of the last `window` ones."""
        if window not in self._masks:
            away = self._distances()
            seen = away <= 0
            self._masks[window] = seen if window is None else seen & (away > -window)
        return self._masks[window]

    def biased(self, module: Any, dtype: torch.dtype) -> torch.Tensor:
        """(R, H, n, L) T5's biases by distance (Raffel et al. 2020, 2.1), -inf for what is not seen."""
        if "bias" not in self._masks:
            away = self._distances()[:, 0]
            buckets = module._relative_position_bucket(
                away,
                bidirectional=False,
                num_buckets=module.relative_attention_num_buckets,
                max_distance=module.relative_attention_max_distance,
            )
            bias = module.relative_attention_bias(buckets).permute(0, 3, 1, 2)
            self._masks["bias"] = bias.masked_fill(away[:, None] > 0, -torch.inf).to(dtype)
        return self._masks["bias"]

    def reaching(self, lengths: Sequence[int], tokens: int) -> torch.Tensor:
        """(R, 1, 1, S) Which tokens of its source each slot has; one for a slot without any."""
        if "source" not in self._masks:
            device = self.befores.device
            most = torch.tensor([max(length, 1) for length in lengths[self.low : self.high]], device=device)
            self._masks["source"] = (torch.arange(tokens, device=device) < most[:, None])[:, None, None]
        return self._masks["source"]

    def _distances(self) -> torch.Tensor:
        """(R, 1, n, L) from each query to each key; below 0: the key is before it."""
        device = self.befores.device
        queries = self.befores + torch.arange(self.tokens, device=device)[:, None]
        return torch.arange(self.longest, device=device) - queries


@dataclass(frozen=True)
class Layout:
    """A flat batch of T tokens."""

    ids: torch.Tensor  # (T,)
    slots: torch.Tensor  # (T,)
    places: torch.Tensor  # (T,) in the sequence
    wanted: torch.Tensor | None  # (W,) the tokens whose logits are wanted, in the order of the feeds; None: all, as they stand
    groups: list[Group]
    longest: int  # tokens of the longest sequence
    only: tuple[int, int] | None  # slot and place of the token, where it is the only one


def layout_of(feeds: Sequence[Feed], lengths: Sequence[int], device: torch.device) -> Layout:
    """Put feeds behind each other, those of few tokens by their number and slot, then long ones each alone.

    Args:
        lengths: tokens that each slot holds already.
    """
    order = sorted(range(len(feeds)), key=lambda i: (len(feeds[i].ids), feeds[i].slot))
    ids: list[int] = []
    slots: list[int] = []
    places: list[int] = []
    begins = [0] * len(feeds)
    groups: list[list[int]] = []
    for i in order:
        feed = feeds[i]
        n, before = len(feed.ids), lengths[feed.slot]
        begins[i] = len(ids)
        ids += feed.ids
        slots += [feed.slot] * n
        places += range(before, before + n)
        if groups and n <= TOGETHER and len(feeds[groups[-1][0]].ids) == n:
            groups[-1].append(i)
        else:
            groups.append([i])
    wanted = [begins[i] + len(feed.ids) - feed.wanted + k for i, feed in enumerate(feeds) for k in range(feed.wanted)]
    return Layout(
        torch.tensor(ids, device=device),
        torch.tensor(slots, device=device),
        torch.tensor(places, device=device),
        None if wanted == list(range(len(ids))) else torch.tensor(wanted, dtype=torch.long, device=device),
        [_group([feeds[i] for i in group], begins[group[0]], lengths, device) for group in groups],
        max(lengths[feed.slot] + len(feed.ids) for feed in feeds),
        (slots[0], places[0]) if len(ids) == 1 else None,
    )


def _group(feeds: Sequence[Feed], begin: int, lengths: Sequence[int], device: torch.device) -> Group:
    n = len(feeds[0].ids)
    low, high = feeds[0].slot, feeds[-1].slot + 1
    befores = [0] * (high - low)
    for feed in feeds:
        befores[feed.slot - low] = lengths[feed.slot]
    gaps = len(feeds) < high - low
    return Group(
        low,
        high,
        begin,
        begin + n * len(feeds),
        n,
        n + max(befores),
        torch.tensor(befores, device=device).view(-1, 1, 1, 1),
        torch.tensor([feed.slot - low for feed in feeds], device=device) if gaps else None,
        not gaps and min(befores) == max(befores),
    )
