"""Drawn texts are those of transformers where it has the same rule, and depend on nothing but prompt, seed and settings."""

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation.engine import local
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.tokens.text import TextCodec
from conftest import CONTEXT, MakeModel

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama"])
TEXTS = ["The quick brown fox jumps over", "雨", "今天的天气很好，我们去", "a", "def add(a, b):"]
GREEDY = Decoding(max_tokens=12, temperature=0.0, top_k=0, top_p=1.0)
WARM = Decoding(max_tokens=12, temperature=1.0, top_k=0, top_p=1.0)


@pytest.fixture
def model(tiny_model: MakeModel) -> PreTrainedModel:
    """A model whose tokens are not all about as likely."""
    return tiny_model("llama", sharpen=5.0)


def _prompts(codec: TextCodec) -> list[list[int]]:
    return [[*codec.start, *ids] for ids in codec.encode(TEXTS)]


def _theirs(model: PreTrainedModel, codec: TextCodec, ids: list[int], max_tokens: int) -> list[int]:
    """New tokens of transformers' own greedy decoding."""
    found = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        do_sample=False,
        max_new_tokens=max_tokens,
        pad_token_id=codec.end,
    )
    return found[0, len(ids) :].tolist()


def draw(model: PreTrainedModel, codec: TextCodec, requests: list[Request], decoding: Decoding) -> list[Drawn]:
    """Rows in the order of the requests."""
    keyed = [replace(request, key=key) for key, request in enumerate(requests)]
    with local(model, codec) as engine:
        found = {request.key: drawn for request, drawn in engine.draw(keyed, decoding)}
    return [replace(found[key], ids=()) for key in range(len(requests))]


def room_for(model: PreTrainedModel, codec: TextCodec, prompt_tokens: int) -> int:
    """New tokens that fit behind a prompt."""
    with local(model, codec) as engine:
        return engine.room_for(prompt_tokens)


def _biased(model: PreTrainedModel, token: int, by: float) -> None:
    """Add to one token's score, whatever the prompt."""
    bias = torch.zeros(model.config.vocab_size)
    bias[token] = by
    model.get_output_embeddings().bias = torch.nn.Parameter(bias)


@FAMILIES
def test_greedy_is_that_of_transformers_alone_and_in_a_batch(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model, prompts = tiny_model(family, sharpen=5.0), _prompts(codec)
    theirs = [_theirs(model, codec, ids, 12) for ids in prompts]
    expected = [
        Drawn(codec.decode(ids), len(ids) - ended, "end" if ended else "length")
        for ids, ended in ((ids, codec.end in ids) for ids in theirs)
    ]
    assert len({tuple(ids) for ids in theirs}) > 2  # they do read their prompts
    assert draw(model, codec, [Request(ids, 0) for ids in prompts], GREEDY) == expected
    assert [draw(model, codec, [Request(ids, 0)], GREEDY)[0] for ids in prompts] == expected


@FAMILIES
def test_a_sample_does_not_depend_on_its_batch(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, sharpen=5.0)
    requests = [Request(ids, seed) for seed, ids in enumerate(_prompts(codec))]
    alone = [draw(model, codec, [request], WARM)[0] for request in requests]
    assert draw(model, codec, requests, WARM) == alone
    assert draw(model, codec, requests[::-1], WARM) == alone[::-1]
    assert draw(model, codec, requests[1:3], WARM) == alone[1:3]


def test_a_seed_decides_the_text(model: PreTrainedModel, codec: TextCodec) -> None:
    ids = _prompts(codec)[0]
    torch.manual_seed(1)
    first = draw(model, codec, [Request(ids, seed) for seed in (3, 3, 4)], WARM)
    torch.manual_seed(2)
    assert draw(model, codec, [Request(ids, seed) for seed in (3, 3, 4)], WARM) == first
    assert first[0] == first[1] != first[2]


def test_a_longer_limit_goes_on_with_the_same_text(model: PreTrainedModel, codec: TextCodec) -> None:
    request = Request(_prompts(codec)[0], 5)
    short, long = (draw(model, codec, [request], Decoding(limit, temperature=1.0, top_k=5, top_p=0.9))[0] for limit in (4, 12))
    assert long.text.encode().startswith(short.text.removesuffix("�").encode())


@pytest.mark.parametrize("max_tokens", [1, 2, 7])
def test_no_more_tokens_than_asked_for(max_tokens: int, model: PreTrainedModel, codec: TextCodec) -> None:
    _biased(model, codec.end, -1e9)
    decoding = Decoding(max_tokens, temperature=1.0, top_k=0, top_p=1.0)
    found = draw(model, codec, [Request(ids, 0) for ids in _prompts(codec)], decoding)
    assert [(one.tokens, one.finish) for one in found] == [(max_tokens, "length")] * len(found)


@FAMILIES
def test_the_context_is_filled_and_never_left(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, sharpen=5.0)
    _biased(model, codec.end, -1e9)
    lengths = [CONTEXT - 1, 1, CONTEXT - 10]
    requests = [Request(range(1, length + 1), 0) for length in lengths]
    found = draw(model, codec, requests, Decoding(1000, temperature=0.0, top_k=0, top_p=1.0))
    assert [one.tokens for one in found] == [room_for(model, codec, length) for length in lengths] == [1, CONTEXT - 1, 10]
    assert {one.finish for one in found} == {"length"}
    alone = [draw(model, codec, [request], Decoding(1000, 0.0, 0, 1.0))[0] for request in requests]
    assert found == alone


def test_the_end_token_ends_a_text_and_is_not_counted(model: PreTrainedModel, codec: TextCodec) -> None:
    _biased(model, codec.end, 1e9)
    found = draw(model, codec, [Request(ids, 0) for ids in _prompts(codec)], WARM)
    assert found == [Drawn("", 0, "end")] * len(TEXTS)


def test_a_row_may_end_before_the_others(model: PreTrainedModel, codec: TextCodec) -> None:
    _biased(model, codec.end, 6.0)
    requests = [Request(ids, seed) for ids in _prompts(codec) for seed in range(4)]
    found = draw(model, codec, requests, WARM)
    assert {one.finish for one in found} == {"end", "length"} or len({one.tokens for one in found}) > 2
    assert all(one.tokens == 12 for one in found if one.finish == "length")
    assert found == [draw(model, codec, [request], WARM)[0] for request in requests]
