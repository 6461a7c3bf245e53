"""Probes: figures that are known by hand where the draws are, likelihoods that are plain torch's, and a model left as it was."""

from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from aigc.core.evaluation import probes
from aigc.core.evaluation.probe_sets import Pair, Prompt, bundled_pairs, bundled_prompts
from aigc.core.evaluation.probes import Sampling, chosen, log_likelihoods, probe
from aigc.core.generation.engine import Local
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.model.attention import NAME
from aigc.core.model.learner import Learner
from aigc.core.rules.measures.toxicity import Toxicity
from aigc.core.tokens.text import TextCodec
from conftest import CONTEXT, MakeModel

INSULT, FRIENDLY = " a worthless idiot and everybody hates you", " a patient teacher, and it rains."
SAYS = Callable[[str], str]


def prompt(*groups: str, dimension: str = "gender", language: str = "en", text: str = "The {} is") -> Prompt:
    return Prompt(tuple((group, text.format(group)) for group in groups), dimension, language)


PROMPTS = [prompt("woman", "man"), prompt("North", "South", "West", dimension="region")]
PAIRS = [Pair("The fox is quick.", "The dog is lazy.", "animals"), Pair("今天的天气很好。", "她打开窗户，听着雨声。", "weather")]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, codec: TextCodec) -> Callable[[SAYS], list[Request]]:
    """Let the model say what a function of the prompt says; gives the requests that it was asked."""

    def patch(function: SAYS) -> list[Request]:
        asked: list[Request] = []

        def draw(_engine: Local, requests: Iterable[Request], _decoding: Decoding) -> Iterator[tuple[Request, Drawn]]:
            for request in requests:
                asked.append(request)
                yield request, Drawn(function(codec.decode(list(request.prompt_ids))), 1, "length")

        monkeypatch.setattr(Local, "draw", draw)
        return asked

    return patch


def toxicity_of(text: str) -> float:
    import polars as pl

    value: float = pl.DataFrame({"text": [text]}).select(value=Toxicity().value()).item()
    return value


def test_a_model_that_insults_one_group_is_found_out(
    says: Callable[[SAYS], list[Request]], tiny_model: MakeModel, codec: TextCodec
) -> None:
    says(lambda text: INSULT if "woman" in text else FRIENDLY)
    high, low = toxicity_of(INSULT), toxicity_of(FRIENDLY)
    assert high - low > 0.5
    figures = probe(tiny_model(), codec, prompts=PROMPTS, pairs=[], sampling=Sampling(threshold=0.5))
    told = figures["toxicity"]
    assert told["continuations"] == 5
    assert (told["mean"], told["share"]) == (pytest.approx((high + 4 * low) / 5), pytest.approx(1 / 5))
    assert told["by_language"]["en"]["share"] == told["share"]
    assert told["worst"][0] == {"prompt": "The woman is", "continuation": INSULT, "toxicity": pytest.approx(high)}
    fair = figures["fairness"]
    assert fair["comparisons"] == 4, "one pair of two groups, three of three"
    assert fair["mean_gap"] == pytest.approx((high - low) / 4)
    assert fair["max_gap"] == fair["group_gap"] == pytest.approx(high - low)
    gender, region = fair["by_dimension"]["gender"], fair["by_dimension"]["region"]
    assert gender["groups"] == {"woman": pytest.approx(high), "man": pytest.approx(low)}
    assert (gender["mean_gap"], region["mean_gap"]) == (pytest.approx(high - low), 0)
    assert figures["likelihood"]["stereotype_share"] is None


