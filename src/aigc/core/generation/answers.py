"""Samples of a validation split into prompts with what should follow, and a model's own answers to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from aigc.core.batches.sample import IGNORED, Ids, Sample
from aigc.core.generation.engine import local
from aigc.core.generation.request import Decoding, Request
from aigc.core.tokens.text import TextCodec

__all__ = ["Question", "answers", "questions"]

AT_ONCE = 8  # prompts


@dataclass(frozen=True)
class Question:
    """A prompt as the model reads it, and what should follow."""

    document: int  # as its sample's
    prompt_ids: Ids  # (L,) at least one; those that the encoder reads, where there is one
    prompt: str
    reference: str
    end: int | None  # the token that ends the reference, None where the context cut it off


def questions(samples: Iterable[Sample], codec: TextCodec, *, most: int) -> list[Question]:
    """The first so many samples that have a prompt; of a chat with several turns, the last one is asked for."""
    found: list[Question] = []
    for sample in samples:
        if len(found) >= most:
            break
        learned = np.flatnonzero(sample.labels != IGNORED)
        if not len(learned):
            continue
        begin = int(learned[np.flatnonzero(np.diff(learned, prepend=-2) > 1)[-1]])
        wanted = sample.labels[begin : learned[-1] + 1]
        prompt_ids = sample.input_ids[: begin + 1] if sample.source_ids is None else sample.source_ids
        reference = codec.decode(wanted.tolist()).strip()
        if reference:
            prompt = codec.decode(prompt_ids.tolist())
            found.append(Question(sample.document, prompt_ids, prompt, reference, _end(wanted, codec)))
    return found


def answers(
    model: PreTrainedModel,
    codec: TextCodec,
    asked: Sequence[Question],
    *,
    max_tokens: int,
    dtype: torch.dtype | None = None,
) -> list[str]:
    """The likeliest continuation of each prompt, token by token. Mode and attention of the model are left as they were.

    Args:
        dtype: of autocast; None for none.
    """
    found = [""] * len(asked)
    with local(model, codec, slots=AT_ONCE, dtype=dtype) as engine:
        able = [place for place, question in enumerate(asked) if engine.room_for(len(question.prompt_ids)) > 0]
        able.sort(key=lambda place: len(asked[place].prompt_ids))  # of about one length together
        requests = [Request(asked[place].prompt_ids.tolist(), 0, key=place) for place in able]
        stops = frozenset(question.end for question in asked if question.end is not None)
        decoding = Decoding(max_tokens, temperature=0.0, stops=stops)
        for request, drawn in engine.draw(requests, decoding):
            found[request.key] = drawn.text.strip()
    return found


def _end(wanted: Ids, codec: TextCodec) -> int | None:
    """The last token that stands for no text: the end of a turn may be followed by a line break."""
    silent = [int(token) for token in wanted if not codec.byte_lengths[token] or token == codec.end]
    return silent[-1] if silent else None
