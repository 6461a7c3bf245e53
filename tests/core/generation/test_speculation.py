"""With a draft, texts are the same token for token, in fewer steps of the model, whatever the draft is worth."""

from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation import loop
from aigc.core.generation.choosing import Chooser
from aigc.core.generation.request import Constraint, Decoding, Drawn, Phrase, Request
from aigc.core.generation.slots import TorchStepper, start_ids
from aigc.core.generation.speculation import Speculation, check_vocabularies
from aigc.core.generation.stepper import Feed, Stepper
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from core.conftest import CONTEXT, SENTENCES, MakeModel

TEMPLATE = "A small model learns a small language, one token at a time. "
TEXTS = [
    "雨",
    "今天的天气很好，我们去",
    "def add(a, b):",
    "He",
    TEMPLATE + "a",
    TEMPLATE + "雨",
    "She opened the window",
    "In 2024",
]
GREEDY = Decoding(10, temperature=0.0)
WARM = Decoding(10, temperature=1.0, top_k=30, top_p=0.9, likelihood=True)
PLAIN = Decoding(10, temperature=0.7)


class Counting(TorchStepper):
    """Remembers how many rows each step had."""

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        super().__init__(model, slots)
        self.steps: list[int] = []

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        self.steps.append(len(feeds))
        return super().step(feeds)


@pytest.fixture(scope="module")
def target(tiny_model: MakeModel) -> PreTrainedModel:
    return tiny_model("llama", sharpen=4.0)


@pytest.fixture(scope="module")
def drafts(tiny_model: MakeModel, target: PreTrainedModel) -> dict[str, PreTrainedModel]:
    """One that always knows, one that often does, one that never does."""
    near = tiny_model("llama", sharpen=4.0)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in near.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return {"same": target, "near": near, "other": tiny_model("gpt2", seed=3, context=40)}


def _drawn(stepper: Stepper, model: PreTrainedModel, codec: TextCodec, decoding: Decoding) -> dict[int, Drawn]:
    requests = [Request([*codec.start, *ids], key, key) for key, ids in enumerate(codec.encode(TEXTS))]
    start = start_ids(model)
    width = model.get_output_embeddings().weight.shape[0]
    chooser = Chooser(codec, decoding, vocabulary=width, start=start)
    if isinstance(stepper, Speculation):
        stepper.follow(decoding)
    return {request.key: drawn for request, drawn in loop.draw(stepper, chooser, requests, start=start)}


def _same(some: dict[int, Drawn], others: dict[int, Drawn]) -> None:
    assert {key: (one.ids, one.finish, one.text) for key, one in some.items()} == {
        key: (one.ids, one.finish, one.text) for key, one in others.items()
    }
    if some[0].likelihood is not None:
        nats = {key: one.likelihood for key, one in others.items()}
        assert {key: one.likelihood for key, one in some.items()} == pytest.approx(nats, rel=1e-3)


@pytest.mark.parametrize("decoding", [GREEDY, WARM, PLAIN], ids=["greedy", "warm", "plain"])
@pytest.mark.parametrize("slots", [1, 3])
def test_texts_are_those_without_a_draft(
    slots: int, decoding: Decoding, target: PreTrainedModel, drafts: dict[str, PreTrainedModel], codec: TextCodec
) -> None:
    plain = Counting(target, slots)
    wanted = _drawn(plain, target, codec, decoding)
    assert len({one.ids for one in wanted.values()}) > 4
    for name, tokens in (("same", 4), ("near", 3), ("other", 2)):
        counting = Counting(target, slots)
        _same(_drawn(Speculation(counting, TorchStepper(drafts[name], slots), tokens), target, codec, decoding), wanted)
        assert sum(counting.steps) <= sum(plain.steps)
        if name != "other" and decoding is GREEDY:
            assert sum(counting.steps) < sum(plain.steps) * (0.5 if name == "same" else 0.9)


