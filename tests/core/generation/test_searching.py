"""Beams are transformers' own, in any batch; contrastive search is that of its paper; both keep what a project asks of texts."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from aigc.core.generation.request import Constraint, Decoding, Drawn, Phrase, Request, Watermark
from aigc.core.generation.searching import Searching
from aigc.core.model import families
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from core.conftest import CONTEXT, SENTENCES, MakeModel

TEXTS = ["The quick brown fox jumps over", "雨", "今天的天气很好，我们去", "a", "def add(a, b):"]
BEAMS = Decoding(max_tokens=12, beams=4)
CONTRASTIVE = Decoding(max_tokens=12, contrastive=0.6, top_k=5)


@pytest.fixture(scope="module")
def model(tiny_model: MakeModel) -> PreTrainedModel:
    return tiny_model("gpt2", sharpen=5.0)


def _prompts(codec: TextCodec) -> list[list[int]]:
    return [[*codec.start, *ids] for ids in codec.encode(TEXTS)]


def _drawn(engine: Searching, prompts: list[list[int]], decoding: Decoding) -> list[Drawn]:
    """In the order of the prompts."""
    requests = [Request(ids, 0, key) for key, ids in enumerate(prompts)]
    found = {request.key: drawn for request, drawn in engine.draw(requests, decoding)}
    return [found[key] for key in range(len(prompts))]


def _theirs(model: PreTrainedModel, codec: TextCodec, ids: list[int], **settings: Any) -> list[int]:
    """New tokens of transformers' own beam search, the end cut off."""
    given = {"max_new_tokens": 12, "num_beams": 4, "do_sample": False, "eos_token_id": codec.end, "pad_token_id": codec.pad}
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.int64), **(given | settings))
    new: list[int] = out[0, 1 if model.config.is_encoder_decoder else len(ids) :].tolist()
    return new[: new.index(codec.end)] if codec.end in new else new


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"beams": 2, "max_tokens": 5}, {"num_beams": 2, "max_new_tokens": 5}),
        ({"min_tokens": 6}, {"min_new_tokens": 6}),
        ({"repetition_penalty": 1.7}, {"repetition_penalty": 1.7}),
        ({"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
    ],
    ids=str,
)
def test_beams_are_those_of_transformers_alone_and_in_a_batch(
    family: str, ours: dict[str, Any], theirs: dict[str, Any], tiny_model: MakeModel, codec: TextCodec
) -> None:
    model, prompts = _ending(tiny_model(family, sharpen=5.0), codec), _prompts(codec)
    decoding = Decoding(**({"max_tokens": 12, "beams": 4} | ours))
    expected = [_theirs(model, codec, ids, **theirs) for ids in prompts]
    for rows in (1, 16):
        assert [list(one.ids) for one in _drawn(Searching(model, codec, rows=rows), prompts, decoding)] == expected
    assert len({tuple(ids) for ids in expected}) > 2


