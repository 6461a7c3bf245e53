"""transformers' own layers into a Stepper: tokens of many sequences in one flat batch, each attending to its own slot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

from aigc.core.generation.layout import Group, Layout, layout_of
from aigc.core.generation.shelves import Shelf
from aigc.core.generation.stepper import Feed
from aigc.core.model.attention import FOREIGN, unpacked
from aigc.core.model.checkpoints import context_of
from aigc.core.model.head import head
from aigc.errors import AigcError

__all__ = ["NAME", "TorchStepper", "start_ids"]

NAME = "slots"
CROSS = {"t5": "EncDecAttention", "bart": "encoder_attn"}  # what looks at the source in a decoder's layer


class TorchStepper:
    """A causal model or an encoder-decoder of transformers; see the protocol Stepper.

    The model attends by slot only inside `step` and `begin`: between them it is what it was.
    """

    def __init__(self, model: PreTrainedModel, slots: int, *, dtype: torch.dtype | None = None) -> None:
        """
        Args:
            dtype: of autocast; None for none.

        Raises:
            AigcError: an encoder-decoder of a family that is not known.
        """
        self.model = model
        self.slots = slots
        self.context = context_of(model)
        self.vocabulary: int = model.get_output_embeddings().weight.shape[0]
        self.device = next(model.parameters()).device
        self._dtype = dtype
        configs = {id(config): config for module in model.modules() if (config := getattr(module, "config", None)) is not None}
        self._configs = [config for config in configs.values() if hasattr(config, "_attn_implementation_internal")]
        self._lengths = [0] * slots
        self._source_lengths = [0] * slots
        self._new_sources: list[tuple[int, torch.Tensor]] = []  # (slot, hidden states (S, W)) that no layer has seen
        self._shelves: dict[nn.Module, Shelf] = {}  # made as its layer writes first
        self._cross: set[nn.Module] = set()
        if model.config.is_encoder_decoder:
            family = model.config.model_type
            if family not in CROSS:
                raise AigcError(f"generating with an encoder-decoder of the family {family} is not supported (t5 and bart are)")
            self._cross = {part for name, part in model.named_modules() if name.endswith(CROSS[family])}

    @torch.inference_mode()
    def begin(self, slot: int, source_ids: Sequence[int] | None = None) -> None:
        """See Stepper."""
        self._lengths[slot] = 0
        if source_ids is not None:
            self._source_lengths[slot] = len(source_ids)
            ids_1S = torch.tensor([list(source_ids)], device=self.device)
            with unpacked(self.model), self._autocast():
                states = self.model.get_encoder()(input_ids=ids_1S).last_hidden_state[0]
            self._new_sources = [(other, old) for other, old in self._new_sources if other != slot] + [(slot, states)]

    @torch.inference_mode()
    def copy(self, source: int, target: int, tokens: int) -> None:
        """See Stepper."""
        assert tokens <= self._lengths[source] and not self._new_sources
        for module, shelf in self._shelves.items():
            shelf.copy(source, target, self._source_lengths[source] if module in self._cross else tokens)
        self._lengths[target] = tokens
        self._source_lengths[target] = self._source_lengths[source]

    def cut(self, slot: int, tokens: int) -> None:
        """See Stepper."""
        assert tokens <= self._lengths[slot]
        self._lengths[slot] = tokens

    @torch.inference_mode()
    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """See Stepper."""
        layout = layout_of(feeds, self._lengths, self.device)
        assert layout.longest <= self.context, "the model's context is over"
        for feed in feeds:
            self._lengths[feed.slot] += len(feed.ids)
        with self._attending(), self._autocast():
            hidden_TW = self._hidden(layout)
            if layout.wanted is not None:
                hidden_TW = hidden_TW.index_select(0, layout.wanted)
            logits_WV = head(self.model, hidden_TW).logits()
        self._new_sources = []
        return logits_WV.float()

    @contextmanager
    def _attending(self) -> Iterator[None]:
        before = [config._attn_implementation_internal for config in self._configs]
        for config in self._configs:
            config._attn_implementation_internal = NAME  # as `pack` does, which looks at every module each time
        try:
            yield
        finally:
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation_internal = name

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None)

    def _hidden(self, layout: Layout) -> torch.Tensor:
        """The last hidden states (T, W)."""
        model, ids, places = self.model, layout.ids, layout.places
        given: dict[str, Any] = {"stepper": self, "layout": layout}
        match model.config.model_type:
            case "t5":
                return _t5(model.decoder, ids, self._source(), **given)
            case "bart":
                return _bart(model.model.decoder, ids, places, self._source(), **given)
        states: torch.Tensor = model.base_model(
            input_ids=ids[None], position_ids=places[None], use_cache=False, **given
        ).last_hidden_state
        return states[0]

    def _source(self) -> torch.Tensor:
        """Hidden states (1, S, W) of the sources that no layer has seen yet, one behind the other; else one that is not read."""
        if not self._new_sources:
            return torch.zeros(1, 1, self.model.config.hidden_size, device=self.device)
        return torch.cat([states for _, states in self._new_sources])[None]

    def attend(
        self, module: nn.Module, qkv: tuple[torch.Tensor, ...], layout: Layout, scale: float, given: dict[str, Any]
    ) -> torch.Tensor:
        """What a layer looks at: (1, T, H, D). New keys and values are put on the module's shelf first."""
        q_1HTD, k_1KTD, v_1KTD = qkv
        shelf = self._shelves.get(module)
        if shelf is None:
            shelf = self._shelves[module] = Shelf(self.slots)
        cross = module in self._cross
        if not cross:
            shelf.reserve(layout.longest)
            shelf.write(layout.slots, layout.places, k_1KTD, v_1KTD, layout.only)
        elif self._new_sources:
            shelf.reserve(max(self._source_lengths))
            slots = [slot for slot, states in self._new_sources for _ in range(len(states))]
            places = [place for _, states in self._new_sources for place in range(len(states))]
            shelf.write(torch.tensor(slots, device=self.device), torch.tensor(places, device=self.device), k_1KTD, v_1KTD)
        bias, window = given.get("position_bias"), given.get("sliding_window")
        parts = []
        for group in layout.groups:
            tokens = max(self._source_lengths[group.low : group.high]) if cross else group.longest
            keys, values = shelf.read(group.low, group.high, tokens)
            mask = None
            if cross:
                mask = group.reaching(self._source_lengths, tokens)
            elif bias is not None:
                mask = group.biased(bias, keys.dtype)
            elif not (group.sees_all(window) or (group.alone and window is None)):
                mask = group.mask(window)
            parts.append(_group(group, q_1HTD[0, :, group.begin : group.end], keys, values, mask, scale))
        return (parts[0] if len(parts) == 1 else torch.cat(parts))[None]


