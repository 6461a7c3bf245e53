"""Measures: a document into its perplexity under a causal language model."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

from aigc.core.rules.rule import TEXT, Measure
from aigc.errors import AigcError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from aigc.core.tokens.codec import Codec

__all__ = ["Perplexity"]

_BATCH = 2048  # tokens that the model reads at a time, padding counted: the logits of 50,000 words then take 0.4 GB


class Perplexity(Measure):
    """Perplexity under a causal language model: exp of the mean nats per token. Low is fluent, or repeated; high is noise.

    A text longer than the model's context (or than 2,048 tokens) is read in windows that share one token, so each token is judged
    once. What has no token to judge (the empty text; one token, where the tokenizer sets none before it) gets the size of the
    vocabulary: the perplexity of a model that knows nothing. Values depend on the tokenizer: compare them under one checkpoint
    only. CCNet (Wenzek et al. 2020) cuts at the thirds of a corpus; data-juicer keeps up to 1,500 (under a KenLM model).
    """

    shorthand = "checkpoint"

    checkpoint: str
    """a checkpoint folder, or a model's name on the hub"""

    def value(self) -> pl.Expr:
        """See Measure.

        Raises:
            AigcError: the checkpoint cannot be loaded.
        """
        model, codec = _loaded(self.checkpoint)  # here, so that a wrong name is told before the first batch
        return TEXT.map_batches(lambda texts: _perplexity(texts, model, codec, self.checkpoint), return_dtype=pl.Float64)


@lru_cache(2)
def _loaded(checkpoint: str) -> "tuple[PreTrainedModel, Codec]":
    from aigc.core.model import checkpoints

    model, codec = checkpoints.load(checkpoint, checkpoints.device_of("auto"))
    return model.eval(), codec


def _perplexity(texts: pl.Series, model: "PreTrainedModel", codec: "Codec", name: str) -> pl.Series:
    """A value for each text; the same text has the same value wherever it stands, up to the rounding of fp32."""
    from aigc.core.model.checkpoints import context_of

    documents = [codec.start + ids for ids in codec.encode(texts.to_list())]
    context = min(context_of(model), _BATCH)
    windows = [(row, window) for row, ids in enumerate(documents) for window in _windows(ids, context)]
    windows.sort(key=lambda item: len(item[1]))
    nats = [0.0] * len(documents)
    for batch in _batches(windows):
        for (row, _), loss in zip(batch, _losses([window for _, window in batch], model, codec.end), strict=True):
            nats[row] += loss
    values = [
        math.exp(min(total / (len(ids) - 1), 700.0)) if len(ids) > 1 else float(codec.vocabulary)
        for total, ids in zip(nats, documents, strict=True)
    ]
    if any(map(math.isnan, values)):
        raise AigcError(f"{name}: the model's probabilities are not numbers; its weights are broken")
    return pl.Series(values, dtype=pl.Float64)


def _windows(ids: Sequence[int], context: int) -> list[Sequence[int]]:
    """Windows of at most `context` tokens; each starts with the last token of the one before."""
    return [ids[start : start + context] for start in range(0, len(ids) - 1, context - 1)]


def _batches(windows: Sequence[tuple[int, Sequence[int]]]) -> list[Sequence[tuple[int, Sequence[int]]]]:
    """Runs of windows, sorted by length, that padded to the longest have at most _BATCH tokens."""
    batches: list[Sequence[tuple[int, Sequence[int]]]] = []
    start = 0
    for end in range(1, len(windows) + 1):
        if end == len(windows) or (end + 1 - start) * len(windows[end][1]) > _BATCH:
            batches.append(windows[start:end])
            start = end
    return batches


def _losses(windows: Sequence[Sequence[int]], model: "PreTrainedModel", padding: int) -> list[float]:
    """The sum of nats of each window's tokens from the second on.

    Padding stands behind the text, where a causal model cannot see it from within the text.
    """
    import torch
    from torch.nn.functional import cross_entropy

    longest = max(map(len, windows))
    ids_BT = torch.tensor([[*window, *[padding] * (longest - len(window))] for window in windows], device=model.device)
    with torch.inference_mode():
        logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1].float()
        nats_BT = cross_entropy(logits_BTV.transpose(1, 2), ids_BT[:, 1:], reduction="none")
    lengths_B = torch.tensor([len(window) - 1 for window in windows], device=model.device)
    is_text_BT = torch.arange(longest - 1, device=model.device) < lengths_B[:, None]
    sums: list[float] = nats_BT.double().masked_fill(~is_text_BT, 0.0).sum(1).tolist()
    return sums
