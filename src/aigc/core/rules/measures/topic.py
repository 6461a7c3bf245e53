"""Measures: a document into the probability that its topic is one of those wanted, as a classifier tells it."""

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import ConfigDict, Field

from aigc.core.rules.rule import TEXT, Bound, Measure
from aigc.errors import AigcError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from aigc.core.tokens.codec import Codec

__all__ = ["Topic"]

_BATCH = 8_192  # tokens that the model reads at a time, padding counted


class Topic(Measure):
    """Probability, 0 to 1, that the text is of one of the wanted classes, by a classifier of your own; kept from 0.5 on.

    The checkpoint is what `aigc finetune` with `task: classify` makes, adapters too, or any of transformers' classifiers of whole
    texts. A text longer than the model's context is judged by its beginning, as in training.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    checkpoint: str
    """a checkpoint folder, or a model's name on the hub"""
    in_: list[str] = Field(alias="in", min_length=1)
    """the classes that are wanted"""
    min: Bound | None = 0.5
    """the least probability that is kept"""

    def value(self) -> pl.Expr:
        """See Measure.

        Raises:
            AigcError: the checkpoint cannot be loaded, is no classifier, or knows no such class.
        """
        model, codec, classes = _loaded(self.checkpoint)  # here, so that a wrong name is told before the first batch
        if lost := [name for name in self.in_ if name not in classes]:
            raise AigcError(f"topic: {self.checkpoint} knows no class {lost[0]!r}; its classes: {', '.join(classes)}")
        wanted = sorted({classes.index(name) for name in self.in_})
        return TEXT.map_batches(lambda texts: _probabilities(texts, model, codec, wanted), return_dtype=pl.Float64)


@lru_cache(2)
def _loaded(checkpoint: str) -> "tuple[PreTrainedModel, Codec, tuple[str, ...]]":
    from aigc.core.model import checkpoints

    classes = _classes(checkpoint)
    head = checkpoints.Head(classes)
    model, codec = checkpoints.load(checkpoint, checkpoints.device_of("auto"), kinds=("encoder", "decoder"), head=head)
    return model.eval(), codec, classes


def _classes(checkpoint: str) -> tuple[str, ...]:
    """What a classifier tells; asked first, for a checkpoint without a head would be given a new one."""
    from transformers import AutoConfig

    from aigc.core.model import checkpoints, sources

    source = sources.source_of(checkpoint)
    if (adapter := sources.adapter_of(source)) is not None:
        told = adapter / checkpoints.HEAD
        names = tuple(json.loads(told.read_text("utf-8"))) if told.exists() else ()
    else:
        try:
            config = AutoConfig.from_pretrained(**sources.place_of(checkpoint, source), trust_remote_code=False)
        except checkpoints.FAULTS as error:
            raise AigcError(sources.why_not(checkpoint, Path(source).exists(), error)) from error
        is_head = (config.architectures or [""])[0].endswith(checkpoints.TELLS)
        names = tuple(config.id2label[number] for number in range(config.num_labels)) if is_head else ()
    if len(names) < 2:
        raise AigcError(f"topic: {checkpoint} is no classifier; `aigc finetune` with `task: classify` makes one")
    return names


def _probabilities(texts: pl.Series, model: "PreTrainedModel", codec: "Codec", wanted: Sequence[int]) -> pl.Series:
    """A value for each text, whatever stands beside it, up to the rounding of fp32."""
    import torch

    from aigc.core.model.checkpoints import context_of

    room = min(context_of(model), _BATCH) - len(codec.start) - 1
    rows = [[*codec.start, *ids[:room], codec.end] for ids in codec.encode(texts.to_list())]
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    values = [0.0] * len(rows)
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and (end + 1 - begin) * len(rows[order[end]]) <= _BATCH:
            continue
        batch, begin = order[begin:end], end
        longest = len(rows[batch[-1]])
        ids_BT = torch.tensor([[*rows[row], *[codec.pad] * (longest - len(rows[row]))] for row in batch], device=model.device)
        mask_BT = torch.tensor([[1] * len(rows[row]) + [0] * (longest - len(rows[row])) for row in batch], device=model.device)
        with torch.inference_mode():
            logits_BC = model(input_ids=ids_BT, attention_mask=mask_BT).logits.double()
        for row, value in zip(batch, logits_BC.softmax(-1)[:, list(wanted)].sum(-1).tolist(), strict=True):
            values[row] = min(value, 1.0)
    if any(map(math.isnan, values)):
        raise AigcError("topic: the model's probabilities are not numbers; its weights are broken")
    return pl.Series(values, dtype=pl.Float64)
