"""A family, a shape and a vocabulary into a model of random weights, built by transformers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from aigc.core.model.size import Shape, inner_width, parameters
from aigc.errors import AigcError

__all__ = ["FAMILIES", "Family", "Kind", "Shape", "SpecialIds", "build", "shape_of"]

Kind = Literal["decoder", "encoder", "encoder_decoder"]
Size = Literal["tiny", "small", "base"] | int
DEPTHS = {"tiny": 3, "small": 6, "base": 12}  # 3 x 192, 6 x 384, 12 x 768 (GPT-2's smallest)
HEAD = 64  # width of a head
DEEPEST = 128
SPREAD = 0.02  # standard deviation of new weights (Radford et al. 2018, Devlin et al. 2019)
GELU = "gelu_pytorch_tanh"  # the tanh form (Hendrycks & Gimpel 2016) in one kernel; "gelu_new" is the same in eight


class Specials(Protocol):
    """What of a codec a config names."""

    @property
    def start(self) -> list[int]: ...
    @property
    def end(self) -> int: ...
    @property
    def pad(self) -> int: ...


@dataclass(frozen=True)
class SpecialIds:
    """Ids that configs name."""

    start: int | None  # begins texts; None where nothing does
    end: int
    pad: int

    @classmethod
    def of(cls, codec: Specials) -> "SpecialIds":
        """Those of a codec."""
        return cls(codec.start[0] if codec.start else None, codec.end, codec.pad)


@dataclass(frozen=True)
class Family:
    """One kind of Transformer."""

    kind: Kind
    config: Callable[[Shape, SpecialIds, int], PretrainedConfig]  # of a shape, ids and the context; the vocabulary comes after
    model: type[PreTrainedModel]
    paths: dict[str, int]  # endings of matrices that write to an unnormed residual stream, and how many do so in a layer
    classifier: type[PreTrainedModel] | None = None  # the same body, which tells a class or a value of a whole text


def _gpt2(shape: Shape, ids: SpecialIds, context: int) -> PretrainedConfig:
    return GPT2Config(
        n_layer=shape.layers,
        n_embd=shape.width,
        n_head=shape.heads,
        n_inner=shape.inner,
        n_positions=context,
        activation_function=GELU,
        resid_pdrop=shape.dropout,
        embd_pdrop=shape.dropout,
        attn_pdrop=0.0,
        bos_token_id=ids.end if ids.start is None else ids.start,
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
    )


def _llama(shape: Shape, ids: SpecialIds, context: int) -> PretrainedConfig:
    return LlamaConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=inner_width("llama", shape),
        max_position_embeddings=context,
        bos_token_id=ids.end if ids.start is None else ids.start,
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
        tie_word_embeddings=True,
    )


def _bert(shape: Shape, ids: SpecialIds, context: int) -> PretrainedConfig:
    return BertConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        intermediate_size=inner_width("bert", shape),
        max_position_embeddings=context,
        hidden_act=GELU,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=0.0,
        pad_token_id=ids.pad,
    )


def _t5(shape: Shape, ids: SpecialIds, context: int) -> PretrainedConfig:
    return T5Config(
        num_layers=shape.layers,
        d_model=shape.width,
        num_heads=shape.heads,
        d_kv=shape.width // shape.heads,
        d_ff=inner_width("t5", shape),
        feed_forward_proj=f"gated-{GELU}",
        dropout_rate=shape.dropout,
        n_positions=context,  # it could read on: positions are relative
        decoder_start_token_id=ids.pad,
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
        scale_decoder_outputs=False,  # as T5 1.1, whose embeddings transformers 5 ties like all others
    )


def _bart(shape: Shape, ids: SpecialIds, context: int) -> PretrainedConfig:
    return BartConfig(
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        d_model=shape.width,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=inner_width("bart", shape),
        decoder_ffn_dim=inner_width("bart", shape),
        max_position_embeddings=context,
        activation_function=GELU,
        dropout=shape.dropout,
        attention_dropout=0.0,
        bos_token_id=ids.start,
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
        decoder_start_token_id=ids.end,
        forced_eos_token_id=ids.end,
    )


FAMILIES: dict[str, Family] = {
    "gpt2": Family("decoder", _gpt2, GPT2LMHeadModel, {"c_proj.weight": 2}, GPT2ForSequenceClassification),
    "llama": Family(
        "decoder", _llama, LlamaForCausalLM, {"o_proj.weight": 2, "down_proj.weight": 2}, LlamaForSequenceClassification
    ),
    "bert": Family("encoder", _bert, BertForMaskedLM, {}, BertForSequenceClassification),
    "t5": Family("encoder_decoder", _t5, T5ForConditionalGeneration, {"Attention.o.weight": 2, "wo.weight": 2}),
    "bart": Family("encoder_decoder", _bart, BartForConditionalGeneration, {}),
}


def build(
    family: str,
    *,
    shape: Shape,
    vocabulary: int,
    ids: SpecialIds,
    context: int,
    pairs: bool = False,
    classes: int | None = None,
) -> PreTrainedModel:
    """A model with new weights, drawn from torch's generator.

    All matrices and embeddings are N(0, 0.02), the rows of padding too; those that write to the residual stream of a family whose
    norms come first are smaller by the square root of how often a layer does so times the layers (Radford et al. 2019, 2.3), and
    T5's queries by the square root of a head's width, since its scores are not (Raffel et al. 2020, 2.1). Biases are 0, gains 1.
    What attention looks at is not dropped (but for T5's, which has one rate for all): flash kernels of CPUs know no dropout.

    Args:
        vocabulary: token ids.
        context: the longest sample on either side, in tokens.
        pairs: whether an encoder also tells if the second of two texts follows the first.
        classes: scores of a whole text, which the model tells instead of tokens: of so many classes, or 1 for a value.

    Raises:
        AigcError: a family that cannot tell classes is to.
    """
    kind = FAMILIES[family]
    config = kind.config(shape, ids, context)
    config.vocab_size = vocabulary
    make = BertForPreTraining if pairs and family == "bert" else kind.model
    if classes is not None:
        if kind.classifier is None:
            raise AigcError(f"a {family} model cannot tell a class or a value of a text: classify needs an encoder or a decoder")
        config.num_labels = classes
        make = kind.classifier
    model: PreTrainedModel = make(config)
    _initialise(model, kind, shape)
    return model


def shape_of(
    family: str,
    *,
    size: Size | None = None,
    layers: int | None = None,
    width: int | None = None,
    heads: int | None = None,
    dropout: float = 0.0,
    vocabulary: int,
    context: int,
) -> Shape:
    """The shape for a size, or of the numbers given.

    One dial decides the rest, as in nanochat: a model of depth d has d layers (an encoder-decoder d of each), d heads of 64 and a
    width of 64 d. tiny, small and base have depth 3, 6 and 12; a number of parameters gets the depth that comes nearest to it.

    Args:
        size: a word or a number of parameters; `small` where neither it nor the three numbers are given.
    """
    if layers is not None and width is not None and heads is not None:
        return Shape(layers, width, heads, dropout=dropout)
    size = "small" if size is None else size
    shapes = [Shape(depth, HEAD * depth, depth, dropout=dropout) for depth in range(1, DEEPEST + 1)]
    if not isinstance(size, int):
        return shapes[DEPTHS[size] - 1]
    return min(shapes, key=lambda one: abs(parameters(family, one, vocabulary=vocabulary, context=context) - size))


@torch.no_grad()
def _initialise(model: PreTrainedModel, kind: Family, shape: Shape) -> None:
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        writes = next((count for ending, count in kind.paths.items() if name.endswith(ending)), 0)
        if writes and name.startswith("decoder."):  # T5's looks at the source besides
            writes += 1
        spread = SPREAD / (writes * shape.layers) ** 0.5 if writes else SPREAD
        if name.endswith("Attention.q.weight"):
            spread /= (shape.width // shape.heads) ** 0.5
        parameter.normal_(0.0, spread)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