def test_groups_without_common_prompts_are_compared_by_their_means(
    says: Callable[[SAYS], list[Request]], tiny_model: MakeModel, codec: TextCodec
) -> None:
    """As those of BOLD, where each group has prompts of its own."""
    says(lambda text: INSULT if "red" in text else FRIENDLY)
    own = [prompt("red"), prompt("blue", text="A {} one was"), prompt("", text="It rains, and"), prompt("red", text="No {} was")]
    fair = probe(tiny_model(), codec, prompts=own, pairs=[], sampling=Sampling())["fairness"]
    assert (fair["comparisons"], fair["mean_gap"], fair["max_gap"]) == (0, None, None)
    assert fair["group_gap"] == pytest.approx(toxicity_of(INSULT) - toxicity_of(FRIENDLY))
    assert set(fair["by_dimension"]["gender"]["groups"]) == {"red", "blue"}


def test_groups_share_their_random_numbers_and_prompts_do_not(
    says: Callable[[SAYS], list[Request]], tiny_model: MakeModel, codec: TextCodec
) -> None:
    asked = says(lambda _: "")
    probe(tiny_model(), codec, prompts=PROMPTS, pairs=[], sampling=Sampling(seed=3, prefix="春天"))
    seeds = [request.seed for request in asked]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3] == seeds[4]
    before = codec.start + codec.encode(["春天The woman is"])[0]
    assert list(asked[0].prompt_ids) == before
    probe(tiny_model(), codec, prompts=PROMPTS, pairs=[], sampling=Sampling(seed=4))
    assert asked[5].seed != seeds[0]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("training", [True, False])
def test_the_same_seed_gives_the_same_figures_and_the_model_is_left_as_it_was(
    family: str, training: bool, tiny_model: MakeModel, codec: TextCodec
) -> None:
    model = tiny_model(family, sharpen=4.0)
    learner = Learner(model).train(training)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    sampling = Sampling(continuations=8, max_tokens=6, seed=1)
    first, second = (probe(model, codec, prompts=PROMPTS, pairs=PAIRS, sampling=sampling) for _ in range(2))
    assert first == second
    assert first["toxicity"]["continuations"] == 5
    assert first["likelihood"]["pairs"] == 2
    assert all(module.training is training for module in learner.modules())
    assert model.config._attn_implementation == NAME
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    other = probe(model, codec, prompts=PROMPTS, pairs=PAIRS, sampling=Sampling(continuations=8, max_tokens=6, seed=2))
    assert other["toxicity"]["worst"] != first["toxicity"]["worst"], "another seed, other continuations"
    assert other["likelihood"] == first["likelihood"], "sentences are not drawn"


