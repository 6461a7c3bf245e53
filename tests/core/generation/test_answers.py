"""Prompts of a validation split are asked as they are learned, and answered by the likeliest tokens."""

import numpy as np
import pytest
import torch

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.sample import IGNORED, Piece, Sample
from aigc.core.generation.answers import answers, questions
from aigc.core.model.attention import NAME
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from conftest import MakeModel

PAIRS = [("How is the weather?", " It rains."), ("天气怎么样？", "下雨了。"), ("a", " b"), ("The lazy dog", " jumps over the fox.")]


def samples(codec: TextCodec) -> list[Sample]:
    pieces = []
    for number, (prompt, completion) in enumerate(PAIRS):
        head, tail = ([*codec.start, *codec.encode([prompt])[0]], [*codec.encode([completion])[0], codec.end])
        pieces.append(Piece(number, np.array([*head, *tail]), head=True, tail=True, unlearned=len(head)))
    return Causal(codec)(pieces, np.random.default_rng(0))


def test_a_question_is_the_prompt_and_its_reference_what_is_learned(codec: TextCodec) -> None:
    found = questions(samples(codec), codec, most=3)
    assert [(one.prompt, one.reference) for one in found] == [(prompt, text.strip()) for prompt, text in PAIRS[:3]]
    assert all(one.end == codec.end for one in found)
    assert [one.document for one in found] == [0, 1, 2]


def test_of_a_chat_the_last_turn_is_asked_for(codec: TextCodec) -> None:
    ids = np.array(codec.encode(["one two three four five"])[0])
    labels = np.append(ids[1:], codec.end)
    labels[[0, 3]] = IGNORED
    [found] = questions([Sample(0, ids, labels)], codec, most=9)
    assert found.prompt_ids.tolist() == ids[:5].tolist()
    assert found.reference == codec.decode(ids[5:].tolist()).strip()


def test_nothing_is_asked_of_a_sample_that_learns_nothing(codec: TextCodec) -> None:
    ids = np.array(codec.encode(["one two"])[0])
    assert questions([Sample(0, ids, np.full(len(ids), IGNORED))], codec, most=9) == []


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_answers_are_those_of_transformers(family: str, codec: TextCodec, tiny_model: MakeModel) -> None:
    model = tiny_model(family, sharpen=5.0)
    asked = questions(samples(codec), codec, most=9)
    model.train()
    Learner(model)
    said = answers(model, codec, asked, max_tokens=8)
    assert model.training and model.config._attn_implementation == NAME, "the model is left as it was"
    plain = tiny_model(family, sharpen=5.0).eval()
    for question, text in zip(asked, said, strict=True):
        ids = torch.from_numpy(question.prompt_ids)[None]
        stops = {"eos_token_id": codec.end, "pad_token_id": codec.pad}
        out = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, **stops)[0].tolist()
        new = out[1:] if family == "t5" else out[ids.shape[1] :]
        new = new[: new.index(codec.end)] if codec.end in new else new
        assert text == codec.decode(new).strip()


def test_a_prompt_that_fills_the_context_has_no_answer(codec: TextCodec, tiny_model: MakeModel) -> None:
    model = tiny_model("gpt2", context=16)
    ids = np.arange(5, 21)
    asked = questions([Sample(0, ids, np.append(np.full(15, IGNORED), 7))], codec, most=1)
    assert len(asked[0].prompt_ids) == 16 and answers(model, codec, asked, max_tokens=4) == [""]
