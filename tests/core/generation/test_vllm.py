"""The vLLM engine asks for what the decoding says; a stand-in for vLLM runs the model with transformers."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation.engine import Setup, local, open_engine
from aigc.core.generation.request import Constraint, Decoding, Phrase, Request
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError
from core.conftest import MakeModel

TEXTS = ["The quick brown fox", "雨", "今天的天气很好", "a", "def add(a, b):"]


class Params(SimpleNamespace):
    """vLLM's SamplingParams."""


class StandIn:
    """An LLMEngine that finds the likeliest token of each request, one for each in a step."""

    def __init__(self, settings: SimpleNamespace, model: PreTrainedModel) -> None:
        self.settings, self.model = settings, model
        self.model_config = SimpleNamespace(max_model_len=checkpoints.context_of(model))
        self.asked: list[tuple[str, list[int], Params]] = []
        self.aborted: list[str] = []
        self.going: dict[str, tuple[list[int], list[int], Params]] = {}

    def add_request(self, name: str, prompt: dict[str, list[int]], params: Params) -> None:
        self.asked.append((name, prompt["prompt_token_ids"], params))
        self.going[name] = prompt["prompt_token_ids"], [], params

    def abort_request(self, names: list[str]) -> None:
        self.aborted += names
        for name in names:  # which may be finished
            self.going.pop(name, None)

    @torch.inference_mode()
    def step(self) -> list[Any]:
        outputs = []
        for name, (prompt, new, params) in list(self.going.items())[: self.settings.max_num_seqs]:
            logits = self.model(input_ids=torch.tensor([prompt + new]), use_cache=False).logits[0, -1]
            token = int(logits.argmax())
            new.append(token)
            ended = token in params.stop_token_ids
            finished = ended or len(new) >= params.max_tokens
            reason = "stop" if ended else "length" if finished else None
            logprobs = None
            if params.logprobs is not None:
                logprobs = [{token: SimpleNamespace(logprob=-1.5)} for token in new]
            one = SimpleNamespace(token_ids=list(new), finish_reason=reason, logprobs=logprobs)
            outputs.append(SimpleNamespace(request_id=name, finished=finished, outputs=[one]))
            if finished:
                del self.going[name]
        return outputs


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: MakeModel, codec: TextCodec) -> Iterator[Any]:
    """Opens an engine, and gives it with its stand-in and the model."""
    model = tiny_model("gpt2", sharpen=5.0)
    checkpoints.save(model, codec, tmp_path / "model")
    made: list[StandIn] = []
    vllm = ModuleType("vllm")
    vllm.EngineArgs = lambda **settings: SimpleNamespace(**settings)  # type: ignore[attr-defined]
    vllm.SamplingParams = Params  # type: ignore[attr-defined]
    vllm.sampling_params = SimpleNamespace(StructuredOutputsParams=lambda **form: form)  # type: ignore[attr-defined]

    def engine_of(settings: SimpleNamespace) -> StandIn:
        made.append(StandIn(settings, model))
        return made[-1]

    vllm.LLMEngine = SimpleNamespace(from_engine_args=engine_of)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)

    def opened(slots: int = 2) -> Any:
        engine = open_engine(str(tmp_path / "model"), Setup("vllm", "fp32", slots=slots))
        return engine, made[-1], model

    yield opened


def test_rows_are_those_of_the_torch_engine(engines: Any, codec: TextCodec) -> None:
    engine, stand_in, model = engines()
    decoding = Decoding(12, temperature=0.0, max_characters=18, stop_strings=("e",))
    requests = [engine.request(text, seed=7, key=key) for key, text in enumerate(TEXTS)]
    found = {request.key: drawn for request, drawn in engine.draw(requests, decoding)}
    with local(model, codec) as torch_engine:
        expected = {request.key: drawn for request, drawn in torch_engine.draw(requests, decoding)}
    assert found == expected
    assert {drawn.finish for drawn in found.values()} >= {"stop"} or stand_in.aborted
    assert not stand_in.going


def test_what_is_asked_of_it(engines: Any, codec: TextCodec) -> None:
    engine, stand_in, _ = engines(slots=3)
    assert stand_in.settings.max_num_seqs == 3 and stand_in.settings.trust_remote_code is False
    form = Constraint("choice", ("yes", "no"))
    decoding = Decoding(5, 0.7, top_k=9, top_p=0.8, min_p=0.1, repetition_penalty=1.2, likelihood=True, constraint=form)
    ((_, drawn),) = engine.draw([engine.request("a", seed=11)], decoding)
    ((_, prompt, params),) = stand_in.asked
    assert prompt == [*codec.start, *codec.encode(["a"])[0]]
    assert (params.temperature, params.top_k, params.top_p, params.min_p, params.repetition_penalty) == (0.7, 9, 0.8, 0.1, 1.2)
    assert (params.seed, params.max_tokens, params.structured_outputs) == (11, 5, {"choice": ["yes", "no"]})
    assert codec.end in params.stop_token_ids
    assert drawn.likelihood == pytest.approx(-1.5 * (drawn.tokens + (drawn.finish == "end")))


def test_requests_are_handed_over_only_as_they_are_needed(engines: Any) -> None:
    engine, _, _ = engines(slots=1)
    taken: list[int] = []

    def source() -> Iterator[Request | None]:
        for key in range(40):
            taken.append(key)
            yield engine.request("a", seed=key, key=key) if key % 5 else None

    rows = engine.draw(source(), Decoding(2, temperature=0.0))
    next(rows)
    assert len(taken) < 10
    assert len(list(rows)) == 31


def test_what_was_left_under_way_is_ended_and_does_not_come_again(engines: Any) -> None:
    engine, stand_in, _ = engines()
    rows = engine.draw([engine.request(text, seed=1, key=key) for key, text in enumerate(TEXTS)], Decoding(12, temperature=0.0))
    next(rows)
    rows.close()
    assert not stand_in.going
    again = list(engine.draw([engine.request("雨", seed=1, key=9)], Decoding(3, temperature=0.0)))
    assert [request.key for request, _ in again] == [9]


def test_a_prompt_without_room_gets_no_text(engines: Any) -> None:
    engine, stand_in, _ = engines()
    full = Request([1] * stand_in.model_config.max_model_len, 0)
    found = list(engine.draw([full, engine.request("a", seed=0, key=1)], Decoding(2, temperature=0.0)))
    assert [(request.key, drawn.tokens, drawn.finish) for request, drawn in found] == [(0, 0, "length"), (1, 2, "length")]
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize(
    ("setup", "why"),
    [
        (Setup("vllm", decoding=Decoding(2, beams=2)), "vLLM cannot keep beams"),
        (Setup("vllm", draft=("x", 4)), "generate.draft"),
        (Setup("vllm", "int8"), "int8 is for engine openvino"),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_told_before_anything_is_loaded(engines: Any, setup: Setup, why: str) -> None:
    with pytest.raises(AigcError, match=why):
        open_engine("no/such/checkpoint", setup)


@pytest.mark.parametrize(("given", "name"), [({"phrases": (Phrase("x"),)}, "banned or discourage"), ({"beams": 2}, "beams")])
def test_what_it_cannot_do_is_told(engines: Any, given: dict[str, Any], name: str) -> None:
    engine, _, _ = engines()
    with pytest.raises(AigcError, match=f"vLLM cannot keep {name}"):
        list(engine.draw([engine.request("a", seed=0)], Decoding(2, **given)))


def test_it_is_told_where_it_is_not_installed(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(AigcError, match="pip install vllm"):
        open_engine(str(checkpoint), Setup("vllm"))