def start_ids(model: PreTrainedModel) -> list[int]:
    """What the decoder of an encoder-decoder reads before its first token; nothing for a causal model."""
    if not model.config.is_encoder_decoder:
        return []
    settings = model.generation_config
    start = settings.decoder_start_token_id
    if start is None:
        start = getattr(model.config, "decoder_start_token_id", None)
    if start is None:
        raise AigcError(f"{model.name_or_path}: its config says no decoder_start_token_id")
    forced = settings.forced_bos_token_id
    return [start] if forced is None else [start, forced]


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    stepper: TorchStepper,
    layout: Layout,
    scaling: float | None = None,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Attention (1, T, H, D) of a flat batch to what the slots hold; an attention function of transformers.

    Args:
        query: (1, H, T, D).
        key: (1, K, T, D), where K divides H; value alike.
        attention_mask: None.

    Raises:
        AigcError: the model's attention does what this one cannot.
    """
    assert attention_mask is None
    for name in FOREIGN:
        if given.get(name) is not None:
            raise AigcError(f"the model's attention has {name}, which the torch engine does not support")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return stepper.attend(module, (query.to(value.dtype), key.to(value.dtype), value), layout, scale, given), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def _group(
    group: Group, q_HTD: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, scale: float
) -> torch.Tensor:
    """Attention (T, H, D) of the queries of a group: R rows of n tokens, T of them held by feeds."""
    heads, _, width = q_HTD.shape
    rows, n, shared = group.high - group.low, group.tokens, keys.shape[1]
    q_RnHD = q_HTD.transpose(0, 1)
    if group.rows is not None:  # some slots between the first and the last have nothing to ask
        spread = q_RnHD.new_zeros(rows, n, heads, width)
        spread[group.rows] = q_RnHD.reshape(-1, n, heads, width)
        q_RnHD = spread
    q_RHnD = q_RnHD.reshape(rows, n, heads, width).transpose(1, 2)
    if shared == heads:
        out = F.scaled_dot_product_attention(q_RHnD, keys, values, attn_mask=mask, is_causal=mask is None and n > 1, scale=scale)
    elif mask is None and n > 1:
        out = F.scaled_dot_product_attention(q_RHnD, keys, values, is_causal=True, scale=scale, enable_gqa=True)
    else:  # heads that share keys ask as so many queries more: nothing is repeated
        q_RKgD = q_RHnD.reshape(rows, shared, -1, width)
        if mask is not None and n > 1:
            mask = mask.expand(rows, 1, n, -1).repeat(1, 1, heads // shared, 1)
        out = F.scaled_dot_product_attention(q_RKgD, keys, values, attn_mask=mask, scale=scale).reshape(rows, heads, n, width)
    out_RnHD = out.transpose(1, 2)
    if group.rows is not None:
        out_RnHD = out_RnHD[group.rows]
    return out_RnHD.reshape(-1, heads, width)


def _t5(stack: Any, ids: torch.Tensor, source: torch.Tensor, *, stepper: TorchStepper, layout: Layout) -> torch.Tensor:
    """As T5Stack.forward of transformers' modeling_t5.py, with a bias by distance."""
    hidden = stack.embed_tokens(ids[None])
    none = hidden.new_zeros(0)  # to the source there is no bias; without it, the layer would make one
    first = stack.block[0].layer[0].SelfAttention
    for block in stack.block:
        hidden = block(hidden, None, first, source, None, none, stepper=stepper, layout=layout)[0]
    done: torch.Tensor = stack.final_layer_norm(hidden)
    return done[0]


def _bart(
    stack: Any, ids: torch.Tensor, places: torch.Tensor, source: torch.Tensor, *, stepper: TorchStepper, layout: Layout
) -> torch.Tensor:
    """As BartDecoder.forward of transformers' modeling_bart.py, with given positions."""
    hidden = stack.embed_tokens(ids[None]) + stack.embed_positions(ids[None], position_ids=places)
    hidden = stack.layernorm_embedding(hidden)
    for layer in stack.layers:
        hidden = layer(hidden, None, source, stepper=stepper, layout=layout)
    done: torch.Tensor = hidden[0]
    return done
