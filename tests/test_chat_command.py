"""`aigc chat`: what the model is told, what is printed where, and how an answer is stopped."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import ConfigError
from aigc.schema import Project
from aigc.stages import chat
from generating import StandIn

Chat = Callable[..., str]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Parrot(StandIn):
    """Answers with the number of its turn, and remembers what it was asked."""

    room = 10_000
    stopping = False
    told = ""  # on stderr

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return self.room - prompt_tokens

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Callable[[Request, str], None] | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine."""
        for request in requests:
            assert request is not None and watch is not None
            self.asked.append(request)
            self.decoding = decoding
            for piece in ("answer ", str(len(self.asked)), " and more"):
                if self.stopping and piece == " and more":
                    os.kill(os.getpid(), signal.SIGINT)
                watch(request, piece)
            yield request, Drawn(f"answer {len(self.asked)} and more.", 3, "end")


@pytest.fixture
def parrot() -> Parrot:
    """The engine that is asked."""
    return Parrot()


@pytest.fixture
def say(parrot: Parrot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """Chat, with those lines as stdin; what was printed on stdout."""
    monkeypatch.setattr(chat, "engine_of", lambda project, slots: parrot)

    def call(*lines: str | bytes, **keys: Any) -> str:
        data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        chat.run(Project.model_validate({"name": "p", "generate": {"checkpoint": "c"} | keys}))
        printed = capsys.readouterr()
        parrot.told = printed.err
        return printed.out

    return call


def _read(request: Request) -> str:
    return "".join(map(chr, request.prompt_ids))


def test_lines_are_continued_by_the_template_and_only_answers_are_printed(say: Chat, parrot: Parrot) -> None:
    assert say("雨", "", "sea ", prompt="写{topic}, {tone|calm}:") == "answer 1 and more.\nanswer 2 and more.\n"
    assert [_read(request) for request in parrot.asked] == ["写雨, calm:", "写sea, calm:"]
    assert parrot.asked[0].seed != parrot.asked[1].seed


def test_a_line_may_give_several_fields(say: Chat, parrot: Parrot) -> None:
    say('{"a": "1", "b": "2"}', "only one", prompt="{a}-{b}")
    assert [_read(request) for request in parrot.asked] == ["1-2"]
    assert parrot.told == "warning: the template needs the field 'b'; fields found: a\n"


def test_a_template_without_a_place_is_refused(say: Chat) -> None:
    with pytest.raises(ConfigError, match="has no place for a line"):
        say("x", prompt="Once upon a time")


def test_what_is_no_text_or_too_long_is_told_and_the_chat_goes_on(say: Chat, parrot: Parrot) -> None:
    parrot.room = 20
    assert say(b"\xff", "x" * 30, "short") == "answer 1 and more.\n"
    assert parrot.told.splitlines() == ["warning: not UTF-8 text", "warning: 30 tokens leave no room in the model's context"]


def test_ctrl_c_stops_an_answer_and_not_the_chat(say: Chat, parrot: Parrot) -> None:
    parrot.stopping = True
    before = signal.getsignal(signal.SIGINT)
    assert say("one", "two") == "answer 1\nanswer 2\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_of_a_prompt_whose_gap_was_filled_only_that_is_said(say: Chat, parrot: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    def filled(requests: Iterable[Request], decoding: Decoding, watch: Callable[[Request, str], None]) -> Iterator[object]:
        for request in requests:
            watch(request, "blue")
            yield request, Drawn("The blue sky.", 1, "end")

    monkeypatch.setattr(parrot, "draw", filled)
    assert say("The [MASK] sky.") == "blue\n"


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    """With a chat template."""
    found = train(["user and assistant say hello again and more."] * 9, kind="bpe", family="decoder", vocabulary=300, context=64)
    found.tokenizer.chat_template = TEMPLATE
    return found


def test_a_checkpoint_with_a_template_hears_the_conversation(say: Chat, parrot: Parrot, codec: TextCodec) -> None:
    parrot.codec = codec
    say("hello", "again", "<|endoftext|>")
    told = [codec.tokenizer.decode(list(request.prompt_ids)) for request in parrot.asked]
    end = codec.tokenizer.eos_token
    assert told[0] == "<|user|>hello<|assistant|>"
    assert told[1] == f"<|user|>hello<|assistant|>answer 1 and more.{end}<|user|>again<|assistant|>"
    assert told[2].count(end) == 2  # what a person types is text
    assert parrot.decoding.stops == {codec.end}


def test_the_oldest_turns_are_left_out_when_there_is_no_more_room(say: Chat, parrot: Parrot, codec: TextCodec) -> None:
    parrot.codec = codec
    parrot.room = 60
    say("hello", "again", "more", max_tokens=10)
    last = codec.tokenizer.decode(list(parrot.asked[-1].prompt_ids))
    assert last.endswith("<|user|>more<|assistant|>")
    assert "hello" not in last
    assert len(parrot.asked[-1].prompt_ids) <= 50


def test_a_project_without_the_section_has_its_defaults(parrot: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Project] = []

    def opened(project: Project, slots: int) -> Parrot:
        seen.append(project)
        return parrot

    monkeypatch.setattr(chat, "engine_of", opened)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
    chat.run(Project.model_validate({"name": "p"}))
    assert seen[0].generate is not None
    assert _read(parrot.asked[0]) == "hello"
