"""Messages into the text that a chat template makes of them, and which of its characters the assistant says.

Transformers renders, in its sandbox. Where the template marks what is generated (`{% generation %}`), the marks are taken.
In all others a turn begins where the prompt for it ends and ends where the chat up to it ends: both are rendered, and both have to
be beginnings of the whole text.

The name of a special token inside a message is text: it gets a space after its first character, and is counted.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from aigc.core.documents.conversations import Broken, Message
from aigc.core.tokens.chat_templates import CHATS, END, START
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Chat", "Rendered", "Turns", "chat_of", "continued", "render"]

Turns = Literal["all", "last"]

_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
_DAY = "26 Jul 2024"  # what Llama's templates write where they cannot tell the day
# Some templates write the date of the day, which would make other training data of the same files every day.
_CLOCK = (
    f"{{% macro strftime_now(format) %}}{{{{ '2024-07-26' if format == '%Y-%m-%d' else '{_DAY}' }}}}{{% endmacro %}}{{{{ '' }}}}"
)
_PROBE = (Message("user", "a"), Message("assistant", "b"))


@dataclass(frozen=True)
class Chat:
    """A chat template, and what the tokenizer that goes with it takes for control."""

    template: str
    source: str  # "the checkpoint" or a name of CHATS
    names: Mapping[str, str]  # of special tokens that the template may write: bos_token, eos_token ...
    control: re.Pattern[str]  # what no message may hold, as it would be read as control
    control_of_others: re.Pattern[str]  # the same for all messages but the assistant's, whose own tags (<think>) may stand in its
    marked: bool = False  # whether the template marks what is generated, the end of a turn included
    end: str = ""  # the token that ends what the assistant says


@dataclass(frozen=True)
class Rendered:
    """A chat as text, with its special tokens written out."""

    text: str
    learned: tuple[tuple[int, int], ...]  # [begin, end) characters that are learned, ascending
    neutralised: int = 0  # special tokens that stood in messages, broken up by a space


def chat_of(codec: TextCodec, wanted: str) -> Chat:
    """The chat template to use.

    Args:
        codec: of the checkpoint.
        wanted: `auto` for the checkpoint's own, or `plain` where it has none; `checkpoint` for its own; or a name of CHATS.

    Raises:
        AigcError: there is no such template, the tokenizer lacks its tokens, or no token ends what the assistant says.
    """
    tokenizer = codec.tokenizer
    source = wanted
    if wanted in ("auto", "checkpoint"):
        source = "the checkpoint" if tokenizer.chat_template is not None else "plain" if wanted == "auto" else wanted
    template = _own(codec) if source == "the checkpoint" else _named(codec, source)
    added = list(tokenizer.added_tokens_decoder.values())
    special = [token.content for token in added if token.special]
    tags = [token.content for token in added if token.content.strip() and token.content in template]
    chat = Chat(
        template,
        source,
        {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)},
        _any_of(special),
        _any_of([*special, *tags]),
    )
    return _probed(chat, [token.content for token in added])


def _own(codec: TextCodec) -> str:
    try:
        template: str = codec.tokenizer.get_chat_template()
    except ValueError as error:
        raise AigcError(f"chat: the checkpoint's chat template cannot be used: {_line(error)}") from None
    return template


def _named(codec: TextCodec, name: str) -> str:
    if name == "checkpoint":
        raise AigcError(f"chat: the checkpoint has no chat template; name one of {', '.join(CHATS)}")
    if name not in CHATS:
        names = ["auto", "checkpoint", *CHATS]
        near = difflib.get_close_matches(name, names, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise AigcError(f"chat: there is no template {name!r}; {hint}known are {', '.join(names)}")
    template, tokens = CHATS[name]
    vocabulary = codec.tokenizer.get_vocab()
    if missing := [token for token in tokens if token not in vocabulary]:
        raise AigcError(f"chat: {name} needs the tokens {', '.join(missing)}, which the tokenizer does not have; try chat: plain")
    for place, ids in ((START, codec.start), (END, [codec.end])):
        text = "".join(codec.tokenizer.convert_ids_to_tokens(ids))
        template = template.replace(place, f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else "")
    return template


def _probed(chat: Chat, tokens: Sequence[str]) -> Chat:
    """With what only rendering tells: whether the template's marks can be used, and which token ends a turn."""
    try:
        text = _text(chat, _PROBE)
        marks = _marked(chat, _PROBE)[1] if _MARK.search(chat.template) else []
        said = [text[begin:end].rstrip() for begin, end in (*marks[:1], _turn(chat, _PROBE, 1, text))]
    except Broken as error:
        raise AigcError(f"chat: {error}") from None
    ends = [max((token for token in tokens if one.endswith(token)), key=len, default="") for one in said]
    if not ends[-1]:
        raise AigcError(
            f"chat: {_whose(chat)} ends what the assistant says with no token (but with {said[-1][-20:]!r}), so that a model "
            f"could not learn to stop; name another: {', '.join(CHATS)}"
        )
    return replace(chat, marked=bool(marks) and bool(ends[0]), end=ends[-1])