@pytest.mark.parametrize("decoding", [GREEDY, WARM, PLAIN], ids=["greedy", "warm", "plain"])
def test_a_perfect_draft_is_always_right(decoding: Decoding, target: PreTrainedModel, codec: TextCodec) -> None:
    """Drawn tokens as well, for it draws with the row's own numbers: a step of the model for each 5 tokens."""
    counting = Counting(target, 1)
    stepper = Speculation(counting, TorchStepper(target, 1), 4)
    stepper.follow(decoding)
    chooser = Chooser(codec, decoding, vocabulary=codec.vocabulary)
    for key, ids in enumerate(codec.encode(TEXTS)):
        counting.steps.clear()
        writing = chooser.begin(Request([*codec.start, *ids], key), 40)
        stepper.begin(0)
        pending = list(writing.request.prompt_ids)
        chosen = 0
        while writing.finish is None:
            feed = Feed(0, pending)
            assert stepper.first([feed], [writing]) == [0]
            pending = chooser.choose(stepper.step([feed]), [writing])
            chosen += 1
        assert len(counting.steps) == -(-chosen // 5)


def test_rows_whose_guesses_were_right_go_first(target: PreTrainedModel, codec: TextCodec) -> None:
    """So that every step of the model has all rows that are under way."""
    counting = Counting(target, 3)
    stepper = Speculation(counting, TorchStepper(target, 3), 4)
    prompts = [[*codec.start, *ids] for ids in codec.encode(TEXTS[:3])]
    chooser = Chooser(codec, Decoding(15, temperature=0.0, min_tokens=15), vocabulary=codec.vocabulary)
    texts = [chooser.begin(Request(ids, 0), 40) for ids in prompts]
    pending = [list(ids) for ids in prompts]
    for slot in range(3):
        stepper.begin(slot)
    while going := [slot for slot in range(3) if texts[slot].finish is None]:
        feeds = [Feed(slot, pending[slot]) for slot in going]
        places = stepper.first(feeds, [texts[slot] for slot in going])
        feeds = [feeds[place] for place in places]
        chosen = chooser.choose(stepper.step(feeds), [texts[feed.slot] for feed in feeds])
        for feed, token in zip(feeds, chosen, strict=True):
            pending[feed.slot] = [token]
    assert counting.steps == [3, 3, 3]


def test_what_is_banned_and_the_form_are_kept(
    target: PreTrainedModel, drafts: dict[str, PreTrainedModel], codec: TextCodec
) -> None:
    pytest.importorskip("llguidance")
    decoding = Decoding(
        14, temperature=0.9, constraint=Constraint("regex", "[a-f雨]{4}[0-9]*"), phrases=(Phrase("ab"),), repetition_penalty=1.3
    )
    wanted = _drawn(TorchStepper(target, 2), target, codec, decoding)
    _same(_drawn(Speculation(TorchStepper(target, 2), TorchStepper(drafts["near"], 2), 3), target, codec, decoding), wanted)


def test_an_encoder_decoder_may_have_a_draft(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("t5", sharpen=3.0)
    wanted = _drawn(TorchStepper(model, 2), model, codec, GREEDY)
    counting = Counting(model, 2)
    _same(_drawn(Speculation(counting, TorchStepper(model, 2), 3), model, codec, GREEDY), wanted)
    assert sum(counting.steps) < sum(one.tokens + (one.finish == "end") for one in wanted.values()) / 2


def test_the_context_of_neither_is_left(target: PreTrainedModel, drafts: dict[str, PreTrainedModel], codec: TextCodec) -> None:
    decoding = Decoding(CONTEXT, temperature=0.0, min_tokens=CONTEXT)
    wanted = _drawn(TorchStepper(target, 8), target, codec, decoding)
    assert {one.finish for one in wanted.values()} == {"length"}
    for name in ("same", "other"):  # the other one's is smaller
        _same(_drawn(Speculation(TorchStepper(target, 8), TorchStepper(drafts[name], 8), 4), target, codec, decoding), wanted)


def test_a_draft_with_other_tokens_is_told(codec: TextCodec) -> None:
    check_vocabularies(codec, codec, "small")
    other = train(SENTENCES, kind="bpe", family="decoder", vocabulary=350, context=CONTEXT)
    with pytest.raises(AigcError, match=r"generate\.draft: small has another vocabulary than the checkpoint: \d+ tokens"):
        check_vocabularies(codec, other, "small")
