"""Rows are those of transformers' generate, whatever the company; places are taken over, and what prompts share is read once."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation import loop
from aigc.core.generation.engine import Local, local
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.generation.slots import TorchStepper
from aigc.core.generation.stepper import Feed
from aigc.core.tokens.text import TextCodec
from core.conftest import MakeModel

TEXTS = [
    "The quick brown fox jumps over",
    "雨",
    "今天的天气很好，我们去",
    "a",
    "def add(a, b):",
    "He",
    "她打开窗户",
    "In 2024 there were",
]
TEMPLATE = "Write a short piece of news, in plain words and with a title, about this topic and no other one: "
GREEDY = Decoding(12, temperature=0.0)
WARM = Decoding(12, temperature=1.0, top_k=30, top_p=0.9)
FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])


class Counting(TorchStepper):
    """Remembers what it was fed."""

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        super().__init__(model, slots)
        self.fed: list[list[tuple[int, int]]] = []  # (slot, tokens) of each step

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        self.fed.append([(feed.slot, len(feed.ids)) for feed in feeds])
        return super().step(feeds)


def _requests(engine: Local, texts: Sequence[str] = TEXTS) -> list[Request]:
    return [engine.request(text, seed=number, key=number) for number, text in enumerate(texts)]


def _drawn(model: PreTrainedModel, codec: TextCodec, decoding: Decoding, slots: int, texts: Sequence[str] = TEXTS) -> list[Drawn]:
    with local(model, codec, slots=slots) as engine:
        found = {request.key: drawn for request, drawn in engine.draw(_requests(engine, texts), decoding)}
    return [found[number] for number in range(len(texts))]


def _theirs(model: PreTrainedModel, codec: TextCodec, ids: Sequence[int], tokens: int) -> list[int]:
    """New tokens of transformers' own greedy decoding, up to the end."""
    out = model.generate(
        torch.tensor([list(ids)]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        do_sample=False,
        num_beams=1,
        max_new_tokens=tokens,
        eos_token_id=codec.end,
        forced_eos_token_id=None,  # BART's would be the last token of a text that is cut off
        pad_token_id=codec.pad,
    )[0].tolist()
    new = out[1:] if model.config.is_encoder_decoder else out[len(ids) :]
    return new[: new.index(codec.end)] if codec.end in new else new


@FAMILIES
@pytest.mark.parametrize("slots", [1, 3, 16])
def test_greedy_rows_are_those_of_transformers(family: str, slots: int, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, sharpen=8.0 if family == "bart" else 5.0)
    with local(model, codec) as engine:
        theirs = [_theirs(model, codec, request.prompt_ids, 12) for request in _requests(engine)]
    assert len({tuple(ids) for ids in theirs}) > 2  # they do read their prompts
    assert [list(one.ids) for one in _drawn(model, codec, GREEDY, slots)] == theirs


@FAMILIES
def test_a_drawn_row_does_not_depend_on_its_company(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, sharpen=8.0 if family == "bart" else 5.0)
    alone = _drawn(model, codec, WARM, 1)
    assert len({one.text for one in alone}) > 4
    for slots in (2, 5, 16):
        assert _drawn(model, codec, WARM, slots) == alone


def test_rows_come_as_they_finish_and_always_alike(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2", sharpen=5.0)
    runs = []
    for _ in range(2):
        with local(model, codec, slots=3) as engine:
            runs.append([(request.key, drawn) for request, drawn in engine.draw(_requests(engine), WARM)])
    assert runs[0] == runs[1]
    assert sorted(key for key, _ in runs[0]) == list(range(len(TEXTS)))


def test_a_place_is_taken_over_and_rows_close_up_in_the_end(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("llama", sharpen=5.0)
    stepper = Counting(model, 4)
    with local(model, codec) as engine:
        requests = _requests(engine)
        chooser = engine.chooser(WARM)
    lengths = [3, 9, 2, 12, 5, 1, 7, 4]
    begin = chooser.begin
    chooser.begin = lambda request, room: begin(request, min(room, lengths[request.key]))  # type: ignore[method-assign]
    tokens = {request.key: drawn.tokens for request, drawn in loop.draw(stepper, chooser, requests)}
    assert tokens == dict(enumerate(lengths))
    busy = [len(step) for step in stepper.fed]
    assert busy[:6] == [4] * 6  # full while requests are left
    assert len(busy) < sum(sorted(lengths)[-2:])
    for step in stepper.fed[6:]:
        slots = [slot for slot, _ in step]
        assert slots == list(range(len(slots))) or any(tokens > 1 for _, tokens in step)


def test_what_prompts_share_is_read_once(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("llama", sharpen=3.0, context=256)
    texts = [TEMPLATE + text for text in TEXTS]
    stepper = Counting(model, 4)
    with local(model, codec) as engine:
        requests = _requests(engine, texts)
        chooser = engine.chooser(GREEDY)
    found = {request.key: drawn for request, drawn in loop.draw(stepper, chooser, requests)}
    read = sum(tokens for step in stepper.fed for _, tokens in step)
    prompts = sum(len(request.prompt_ids) for request in requests)
    shared = len(codec.encode([TEMPLATE])[0]) - 2
    new = sum(drawn.tokens for drawn in found.values())
    assert read <= prompts + new - shared * (len(texts) - 1)
    assert [found[number] for number in range(len(texts))] == _drawn(model, codec, GREEDY, 1, texts)


def test_a_source_that_waits_does_not_stop_what_is_under_way(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2", sharpen=5.0)
    events: list[str] = []

    def source(requests: list[Request]) -> Iterator[Request | None]:
        yield requests[0]
        for _ in range(40):
            events.append("none")
            yield None
        events.append("second")
        yield requests[1]

    with local(model, codec, slots=2) as engine:
        for request, _ in engine.draw(source(_requests(engine)), Decoding(5, temperature=0.0, min_tokens=5)):
            events.append(f"row {request.key}")
    assert events.index("row 0") < events.index("second") < events.index("row 1")


def test_requests_are_taken_only_as_places_become_free(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2", sharpen=5.0)
    taken: list[int] = []

    def source(requests: list[Request]) -> Iterator[Request]:
        for request in requests:
            taken.append(request.key)
            yield request

    with local(model, codec, slots=2) as engine:
        rows = engine.draw(source(_requests(engine)), Decoding(5, temperature=0.0, min_tokens=5))
        assert not taken
        next(rows)
        assert len(taken) == 2


def test_pieces_that_are_watched_make_up_the_text(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("llama", sharpen=2.0)
    pieces: dict[int, str] = {}

    def watch(request: Request, piece: str) -> None:
        assert piece
        pieces[request.key] = pieces.get(request.key, "") + piece

    with local(model, codec, slots=3) as engine:
        found = {request.key: drawn.text for request, drawn in engine.draw(_requests(engine), WARM, watch)}
    assert {key: text for key, text in found.items() if text} == pieces


def test_a_prompt_that_fills_the_context_gets_no_text(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2")
    with local(model, codec, slots=2) as engine:
        full = Request([5] * 64, 0, key=1)
        assert engine.room_for(64) == 0
        found = {request.key: drawn for request, drawn in engine.draw([full, Request([5], 0)], GREEDY)}
    assert found[1] == Drawn("", 0, "length") and found[0].tokens
