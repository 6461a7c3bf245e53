"""Numbers of a model into its parameters, its memory in training and its work, without building it."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

__all__ = ["Memory", "Shape", "inner_width", "memory_of", "parameters", "step_flops"]

GATED = ("llama", "t5")  # families whose feed-forward layer has three matrices
PAIRED = ("t5", "bart")  # families that have as many layers again for the source
KEPT = {"gpt2": (8, 2), "llama": (10, 4), "bert": (8, 2), "t5": (28, 8), "bart": (23, 4)}
"""Numbers that a layer keeps of each place for the backward pass, in units of the width and of the feed-forward layers' width: the
inputs of matrices, norms and activations. Counted from the tensors that autograd saves; of a pair of layers where there are two."""
WITH_DROPOUT = 2  # times as many: 1.9 to 2.1 counted, with samples of 256 tokens


@dataclass(frozen=True)
class Shape:
    """How large a model is inside."""

    layers: int  # of the decoder and of the encoder each, where there are two
    width: int
    heads: int
    inner: int | None = None  # width of the feed-forward layers; None for the family's own rule, see `inner_width`
    dropout: float = 0.0


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a training step with AdamW in fp32."""

    weights: int
    gradients: int
    moments: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.moments + self.activations + self.loss

    def __str__(self) -> str:
        return ", ".join(f"{name} {size / 1e9:.2f}" for name, size in vars(self).items())


def inner_width(family: str, shape: Shape) -> int:
    """Width of the feed-forward layers: 4 times the model's, and 8/3 rounded up to 32 where they are gated, which is as many
    parameters (Shazeer 2020; Touvron et al. 2023; T5 1.1 has 8/3 at `base`)."""
    if shape.inner is not None:
        return shape.inner
    return -(-8 * shape.width // 3 // 32) * 32 if family in GATED else 4 * shape.width


def parameters(family: str, shape: Shape, *, vocabulary: int, context: int, pairs: bool = False) -> int:
    """Trained numbers of `families.build` with the same arguments; tied matrices count once."""
    L, W, H, inner = shape.layers, shape.width, shape.heads, inner_width(family, shape)
    words = vocabulary * W
    biased = 4 * W * (W + 1) + 2 * W * inner + inner + W  # attention and feed-forward layers whose matrices have biases
    match family:
        case "gpt2":
            return words + context * W + L * (biased + 4 * W) + 2 * W
        case "llama":
            return words + L * (4 * W * W + 3 * W * inner + 2 * W) + W
        case "bert":
            pooler = W * (W + 1) + 2 * (W + 1) if pairs else 0
            head = W * (W + 1) + 2 * W + vocabulary
            return words + (context + 2) * W + 2 * W + L * (biased + 4 * W) + head + pooler
        case "t5":
            attention, forward = 4 * W * W + W, 3 * W * inner + W
            return words + L * (3 * attention + 2 * forward) + 2 * 32 * H + 2 * W
        case "bart":
            attention = 4 * W * (W + 1) + 2 * W
            return words + 2 * ((context + 2) * W + 2 * W) + L * (2 * (biased + 4 * W) + attention)
    raise ValueError(family)


def memory_of(model: PreTrainedModel, *, places: int, checkpointing: bool = False, rows: int = 512) -> Memory:
    """Estimated memory of a training step.

    Args:
        places: N of a batch, and as many of the source where there is one.
        checkpointing: only the inputs of layers are kept, and what one layer computes again.
        rows: targets whose logits are in memory at once, see `losses`.
    """
    config = model.config
    numbers = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    every = sum(parameter.numel() for parameter in model.parameters())
    W, V, layers = config.hidden_size, config.vocab_size, config.num_hidden_layers
    of_width, of_inner = KEPT.get(config.model_type, KEPT["llama"])
    dropout = any(isinstance(module, nn.Dropout) and module.p for module in model.modules())
    kept = (of_width * W + of_inner * _inner_of(config)) * (WITH_DROPOUT if dropout else 1)
    inputs = (2 if config.is_encoder_decoder else 1) * W
    activations = 4 * places * (layers * inputs + kept if checkpointing else layers * kept)
    return Memory(
        weights=4 * every,
        gradients=4 * numbers,
        moments=8 * numbers,
        activations=activations,
        loss=4 * (3 * rows * V + 4 * places * W + V * W),
    )


def step_flops(
    family: str, shape: Shape, *, vocabulary: int, places: int, source_places: int = 0, targets: int, length: float
) -> float:
    """Floating-point operations of a forward and a backward pass over a batch.

    6 for each number that a place is multiplied with (Kaplan et al. 2020, 2.1), and for attention 12 per layer, unit of width and
    key that a query sees (Chowdhery et al. 2022, appendix B), of which causal layers compute half.

    Args:
        places: N, and `source_places` M.
        targets: P, places whose logits are computed.
        length: mean length of a sample, of what its encoder reads where there are two sides.
    """
    W, L, inner = shape.width, shape.layers, inner_width(family, shape)
    layer = 4 * W * W + (3 if family in GATED else 2) * W * inner
    attention = 12 * L * W * length
    total = 6.0 * vocabulary * W * targets + 6.0 * L * layer * places
    if family not in PAIRED:
        return total + attention * places * (1.0 if family == "bert" else 0.5)
    own = length * places / max(source_places, 1)
    total += 6.0 * L * (layer * source_places + 2 * W * W * (places + source_places))  # the encoder, and looking at the source
    return total + attention * (places + source_places) + 6.0 * L * W * own * places


def _inner_of(config: Any) -> int:
    names = ("intermediate_size", "d_ff", "n_inner", "encoder_ffn_dim")
    return next((int(value) for name in names if (value := getattr(config, name, None))), 4 * int(config.hidden_size))
