"""Samples of a validation split into prompts with what should follow, and a model's own answers to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from aigc.core.batches.sample import IGNORED, Ids, Sample
from aigc.core.generation.engine import Decoding, Request, draw, room_for
from aigc.core.model.attention import unpacked
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
    training = model.training
    model.eval()
    device = next(model.parameters()).device.type
    with unpacked(model), torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype is not None):
        order = sorted(range(len(asked)), key=lambda i: len(asked[i].prompt_ids))  # of about one length together
        found = [""] * len(asked)
        for first in range(0, len(order), AT_ONCE):
            places = order[first : first + AT_ONCE]
            some = [asked[place] for place in places]
            said = (_generated if model.config.is_encoder_decoder else _continued)(model, codec, some, max_tokens)
            for place, text in zip(places, said, strict=True):
                found[place] = text.strip()
    model.train(training)
    return found


def _end(wanted: Ids, codec: TextCodec) -> int | None:
    """The last token that stands for no text: the end of a turn may be followed by a line break."""
    silent = [int(token) for token in wanted if not codec.byte_lengths[token] or token == codec.end]
    return silent[-1] if silent else None


def _continued(model: PreTrainedModel, codec: TextCodec, asked: Sequence[Question], max_tokens: int) -> list[str]:
    stops = frozenset(question.end for question in asked if question.end is not None)
    able = [place for place, question in enumerate(asked) if room_for(model, len(question.prompt_ids)) > 0]
    said = [""] * len(asked)
    if able:
        requests = [Request(asked[place].prompt_ids.tolist(), 0) for place in able]
        decoding = Decoding(max_tokens, temperature=0.0, top_k=0, top_p=1.0, stops=stops)
        for place, one in zip(able, draw(model, codec, requests, decoding), strict=True):
            said[place] = one.text
    return said


def _generated(model: PreTrainedModel, codec: TextCodec, asked: Sequence[Question], max_tokens: int) -> list[str]:
    longest = max(len(question.prompt_ids) for question in asked)
    ids_BT = torch.full((len(asked), longest), codec.pad)
    mask_BT = torch.zeros_like(ids_BT)
    for row, question in enumerate(asked):
        ids_BT[row, : len(question.prompt_ids)] = torch.from_numpy(question.prompt_ids)
        mask_BT[row, : len(question.prompt_ids)] = 1
    device = next(model.parameters()).device
    out_BT = model.generate(
        input_ids=ids_BT.to(device),
        attention_mask=mask_BT.to(device),
        max_new_tokens=max_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=codec.end,
        pad_token_id=codec.pad,
    )
    return [codec.decode(_until(row[1:].tolist(), codec.end)) for row in out_BT]


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