def _ending(model: PreTrainedModel, codec: TextCodec) -> PreTrainedModel:
    """One that ends its texts sooner."""

    def add(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[..., codec.end] += 1.5
        return logits

    model.get_output_embeddings().register_forward_hook(add)
    return model


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_beams_of_an_encoder_decoder(family: str) -> None:
    codec = train(SENTENCES * 4, kind="bpe", family="encoder_decoder", vocabulary=400, context=CONTEXT)
    torch.manual_seed(0)
    model = families.build(
        family, shape=families.Shape(2, 32, 2), vocabulary=codec.vocabulary, ids=families.SpecialIds.of(codec), context=CONTEXT
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter *= 6.0
    prompts = [[*ids, codec.end] for ids in codec.encode(TEXTS)]
    expected = [_theirs(model, codec, ids, forced_eos_token_id=None) for ids in prompts]
    model.generation_config.forced_eos_token_id = codec.end  # a setting of the checkpoint; the project's decide
    model.generation_config.num_beams = 9
    engine = Searching(model, codec)
    assert [list(one.ids) for one in _drawn(engine, prompts, BEAMS)] == expected
    assert model.generation_config.num_beams == 9
    assert engine.room_for(CONTEXT) == CONTEXT - 1 and engine.room_for(CONTEXT + 1) == 0
    with pytest.raises(AigcError, match="contrastive is for causal"):
        list(engine.draw([], CONTRASTIVE))


def test_likelihood_is_the_models_own(model: PreTrainedModel, codec: TextCodec) -> None:
    for decoding in (Decoding(max_tokens=8, beams=3, likelihood=True), Decoding(8, top_k=4, contrastive=0.5, likelihood=True)):
        for ids, drawn in zip(_prompts(codec), _drawn(Searching(model, codec), _prompts(codec), decoding), strict=True):
            whole = torch.tensor([[*ids, *drawn.ids, *([codec.end] if drawn.finish == "end" else [])]])
            with torch.no_grad():
                nats = model(whole).logits[0].log_softmax(-1)[:-1].gather(1, whole[0, 1:, None])[len(ids) - 1 :].sum()
            assert drawn.likelihood == pytest.approx(float(nats), rel=1e-4, abs=1e-4)


@torch.no_grad()
def _contrastive(model: PreTrainedModel, codec: TextCodec, ids: list[int], *, alpha: float, k: int, most: int) -> list[int]:
    """Su et al. 2022, equation 5, with everything read anew for every candidate."""
    text: list[int] = []
    for _ in range(most):
        out = model(torch.tensor([ids + text]), output_hidden_states=True)
        chances, tokens = out.logits[0, -1].softmax(-1).topk(k)
        values = []
        for chance, token in zip(chances.tolist(), tokens.tolist(), strict=True):
            hidden = model(torch.tensor([[*ids, *text, token]]), output_hidden_states=True).hidden_states[-1][0]
            values.append((1 - alpha) * chance - alpha * float(cosine_similarity(hidden[-1:], hidden[:-1]).max()))
        best = tokens[max(range(k), key=lambda i: values[i])]
        if best == codec.end:
            break
        text.append(int(best))
    return text


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(("alpha", "k"), [(0.6, 5), (0.9, 3)])
def test_contrastive_search_is_that_of_its_paper(
    family: str, alpha: float, k: int, tiny_model: MakeModel, codec: TextCodec
) -> None:
    model, prompts = tiny_model(family, sharpen=4.0), _prompts(codec)
    expected = [_contrastive(model, codec, ids, alpha=alpha, k=k, most=8) for ids in prompts]
    decoding = Decoding(8, contrastive=alpha, top_k=k)
    for rows in (2, 16):
        assert [list(one.ids) for one in _drawn(Searching(model, codec, rows=rows), prompts, decoding)] == expected
    greedy = _drawn(Searching(model, codec), prompts, Decoding(8, contrastive=1e-9, top_k=k))
    assert expected != [list(one.ids) for one in greedy]


BOTH = pytest.mark.parametrize("decoding", [BEAMS, CONTRASTIVE], ids=["beams", "contrastive"])


def _with(decoding: Decoding, **more: Any) -> Decoding:
    return replace(decoding, **more)


@BOTH
def test_the_context_is_filled_and_never_left(decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    lengths = [CONTEXT - 1, 3, CONTEXT - 10]
    asked = _with(decoding, max_tokens=30, min_tokens=30)
    found = _drawn(Searching(model, codec), [list(range(1, length + 1)) for length in lengths], asked)
    assert [(one.tokens, one.finish) for one in found] == [(1, "length"), (30, "length"), (10, "length")]


@BOTH
def test_a_banned_text_is_never_written(decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    prompts = _prompts(codec)
    plain = _drawn(Searching(model, codec), prompts, decoding)
    banned = [one.text[1:3] for one in plain if len(one.text) > 2 and "�" not in one.text[:3]]
    assert banned
    found = _drawn(Searching(model, codec), prompts, _with(decoding, phrases=tuple(Phrase(text) for text in banned)))
    assert not any(text in one.text for one in found for text in banned)
    assert all(one.ids for one in found)


@BOTH
def test_a_stop_string_ends_a_text(decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    prompts = _prompts(codec)
    plain = _drawn(Searching(model, codec), prompts, decoding)
    stop = next(one.text[2:4] for one in plain if len(one.text) > 5 and "�" not in one.text[:5])
    found = _drawn(Searching(model, codec), prompts, _with(decoding, stop_strings=(stop,)))
    assert "stop" in {one.finish for one in found}
    assert not any(stop in one.text for one in found)
    short = _drawn(Searching(model, codec), prompts, _with(decoding, max_characters=3))
    assert all(len(one.text) <= 3 for one in short)


@BOTH
@pytest.mark.parametrize("form", [Constraint("choice", ("晴天", "雨天", "rain")), Constraint("regex", "[0-9]{3}-[ab]+")])
def test_a_form_is_kept(form: Constraint, decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    pytest.importorskip("llguidance")
    found = _drawn(Searching(model, codec), _prompts(codec), _with(decoding, constraint=form))
    for one in found:
        if form.kind == "choice":
            assert one.text in form.grammar and one.finish == "end"
        else:
            assert isinstance(form.grammar, str)
            assert re.fullmatch(form.grammar, one.text) or (one.finish == "length" and re.fullmatch(r"[0-9]{1,3}-?[ab]*", one.text))


@BOTH
def test_a_form_that_can_only_be_left_ends_the_text(decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    pytest.importorskip("llguidance")
    asked = _with(decoding, constraint=Constraint("choice", ("abcd",)), phrases=(Phrase("cd"),))
    for one in _drawn(Searching(model, codec), _prompts(codec), asked):
        assert "abcd".startswith(one.text) and "cd" not in one.text and one.finish == "length"


@BOTH
def test_a_text_is_told_as_it_is_settled(decoding: Decoding, model: PreTrainedModel, codec: TextCodec) -> None:
    pieces: dict[int, list[str]] = {}
    requests = [Request(ids, 0, key) for key, ids in enumerate(_prompts(codec))]
    watch = lambda request, piece: pieces.setdefault(request.key, []).append(piece)  # noqa: E731
    found = {request.key: drawn.text for request, drawn in Searching(model, codec).draw(requests, decoding, watch)}
    assert {key: "".join(parts) for key, parts in pieces.items()} == {key: text for key, text in found.items() if text}
    assert (max(map(len, pieces.values())) > 1) == (decoding.beams == 1)


def test_what_a_search_cannot_keep_is_one_error(model: PreTrainedModel, codec: TextCodec) -> None:
    with pytest.raises(AigcError, match="cannot keep watermark: leave it out"):
        list(Searching(model, codec).draw([], _with(BEAMS, watermark=Watermark("greenlist", 3))))
