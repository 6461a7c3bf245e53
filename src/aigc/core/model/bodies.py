"""A flat batch into hidden states: transformers' own layers over all samples at once, each of which sees itself alone."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.core.model.attention import pack
from aigc.core.model.flash import DistanceBias

__all__ = ["Flat", "entries_of", "flat", "hidden_states", "run", "shards"]


class Flat(NamedTuple):
    """What of a batch the layers read: tensors only, as a compiler wants them."""

    input_ids: torch.Tensor  # (N,)
    position_ids: torch.Tensor  # (N,)
    bounds: torch.Tensor  # (N + 1,) int32, or as many as have to be
    token_types: torch.Tensor | None  # (N,)
    source_ids: torch.Tensor | None  # (M,)
    source_positions: torch.Tensor | None  # (M,)
    source_bounds: torch.Tensor | None  # as many as `bounds`


def hidden_states(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """The last hidden states (N, W), those of the decoder if there is one. Places of padding hold what nobody may use.

    The model attends by sample afterwards too: `attention.unpacked` gives it its own attention back.
    """
    pack(model)
    return run(model, flat(batch, None if batch.input_ids.device.type == "cpu" else entries_of(batch, 0)))


def flat(batch: Batch, entries: int | None = None) -> Flat:
    """A batch's tensors.

    Args:
        entries: of bounds (see `entries_of`); None for as many as come with the batch.
    """
    return Flat(
        batch.input_ids,
        batch.position_ids,
        batch.bounds[:entries],
        batch.token_types,
        batch.source_ids,
        batch.source_positions,
        None if batch.source_bounds is None else batch.source_bounds[:entries],
    )


def entries_of(batch: Batch, before: int) -> int:
    """How many bounds a batch needs on a GPU, where flash attention starts work and takes memory for each sample, empty or not.

    As many as the batch before where these suffice, so that nothing is compiled anew; else twice as many as are needed.

    Args:
        before: what was found for the batch before, 0 for none.
    """
    needed = len(batch.documents) + 2  # the padding is a sample too
    return before if needed <= before else min(2 * needed, len(batch.bounds))


def run(model: PreTrainedModel, batch: Flat) -> torch.Tensor:
    """Hidden states (N, W) of a model whose attention is packed; the function to compile."""
    match model.config.model_type:
        case "t5":
            source = _t5(model.encoder, batch.source_ids, bounds=batch.source_bounds)
            return _t5(model.decoder, batch.input_ids, source, bounds=batch.bounds, source_bounds=batch.source_bounds).squeeze(0)
        case "bart":
            stacks = model.model
            source = _bart(stacks.encoder, batch.source_ids, batch.source_positions, bounds=batch.source_bounds)
            where = {"bounds": batch.bounds, "source_bounds": batch.source_bounds}
            return _bart(stacks.decoder, batch.input_ids, batch.position_ids, source, **where).squeeze(0)
    types = {} if batch.token_types is None else {"token_type_ids": batch.token_types[None]}
    states: torch.Tensor = model.base_model(
        input_ids=batch.input_ids[None], position_ids=batch.position_ids[None], use_cache=False, bounds=batch.bounds, **types
    ).last_hidden_state
    return states.squeeze(0)


def shards(model: PreTrainedModel) -> list[nn.Module]:
    """The layers whose weights FSDP may shard each by itself; everything else has to stay together with the Learner.

    The first layers of T5 hold the biases of all, which are read before these layers run: they are not among them.
    """
    match model.config.model_type:
        case "t5":
            return [*model.encoder.block[1:], *model.decoder.block[1:]]
        case "bart":
            return [*model.model.encoder.layers, *model.model.decoder.layers]
    names = set(model._no_split_modules or [])
    return [module for module in model.modules() if type(module).__name__ in names and "Embeddings" not in type(module).__name__]


def _t5(stack: Any, ids: torch.Tensor | None, source: torch.Tensor | None = None, **where: torch.Tensor | None) -> torch.Tensor:
    """As T5Stack.forward of transformers' modeling_t5.py, but with a bias by distance instead of one by query and key."""
    assert ids is not None
    hidden: torch.Tensor = stack.dropout(stack.embed_tokens(ids[None]))
    bias = DistanceBias(_distance_bias(stack.block[0].layer[0].SelfAttention, len(ids)))
    none = hidden.new_zeros(0)  # to the source there is no bias; without it, the layer would make one of N x M zeros
    for block in stack.block:
        hidden = block(hidden, None, bias, source, None, none, **where)[0]
    done: torch.Tensor = stack.dropout(stack.final_layer_norm(hidden))
    return done


def _distance_bias(attention: Any, places: int) -> torch.Tensor:
    """(H, 2 N - 1) biases of keys from N - 1 places before to N - 1 places behind their query (Raffel et al. 2020, 2.1)."""
    away = torch.arange(1 - places, places, device=attention.relative_attention_bias.weight.device)
    buckets = attention._relative_position_bucket(
        away,
        bidirectional=not attention.is_decoder,
        num_buckets=attention.relative_attention_num_buckets,
        max_distance=attention.relative_attention_max_distance,
    )
    bias: torch.Tensor = attention.relative_attention_bias(buckets)
    return bias.T.contiguous()


def _bart(
    stack: Any,
    ids: torch.Tensor | None,
    positions: torch.Tensor | None,
    source: torch.Tensor | None = None,
    **where: torch.Tensor | None,
) -> torch.Tensor:
    """As BartEncoder.forward and BartDecoder.forward of transformers' modeling_bart.py, but with given positions; no LayerDrop."""
    assert ids is not None
    hidden: torch.Tensor = stack.embed_tokens(ids[None]) + stack.embed_positions(ids[None], position_ids=positions)
    hidden = F.dropout(stack.layernorm_embedding(hidden), p=stack.dropout, training=stack.training)
    for layer in stack.layers:
        hidden = layer(hidden, None, **where) if source is None else layer(hidden, None, source, **where)
    return hidden
