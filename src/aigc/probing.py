"""The probes section into what is asked of a model before and after training."""

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedModel

from aigc.core.evaluation.probe_sets import bundled_pairs, bundled_prompts, read_pairs, read_prompts
from aigc.core.evaluation.probes import Sampling, probe
from aigc.core.tokens.text import TextCodec
from aigc.schema import Finetune
from aigc.schema.ethics import Probes

__all__ = ["Ask", "probing"]

Ask = Callable[[PreTrainedModel, TextCodec, str], dict[str, Any]]
"""A model, its codec and what stands before each prompt, into the figures of `probe`."""


def probing(section: Finetune, seed: int) -> Ask | None:
    """What is asked; None where nothing is: where the section neither wants it nor keeps harm away.

    Raises:
        AigcError: a file of prompts or pairs cannot be read.
    """
    wanted = section.probes
    if wanted is None:
        if not section.penalise and section.control is None:
            return None
        wanted = Probes()
    prompts = read_prompts(wanted.prompts) if wanted.prompts else bundled_prompts(wanted.languages)
    pairs = read_pairs(wanted.pairs) if wanted.pairs else bundled_pairs(wanted.languages)

    def ask(model: PreTrainedModel, codec: TextCodec, prefix: str) -> dict[str, Any]:
        sampling = Sampling(wanted.continuations, wanted.max_tokens, wanted.threshold, seed, prefix)
        return probe(model, codec, prompts=prompts, pairs=pairs, sampling=sampling)

    return ask