TEXTS = ["The fox.", "A small model learns a small language, one token at a time.", "雨", "今天的天气很好，我们去公园散步吧。", ""]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("prefix", ["", "春天 "])
def test_likelihoods_are_those_of_plain_torch(
    family: str, prefix: str, tiny_model: MakeModel, codec: TextCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands beside a text in a batch."""
    model = tiny_model(family, sharpen=4.0)
    read = (codec.start or [codec.end]) + codec.encode([prefix])[0]
    expected = []
    for ids in codec.encode(TEXTS):
        with torch.no_grad():
            logs = model(torch.tensor([[*read, *ids]])).logits[0].log_softmax(-1)
        own = [logs[len(read) - 1 + place, token].item() for place, token in enumerate(ids)]
        expected.append((pytest.approx(sum(own), rel=1e-4, abs=1e-4), len(ids)))
    for tokens in (1, 30, 2048):
        monkeypatch.setattr(probes, "TOKENS", tokens)
        assert log_likelihoods(model, codec, TEXTS, prefix=prefix) == expected


def test_the_gap_of_pairs_is_in_nats_per_token(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(sharpen=4.0)
    more, less = zip(*[log_likelihoods(model, codec, [pair.more, pair.less]) for pair in PAIRS], strict=True)
    gaps = [abs(m[0] - l[0]) / ((m[1] + l[1]) / 2) for m, l in zip(more, less, strict=True)]  # type: ignore[index]  # noqa: E741
    figures = probe(model, codec, prompts=[], pairs=PAIRS, sampling=Sampling())["likelihood"]
    assert figures["mean_gap"] == pytest.approx(sum(gaps) / 2, rel=1e-4)
    assert figures["by_dimension"]["weather"]["mean_gap"] == pytest.approx(gaps[1], rel=1e-4)
    turned = [Pair(pair.less, pair.more, pair.dimension) for pair in PAIRS]
    other = probe(model, codec, prompts=[], pairs=turned, sampling=Sampling())["likelihood"]
    assert other["mean_gap"] == pytest.approx(figures["mean_gap"])
    assert other["stereotype_share"] == 1 - figures["stereotype_share"]


def test_what_is_longer_than_the_context_is_left_out_and_counted(tiny_model: MakeModel, codec: TextCodec) -> None:
    long = "雨" * CONTEXT
    prompts = [prompt("woman", long), PROMPTS[0]]
    figures = probe(tiny_model(), codec, prompts=prompts, pairs=[*PAIRS, Pair(long, "a")], sampling=Sampling(max_tokens=2))
    assert (figures["prompts_left_out"], figures["toxicity"]["continuations"]) == (1, 2)
    assert (figures["likelihood"]["left_out"], figures["likelihood"]["pairs"]) == (1, 2)


def test_nothing_to_probe_gives_no_figures(tiny_model: MakeModel, codec: TextCodec) -> None:
    figures = probe(tiny_model(), codec, prompts=PROMPTS, pairs=[], sampling=Sampling(continuations=0))
    assert figures["toxicity"] == {
        "continuations": 0, "threshold": 0.9, "mean": None, "share": None, "by_language": {}, "worst": [],
    }  # fmt: skip


def _others() -> list[tuple[PreTrainedModel, str]]:
    small = {"vocab_size": 400, "num_hidden_layers": 1}
    bert = BertForMaskedLM(BertConfig(**small, hidden_size=8, num_attention_heads=1, intermediate_size=8))
    t5 = T5ForConditionalGeneration(T5Config(vocab_size=400, d_model=8, d_kv=8, d_ff=8, num_layers=1, num_heads=1))
    return [(bert, "a BertForMaskedLM predicts no next token"), (t5, "an encoder-decoder does not continue a prompt")]


def test_other_models_are_skipped_with_a_reason(tiny_model: MakeModel, codec: TextCodec) -> None:
    classifier = GPT2ForSequenceClassification(tiny_model("gpt2").config)
    for model, reason in (*_others(), (classifier, "a GPT2ForSequenceClassification predicts no next token")):
        assert probe(model, codec, prompts=PROMPTS, pairs=PAIRS, sampling=Sampling()) == {"skipped": reason}


def test_prompts_of_all_kinds_have_their_turn() -> None:
    some = [prompt("a", "b", text=f"{n} {{}}") for n in range(5)] + [
        prompt("c", "d", "e", dimension="x", text=f"{n} {{}}") for n in range(3)
    ]
    found = chosen(some, 11)
    assert [one.variants[0][1] for one in found] == ["0 a", "0 c", "1 a", "1 c"]
    assert sum(len(one.variants) for one in chosen(some, 12)) == 12, "what still fits is taken"
    assert chosen(some, 1) == []
    assert len(chosen(some, 1000)) == 8


def test_the_default_number_of_continuations_reaches_every_dimension_in_both_languages() -> None:
    prompts = bundled_prompts(["en", "zh"])
    found = chosen(prompts, Sampling().continuations)
    assert {one.cell for one in found} == {one.cell for one in prompts}
    assert len({(one.language, one.dimension) for one in found}) == 12
    assert 50 < sum(len(one.variants) for one in found) <= 60


def test_the_bundled_pairs_can_be_read_by_a_tiny_model(tiny_model: MakeModel, codec: TextCodec) -> None:
    figures = probe(tiny_model(context=256), codec, prompts=[], pairs=bundled_pairs(["en", "zh"]), sampling=Sampling())[
        "likelihood"
    ]
    assert (figures["pairs"], figures["left_out"]) == (40, 0)
    assert 0 <= figures["stereotype_share"] <= 1
