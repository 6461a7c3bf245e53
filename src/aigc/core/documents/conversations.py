"""A field that holds a chat, as lists of messages or as JSON of them, into messages with one set of roles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

__all__ = ["Broken", "Message", "Role", "common_beginning", "is_chat", "messages_of"]

Role = Literal["system", "user", "assistant", "tool"]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    "user": "user",
    "human": "user",  # ShareGPT
    "prompter": "user",  # OpenAssistant
    "assistant": "assistant",
    "gpt": "assistant",  # ShareGPT
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",  # Gemma
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "ipython": "tool",  # Llama
}
_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value")


class Broken(ValueError):
    """A row is no chat, or one that cannot be rendered; the message says why."""


@dataclass(frozen=True)
class Message:
    """What one side says in one turn."""

    role: Role
    content: str
    reasoning: str = ""  # what the assistant thought before (the field `reasoning_content` or `thinking`)
    learned: bool = True  # whether it may be learned: `weight: 0` of OpenAI's format says no


def is_chat(value: object) -> bool:
    """Whether a field holds a chat and no text: any list of mappings, but JSON only where each has a role and a content."""
    found = _parsed(value)
    if not _is_list(found):
        return False
    keys = (_ROLE_KEYS, _CONTENT_KEYS) if isinstance(value, str) else ()
    return not keys or (len(found) > 0 and all(any(key in one for key in names) for one in found for names in keys))


def messages_of(value: object) -> tuple[Message, ...]:
    """The messages of a chat.

    Args:
        value: a list of mappings, with `role` and `content` or with ShareGPT's `from` and `value`, or JSON of such a list. The
            content is a text or a list of parts that are all text; a key that is null counts as left out.

    Raises:
        Broken: it is no such list, it is empty, or a message has no role that is known, no text, or a call of a tool.
    """
    found = _parsed(value)
    if not _is_list(found):
        raise Broken("no list of messages")
    if not found:
        raise Broken("the chat is empty")
    return tuple(_message(number, one) for number, one in enumerate(found, start=1))


def common_beginning(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages two chats begin with alike (TRL's `extract_prompt`)."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


def _is_list(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, Mapping) for one in value)


def _parsed(value: object) -> object:
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _message(number: int, fields: Mapping[str, Any]) -> Message:
    given = {key: value for key, value in fields.items() if value is not None}
    name = next((given[key] for key in _ROLE_KEYS if key in given), None)
    if name is None:
        raise Broken(f"message {number} has no role (keys: {', '.join(map(str, given)) or 'none'})")
    role = _ROLES.get(str(name).strip().lower())
    if role is None:
        raise Broken(f"message {number}: the role {name!r} is not known; known are {', '.join(_ROLES)}")
    if given.get("tool_calls") or given.get("function_call"):
        raise Broken(f"message {number} calls a tool, which is not supported")
    content = next((given[key] for key in _CONTENT_KEYS if key in given), None)
    if content is None:
        raise Broken(f"message {number} has no content (keys: {', '.join(map(str, given))})")
    reasoning = next((given[key] for key in ("reasoning_content", "thinking", "reasoning") if key in given), "")
    if not isinstance(reasoning, str):
        raise Broken(f"message {number}: its reasoning is {type(reasoning).__name__}, not text")
    weight = given.get("weight", 1)
    if weight not in (0, 1):
        raise Broken(f"message {number}: weight {weight!r} is neither 0 (not learned) nor 1")
    return Message(role, _text(number, content), reasoning, bool(weight))


def _text(number: int, content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and all(isinstance(part, Mapping) for part in content):
        texts = [part.get("text") for part in content if part.get("type", "text") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "".join(texts)
        raise Broken(f"message {number}: a part of its content is not text")
    raise Broken(f"message {number}: its content is {type(content).__name__}, not text")
