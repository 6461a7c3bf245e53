"""How a sample is put to a model: as a text that it continues, or as what a user says."""

from pathlib import Path
from typing import Any

import pytest

from aigc.core.generation.prompts import Prompt
from aigc.core.generation.request import Decoding
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from aigc.production import production
from aigc.production.asking import Talking, continuing
from aigc.production.outcomes import on_stream
from aigc.production.production import Production
from aigc.production.sampling import Sample, windows
from aigc.schema import Project
from generating import StandIn

TEMPLATE = (
    "{% for one in messages %}<|{{ one.role }}|>{{ one.content }}"
    "{% if one.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _codec() -> TextCodec:
    return train(["user and assistant say hello again and more."] * 9, kind="bpe", family="decoder", vocabulary=300, context=64)


class Talker(StandIn):
    """A stand-in whose checkpoint has a chat template, and which remembers how it was to draw."""

    def __init__(self, template: str | None = TEMPLATE) -> None:
        super().__init__()
        self.codec = _codec()
        self.codec.tokenizer.chat_template = template
        self.decodings: list[Decoding] = []

    def draw(self, requests: Any, decoding: Decoding, watch: Any = None) -> Any:
        """See Engine."""
        self.decodings.append(decoding)
        return super().draw(requests, decoding, watch)

    def read(self) -> list[str]:
        """What it was asked."""
        return [self.codec.tokenizer.decode(list(request.prompt_ids)) for request in self.asked]


def _run(engine: Talker, monkeypatch: pytest.MonkeyPatch, **section: Any) -> None:
    monkeypatch.setattr(production, "engine_of", lambda project, slots: engine)
    monkeypatch.setattr(production, "copies_of", lambda project: None)
    project = Project.model_validate({"name": "p", "generate": {"checkpoint": "c", "max_tokens": 3, **section}})
    origin: Any = type("Nothing", (), {"told": {}})()
    with Path("rows").open("w", encoding="utf-8") as file:
        run = Production(project, on_stream(file, origin))
        samples = [Prompt("a", "hello", fields={"lead": "say"}), Prompt("b", "<|endoftext|>", fields={"lead": ""})]
        for window in windows(samples, count=1, size=9):
            run.do(window)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_with_chat_a_prompt_is_a_turn_and_begin_the_first_words_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Talker()
    _run(engine, monkeypatch, chat=True, begin="{lead}")
    first, second = engine.read()
    assert first == "<|user|>hello<|assistant|>say"
    assert second.startswith("<|user|>") and second.endswith("<|assistant|>")
    assert engine.codec.end not in engine.asked[1].prompt_ids, "what a user writes is text"
    assert all(engine.codec.end in decoding.stops for decoding in engine.decodings)


def test_without_it_the_prompt_is_continued_and_a_template_is_pointed_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Talker()
    _run(engine, monkeypatch)
    assert [request.prompt_ids for request in engine.asked] == [[ord(one) for one in text] for text in ("hello", "<|endoftext|>")]
    assert "generate.chat=true" in capsys.readouterr().err


def test_candidates_are_asked_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Talker()
    _run(engine, monkeypatch, chat=True, best_of=2)
    assert engine.read().count("<|user|>hello<|assistant|>") == 2


def test_a_checkpoint_without_a_template_is_told() -> None:
    with pytest.raises(AigcError, match=r"generate\.chat: the checkpoint has no chat template"):
        Talking(Talker(None))  # type: ignore[arg-type]


def test_a_prompt_that_the_template_does_not_render_is_an_error() -> None:
    strict = "{% if 'x' in messages[0].content %}{{ raise_exception('no x') }}{% endif %}" + TEMPLATE
    ask = Talking(Talker(strict)).ask  # type: ignore[arg-type]
    sample = Sample(Prompt("a", "hello"), 0)
    assert ask(sample, 0, 0).prompt_ids
    with pytest.raises(AigcError, match=r"generate\.chat: .* does not render it: no x"):
        ask(Sample(Prompt("b", "an x"), 0), 0, 0)


def test_of_a_plan_the_answer_begins_behind_the_last_blank_line() -> None:
    talking = Talking(Talker())  # type: ignore[arg-type]
    for text, read in (("say\n\n# ", "<|user|>say<|assistant|># "), ("say\n\nagain\n\n", "<|user|>say\n\nagain<|assistant|>")):
        assert talking.codec.tokenizer.decode(list(talking.request(text, seed=0).prompt_ids)) == read
    assert talking.request("say", seed=4, key=2) == talking.ask(Sample(Prompt("a", "say"), 0), 4, 2)


def test_continuing_asks_the_engine() -> None:
    engine = Talker()
    sample = Sample(Prompt("a", "hello"), 0, " all")
    assert continuing(engine)(sample, 5, 7) == engine.request("hello all", seed=5, key=7)  # type: ignore[arg-type]
