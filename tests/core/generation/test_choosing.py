"""Chosen tokens are those of transformers where it has the same rule; a row depends on its own prompt, seed and logits only."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from tokenizers_of import codec_of
from transformers import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from aigc.core.generation.choosing import Chooser
from aigc.core.generation.request import Constraint, Decoding, Drawn, Phrase, Request, Watermark
from aigc.core.generation.watermarks import marker
from aigc.core.tokens.text import TextCodec
from conftest import MakeModel

GREEDY = Decoding(max_tokens=24, temperature=0.0)
PROMPTS = [[5, 9, 5, 9, 7], [3], [50, 60, 70, 50, 60]]


def _continued(model: PreTrainedModel, codec: TextCodec, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Drawn]:
    """All prompts at once, each read anew for each token."""
    chooser = Chooser(codec, decoding, vocabulary=model.config.vocab_size)
    writings = [chooser.begin(Request(ids, seed), 64 - len(ids)) for seed, ids in enumerate(prompts)]
    with torch.inference_mode():
        while going := [writing for writing in writings if writing.finish is None]:
            rows = [model(torch.tensor([[*one.request.prompt_ids, *one.ids]])).logits[0, -1] for one in going]
            chooser.choose(torch.stack(rows), going)
    return [writing.drawn() for writing in writings]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"repetition_penalty": 1.4}, {"repetition_penalty": 1.4}),
        ({"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
        ({"no_repeat_ngram": 1}, {"no_repeat_ngram_size": 1}),
        ({"min_tokens": 9}, {"min_new_tokens": 9}),
        (
            {"repetition_penalty": 0.8, "no_repeat_ngram": 3, "min_tokens": 4},
            {"repetition_penalty": 0.8, "no_repeat_ngram_size": 3, "min_new_tokens": 4},
        ),
    ],
)
def test_greedy_texts_are_those_of_transformers(
    ours: dict[str, float], theirs: dict[str, float], codec: TextCodec, tiny_model: MakeModel
) -> None:
    model = tiny_model("llama", sharpen=5.0)
    model.generation_config.eos_token_id = codec.end
    found = _continued(model, codec, PROMPTS, replace(GREEDY, **ours))  # type: ignore[arg-type]
    for drawn, ids in zip(found, PROMPTS, strict=True):
        mask = torch.ones(1, len(ids), dtype=torch.int64)
        settings = {"do_sample": False, "max_new_tokens": 24, "pad_token_id": codec.pad, **theirs}
        expected = model.generate(torch.tensor([ids]), attention_mask=mask, **settings)[0, len(ids) :].tolist()
        assert list(drawn.ids) == [token for token in expected if token != codec.end]


def test_what_is_drawn_is_distributed_as_transformers_has_it() -> None:
    """Penalties, n-grams, the least length, temperature, top-k and top-p, one behind the other."""
    codec = codec_of("llama")
    width, prompt, text = codec.vocabulary, [4, 5, 6, 4, 5], [7, 4, 5]
    logits = torch.randn(1, width, generator=torch.Generator().manual_seed(0)) * 2
    logits[0, [codec.end, 6, 7]] = logits.max() + torch.tensor([1.0, 2.0, 0.5])
    decoding = Decoding(99, 0.7, top_k=12, top_p=0.9, min_tokens=9, repetition_penalty=1.2, no_repeat_ngram=3)
    chooser = Chooser(codec, decoding, vocabulary=width)
    theirs = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.2),
            NoRepeatNGramLogitsProcessor(3),
            MinNewTokensLengthLogitsProcessor(len(prompt), 9, codec.end),
            TemperatureLogitsWarper(0.7),
            TopKLogitsWarper(12),
            TopPLogitsWarper(0.9),
        ]
    )
    chances = theirs(torch.tensor([[*prompt, *text]]), logits.clone()).softmax(-1)[0]
    writings = [chooser.begin(Request(prompt, seed), 99) for seed in range(4000)]
    for token in text:
        forced = torch.full((len(writings), width), -50.0)
        forced[:, token] = 50.0
        assert chooser.choose(forced, writings) == [token] * len(writings)
    found = torch.bincount(torch.tensor(chooser.choose(logits.repeat(len(writings), 1), writings)), minlength=width)
    assert found[chances == 0].sum() == 0 and chances[codec.end] == 0 and chances[6] == 0 == chances[7]
    torch.testing.assert_close(found / len(writings), chances, atol=0.025, rtol=0)


EVERYTHING = Decoding(
    20,
    temperature=1.0,
    top_k=40,
    top_p=0.95,
    min_tokens=3,
    repetition_penalty=1.1,
    no_repeat_ngram=3,
    stop_strings=("x",),
    phrases=(Phrase("a"), Phrase("e", 2.0)),
    likelihood=True,
)


@pytest.mark.parametrize("watermark", [None, Watermark("greenlist", 3), Watermark("synthid", 3)])
@pytest.mark.parametrize("top_k", [0, 40])
def test_a_row_does_not_depend_on_its_batch(top_k: int, watermark: Watermark | None) -> None:
    codec = codec_of("bpe")
    decoding = replace(EVERYTHING, watermark=watermark, top_k=top_k)

    def drawn(seeds: Sequence[int]) -> dict[int, Drawn]:
        chooser = Chooser(codec, decoding, vocabulary=codec.vocabulary)
        writings = {seed: chooser.begin(Request([seed, 7], seed), 99) for seed in seeds}
        logits = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
        while going := [seed for seed in seeds if writings[seed].finish is None]:
            rows = [torch.randn(codec.vocabulary, generator=logits[seed]) * 3 for seed in going]
            chooser.choose(torch.stack(rows), [writings[seed] for seed in going])
        return {seed: writings[seed].drawn() for seed in seeds}

    together = drawn(range(8))
    assert drawn([5, 3]) == {5: together[5], 3: together[3]}
    assert drawn([6]) == {6: together[6]}
    assert len({one.text for one in together.values()}) > 5
    assert not any("a" in one.text for one in together.values())


def test_the_likelihood_is_the_models_own(codec: TextCodec, tiny_model: MakeModel) -> None:
    model = tiny_model("llama", sharpen=5.0)
    decoding = replace(EVERYTHING, phrases=(), stop_strings=())
    for drawn, ids in zip(_continued(model, codec, PROMPTS, decoding), PROMPTS, strict=True):
        said = [*drawn.ids, *([codec.end] if drawn.finish == "end" else [])]
        with torch.inference_mode():
            scores = model(torch.tensor([[*ids, *said]])).logits[0, len(ids) - 1 : -1].log_softmax(-1)
        expected = scores.gather(-1, torch.tensor(said)[:, None]).sum()
        assert drawn.likelihood == pytest.approx(float(expected), abs=1e-3)
    assert _continued(model, codec, PROMPTS, GREEDY)[0].likelihood is None


@pytest.mark.parametrize("decoding", [GREEDY, replace(GREEDY, temperature=1.0), replace(GREEDY, temperature=2.0, top_k=9)])
@pytest.mark.parametrize("watermark", [None, Watermark("greenlist", 3), Watermark("synthid", 3)])
def test_a_token_that_the_tokenizer_has_not_is_never_chosen(decoding: Decoding, watermark: Watermark | None) -> None:
    codec = codec_of("bpe")
    width = codec.vocabulary + 100
    chooser = Chooser(codec, replace(decoding, watermark=watermark, max_tokens=1), vocabulary=width)
    writings = [chooser.begin(Request([4, 5, 6, 7, 8], seed), 9) for seed in range(50)]
    logits = torch.zeros(50, width)
    logits[:, codec.vocabulary :] = 9.0
    assert max(chooser.choose(logits, writings)) < codec.vocabulary


@pytest.mark.parametrize("kind", ["greenlist", "synthid"])
def test_a_watermark_is_found_again(kind: str) -> None:
    codec = codec_of("bpe")
    watermark = Watermark(kind, 11)  # type: ignore[arg-type]
    chooser = Chooser(codec, Decoding(300, 1.0, top_k=50, watermark=watermark), vocabulary=codec.vocabulary)
    writing = chooser.begin(Request([4, 5, 6, 7, 8], 0), 999)
    generator = torch.Generator().manual_seed(0)
    while writing.finish is None:
        logits = torch.randn(1, codec.vocabulary, generator=generator)
        logits[0, codec.end] = -torch.inf
        chooser.choose(logits, [writing])
    test = marker(watermark, vocabulary=codec.vocabulary, device=torch.device("cpu"))
    other = marker(replace(watermark, key=12), vocabulary=codec.vocabulary, device=torch.device("cpu"))
    assert test.evidence(writing.ids).p_value < 1e-4 < 0.001 < other.evidence(writing.ids).p_value


def test_what_an_encoder_has_read_is_not_held_against_the_decoder() -> None:
    codec = codec_of("bpe")
    logits = torch.zeros(1, codec.vocabulary)
    logits[0, [9, 10]] = torch.tensor([2.0, 1.9])
    for start, expected in (([], 10), ([3], 9)):
        chooser = Chooser(codec, replace(GREEDY, repetition_penalty=2.0), vocabulary=codec.vocabulary, start=start)
        assert chooser.choose(logits.clone(), [chooser.begin(Request([9], 0), 9)]) == [expected]


def test_where_nothing_is_left_the_text_ends() -> None:
    codec = codec_of("bpe")
    for temperature in (0.0, 1.0):
        decoding = Decoding(9, temperature, constraint=Constraint("regex", "ab"), phrases=(Phrase("b"),))
        chooser = Chooser(codec, decoding, vocabulary=codec.vocabulary)
        writing = chooser.begin(Request([9], 0), 99)
        for _ in range(2):
            assert writing.finish is None
            chooser.choose(torch.zeros(1, codec.vocabulary), [writing])
        assert (writing.drawn().text, writing.finish) == ("a", "length")


def test_a_chooser_keeps_nothing_of_a_text() -> None:
    codec = codec_of("bpe")
    chooser = Chooser(codec, replace(EVERYTHING, constraint=Constraint("regex", "[b-w 今天]*")), vocabulary=codec.vocabulary)
    logits = torch.randn(20, codec.vocabulary, generator=torch.Generator().manual_seed(1))
    texts = []
    for _ in range(2):
        writing = chooser.begin(Request([9], 3), 99)
        for step in range(20):
            if writing.finish is None:
                chooser.choose(logits[[step]], [writing])
        texts.append(writing.drawn())
    assert texts[0] == texts[1] and texts[0].tokens > 5
    assert math.isfinite(texts[0].likelihood or math.nan)
