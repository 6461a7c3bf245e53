"""Prompts and a model into texts, in batches, with a key-value cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from aigc.core.generation.decoding import next_tokens
from aigc.core.model.attention import unpacked
from aigc.core.model.checkpoints import context_of
from aigc.core.tokens.text import TextCodec

__all__ = ["Decoding", "Drawn", "Request", "draw", "draw_freely", "room_for"]


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen; see `next_tokens`."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    stops: frozenset[int] = frozenset()  # tokens that end a text beside the codec's own end


@dataclass(frozen=True)
class Request:
    """A prompt, and the seed that decides what is drawn after it."""

    prompt_ids: Sequence[int]  # at least one
    seed: int


@dataclass(frozen=True)
class Drawn:
    """What came after a prompt."""

    text: str
    tokens: int  # new tokens, the end-of-text token not counted
    finish: str  # "end": the model ended it; "length": max_tokens or the model's context was reached


def room_for(model: PreTrainedModel, prompt_tokens: int) -> int:
    """New tokens that fit behind a prompt; 0 or less: the prompt is too long."""
    return context_of(model) - prompt_tokens


@torch.inference_mode()
def draw(model: PreTrainedModel, codec: TextCodec, requests: Sequence[Request], decoding: Decoding) -> list[Drawn]:
    """Continue all prompts together, padded on the left; each row's draws come from its own seed."""
    device = next(model.parameters()).device
    model.eval()
    longest = max(len(request.prompt_ids) for request in requests)
    steps = [min(decoding.max_tokens, room_for(model, len(request.prompt_ids))) for request in requests]
    input_BT = torch.full((len(requests), longest), codec.end)
    mask_BT = torch.zeros_like(input_BT)
    for row, request in enumerate(requests):
        input_BT[row, longest - len(request.prompt_ids) :] = torch.tensor(request.prompt_ids)
        mask_BT[row, longest - len(request.prompt_ids) :] = 1
    draws_BS = torch.from_numpy(np.stack([np.random.default_rng(r.seed).random(decoding.max_tokens) for r in requests]))
    input_BT, mask_BT, draws_BS = input_BT.to(device), mask_BT.to(device), draws_BS.to(device, torch.float32)
    position_BT = (mask_BT.cumsum(-1) - 1).clamp_min(0)
    cache = DynamicCache(config=model.config)
    ids: list[list[int]] = [[] for _ in requests]
    finish: list[str | None] = [None] * len(requests)
    for step in range(max(steps)):
        logits_BV = model(
            input_ids=input_BT,
            attention_mask=mask_BT,
            position_ids=position_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        chosen_B = next_tokens(
            logits_BV,
            temperature=decoding.temperature,
            top_k=decoding.top_k,
            top_p=decoding.top_p,
            draws_B=draws_BS[:, step],
        )
        for row, token in enumerate(chosen_B.tolist()):
            if finish[row] is not None:
                continue
            if token == codec.end or token in decoding.stops:
                finish[row] = "end"
                continue
            ids[row].append(token)
            if len(ids[row]) >= steps[row]:
                finish[row] = "length"
        if all(finish):
            break
        input_BT = chosen_B[:, None]
        mask_BT = torch.cat([mask_BT, torch.ones_like(input_BT)], dim=-1)
        position_BT = (position_BT[:, -1:] + 1).clamp_max(context_of(model) - 1)  # a finished row may run past the end
    return [Drawn(codec.decode(row), len(row), why or "length") for row, why in zip(ids, finish, strict=True)]


def draw_freely(model: PreTrainedModel, codec: TextCodec, *, count: int, max_tokens: int, seed: int) -> list[Drawn]:
    """What a causal model says of its own accord. It may be in training: mode and attention are left as they were."""
    requests = [Request(codec.start or [codec.end], seed + number) for number in range(count)]
    training = model.training
    with unpacked(model):
        drawn = draw(model, codec, requests, Decoding(max_tokens, temperature=0.8, top_k=50, top_p=0.95))
    model.train(training)
    return drawn
