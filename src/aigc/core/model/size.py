"""Numbers of a decoder into its parameters and memory, without building it."""

from typing import Literal

__all__ = ["llama_inner", "parameters", "training_bytes"]


def llama_inner(width: int) -> int:
    """Width of Llama's gated feed-forward layer: 8/3 of the model's, rounded up to 32 (Shazeer 2020; Touvron et al. 2023)."""
    return -(-8 * width // 3 // 32) * 32


def parameters(family: Literal["gpt2", "llama"], *, layers: int, width: int, vocabulary: int, context: int) -> int:
    """Trained numbers of `architectures.build` with the same arguments; the tied head counts once."""
    if family == "gpt2":
        block = 12 * width * width + 13 * width
        return layers * block + vocabulary * width + context * width + 2 * width
    block = 4 * width * width + 3 * width * llama_inner(width) + 2 * width
    return layers * block + vocabulary * width + width


def training_bytes(parameters: int, *, rows: int, context: int, layers: int, width: int, vocabulary: int) -> int:
    """Estimated peak memory of a training step in fp32: weights, gradients, two moments, activations and logits.

    Activations: about 17 numbers of fp32 per layer, token and unit of width (after Korthikanti et al. 2022, without
    the attention matrix, which is never whole in memory); logits three times (scores, log-softmax, gradient).
    """
    tokens = rows * context
    return 16 * parameters + 4 * tokens * (17 * layers * width + 3 * vocabulary)