def render(chat: Chat, messages: Sequence[Message], *, first: int = 0, turns: Turns = "all", whole: bool = False) -> Rendered:
    """A chat as text. What follows the last turn of the assistant is left out, since nothing learns from it.

    Args:
        first: the messages before this one are read only.
        turns: whether all turns of the assistant or the last one alone is learned. A turn that says nothing, or is not to be
            learned, is read.
        whole: learn everything, and leave out nothing.

    Returns:
        An empty text where the assistant says nothing that is to be learned.

    Raises:
        Broken: the template refuses the chat, leaves out a message, or does not render it from left to right.
    """
    if whole:
        safe, neutralised = _safe(chat, messages)
        text = _text(chat, safe)
        _complete(chat, safe, text)
        return Rendered(text, ((0, len(text)),), neutralised)
    said = [number for number, one in enumerate(messages) if one.role == "assistant"]
    wanted = [number for number in said if number >= first and messages[number].learned and messages[number].content.strip()]
    wanted = wanted[-1:] if turns == "last" else wanted
    if not wanted:
        return Rendered("", ())
    safe, neutralised = _safe(chat, messages[: wanted[-1] + 1])
    if chat.marked:
        text, marks = _marked(chat, safe)
        said = [number for number in said if number < len(safe)]
        if len(marks) != len(said):
            raise Broken(f"{_whose(chat)} marks {len(marks)} stretches as generated, and the assistant has {len(said)} turns")
        learned = [marks[said.index(number)] for number in wanted]
    else:
        text = _text(chat, safe)
        learned = [_turn(chat, safe, number, text) for number in wanted]
    _complete(chat, safe, text)
    return Rendered(text, tuple(learned), neutralised)


def continued(chat: Chat, prompt: Sequence[Message], answers: Sequence[Message]) -> tuple[str, list[str], int]:
    """A prompt as text, what each answer adds to it, and how many special tokens of messages were broken up.

    Raises:
        Broken: as `render` does.
    """
    safe, neutralised = _safe(chat, [*prompt, *answers])
    before, added = _text(chat, safe[: len(prompt)], prompted=True), []
    for answer in safe[len(prompt) :]:
        messages = [*safe[: len(prompt)], answer]
        text = _text(chat, messages)
        if not text.startswith(before):
            raise Broken(_changed(chat))
        _complete(chat, messages, text)
        added.append(text[len(before) :])
    return before, added, neutralised


def _turn(chat: Chat, messages: Sequence[Message], number: int, text: str) -> tuple[int, int]:
    """Where in the text of all messages one of them begins and ends, what asks for it left out."""
    done = text if number == len(messages) - 1 else _text(chat, messages[: number + 1])
    if number:
        before = _text(chat, messages[:number], prompted=True)
    else:  # many templates cannot render nothing: look for what asks for an answer
        asks = _text(chat, messages[:1], prompted=True).removeprefix(done)
        before = "".join(done.partition(asks)[:2]) if asks and asks in done else done
    if not (text.startswith(done) and done.startswith(before) and len(done) > len(before)):
        raise Broken(_changed(chat))
    return len(before), len(done)


def _text(chat: Chat, messages: Sequence[Message], *, prompted: bool = False) -> str:
    text: str = _rendered(chat, messages, add_generation_prompt=prompted)[0][0]
    return text


def _marked(chat: Chat, messages: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
    texts, marks = _rendered(chat, messages, return_assistant_tokens_mask=True)
    return texts[0], sorted(marks[0])


def _rendered(chat: Chat, messages: Sequence[Message], **how: bool) -> tuple[list[str], list[list[tuple[int, int]]]]:
    fields = [
        {"role": one.role, "content": one.content} | ({"reasoning_content": one.reasoning} if one.reasoning else {})
        for one in messages
    ]
    template = _CLOCK + chat.template if "strftime_now" in chat.template else chat.template
    try:
        found: tuple[list[str], list[list[tuple[int, int]]]] = render_jinja_template(
            [fields], chat_template=template, date_string=_DAY, **how, **chat.names
        )
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        raise Broken(f"{_whose(chat)} does not render it: {_line(error)}") from None
    return found


def _complete(chat: Chat, messages: Sequence[Message], text: str) -> None:
    for number, one in enumerate(messages, start=1):
        if one.content.strip() not in text or one.reasoning.strip() not in text:
            raise Broken(f"{_whose(chat)} changes or leaves out what message {number} ({one.role}) says")


def _safe(chat: Chat, messages: Sequence[Message]) -> tuple[list[Message], int]:
    """The messages with a space after the first character of each special token in them, and how many those are."""
    safe, total = [], 0
    for one in messages:
        pattern = chat.control if one.role == "assistant" else chat.control_of_others
        content, count = _broken_up(one.content, pattern)
        reasoning, more = _broken_up(one.reasoning, pattern)
        safe.append(replace(one, content=content, reasoning=reasoning) if count + more else one)
        total += count + more
    return safe, total


def _broken_up(text: str, pattern: re.Pattern[str]) -> tuple[str, int]:
    total = 0
    while pattern.search(text):  # what is broken up may have stood between the halves of another
        text, count = pattern.subn(lambda match: f"{match[0][0]} {match[0][1:]}" if len(match[0]) > 1 else " ", text)
        total += count
    return text, total


def _any_of(tokens: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(set(tokens), key=len, reverse=True))) or "(?!)")


def _changed(chat: Chat) -> str:
    return (
        f"{_whose(chat)} renders the beginning of a chat in another way once more follows (some leave out what was thought); learn "
        f"the last turn only (turns: last), or take another template (chat: {', '.join(CHATS)})"
    )


def _whose(chat: Chat) -> str:
    return "the checkpoint's chat template" if chat.source == "the checkpoint" else f"the chat template {chat.source}"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
