"""`aigc chat`: lines from a person into answers of the model."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from aigc import console
from aigc.core.documents.conversations import Broken, Message
from aigc.core.documents.template import MissingField, fields_of, fill, needed_fields
from aigc.core.generation.request import Decoding, Engine, Request
from aigc.core.tokens.chat import Chat, chat_of, continued
from aigc.errors import AigcError, ConfigError, Stopped
from aigc.production.drawing import decoding_of, engine_of
from aigc.production.sampling import seed_of
from aigc.schema import Generate, Project
from aigc.signals import Terminated, stop_at_safe_point

__all__ = ["run"]

MARKER = "> "


class _Enough(Exception):
    """The reader of an answer has had enough of it."""


def run(project: Project) -> None:
    """Answer each line of stdin on stdout, until stdin ends.

    A checkpoint with a chat template hears the conversation so far; any other continues `generate.prompt`, filled with the line.

    Raises:
        AigcError: there is no checkpoint, or it cannot be loaded.
        ConfigError: generate.prompt has no place for a line.
    """
    if project.generate is None:
        project = project.model_copy(update={"generate": Generate.model_validate({})})
    section = project.generate
    assert section is not None
    engine = engine_of(project, slots=1)
    decoding = decoding_of(section)
    if engine.codec.tokenizer.chat_template is not None:
        chat = chat_of(engine.codec, "checkpoint")
        end = engine.codec.tokenizer.convert_tokens_to_ids(chat.end)
        decoding = replace(decoding, stops=decoding.stops | {end})
        partner: _Conversation | _Continuation = _Conversation(engine, chat, section.max_tokens)
    else:
        partner = _Continuation(engine, section.prompt)
    for turn, line in enumerate(_lines()):
        try:
            request = partner.request(line, seed_of(project.seed, "chat", turn))
        except (Broken, MissingField, AigcError) as error:
            console.warn(str(error))
            continue
        if engine.room_for(len(request.prompt_ids)) < 1:
            console.warn(f"{len(request.prompt_ids)} tokens leave no room in the model's context")
            continue
        partner.hear(_say(engine, request, decoding))


def _lines() -> Iterator[str]:
    """What is typed, a line at a time."""
    person = sys.stdin.isatty()
    while True:
        if person:
            print(MARKER, end="", file=sys.stderr, flush=True)
        try:
            line = sys.stdin.buffer.readline()
        except KeyboardInterrupt as signal:
            if not person or isinstance(signal, Terminated):
                raise Stopped("stopped", 15 if isinstance(signal, Terminated) else 2) from None
            print(file=sys.stderr)
            continue
        if not line:
            if person:
                print(file=sys.stderr)
            return
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            console.warn("not UTF-8 text")
            continue
        if text:
            yield text


def _say(engine: Engine, request: Request, decoding: Decoding) -> str:
    """Print an answer while it is drawn; Ctrl-C ends it. What was said."""
    said: list[str] = []
    with stop_at_safe_point() as stop:

        def watch(_: Request, piece: str) -> None:
            if stop.signal_number is not None:
                raise _Enough
            said.append(piece)
            sys.stdout.write(piece)
            sys.stdout.flush()

        try:
            for _, drawn in engine.draw([request], decoding, watch):
                told = "".join(said)
                if drawn.text.startswith(told):  # else it is the whole prompt, whose gap is filled with what was told
                    watch(request, drawn.text[len(told) :])
        except _Enough:
            pass
    print(flush=True)
    if stop.signal_number == 15:
        raise Stopped("stopped", 15)
    return "".join(said)


class _Conversation:
    """Hears all turns; the oldest are left out when they have become too long."""

    def __init__(self, engine: Engine, chat: Chat, max_tokens: int) -> None:
        self._engine, self._chat, self._room = engine, chat, max_tokens
        self._messages: list[Message] = []  # the last one is answered
        self._asked: list[Message] = []
        self._told = False

    def request(self, line: str, seed: int) -> Request:
        """All that was said, and what asks for the next answer.

        Raises:
            Broken: the template does not render it.
        """
        messages = [*self._messages, Message("user", line)]
        ids = self._tokens(messages)
        while len(messages) > 1 and self._engine.room_for(len(ids)) < self._room:
            messages = messages[2:]
            ids = self._tokens(messages)
            if not self._told:
                console.note("the conversation is longer than the model's context: its oldest turns are left out from now on")
                self._told = True
        self._asked = messages
        return Request(ids, seed)

    def hear(self, said: str) -> None:
        """Take in the answer."""
        self._messages = [*self._asked, Message("assistant", said)]

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        text, _, _ = continued(self._chat, messages, ())
        ((ids, _),) = self._engine.codec.encode_spans([text], specials=True)
        return ids


class _Continuation:
    """Fills the template with each line, or with the fields of one that is a JSON object, and forgets it."""

    def __init__(self, engine: Engine, template: str) -> None:
        self._engine, self._template = engine, template
        places = needed_fields(template) or fields_of(template)
        if not places:
            raise ConfigError(f"generate.prompt: {template!r} has no place for a line; one with {{prompt}} has")
        self._place = places[0]

    def request(self, line: str, seed: int) -> Request:
        """The template with the line.

        Raises:
            MissingField: the line does not fill the template.
        """
        return self._engine.request(fill(self._template, _fields(line) or {self._place: line}), seed=seed)

    def hear(self, said: str) -> None:
        """See _Conversation."""


def _fields(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
