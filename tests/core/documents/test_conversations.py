"""Chats of every spelling become the same messages, and what is none says why."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.documents.conversations import Broken, Message, common_beginning, is_chat, messages_of

CHAT = (Message("system", "Be brief."), Message("user", "下雨了吗？"), Message("assistant", "下雨了。"))


def spelled(role: str, content: str, names: tuple[str, str, str] = ("system", "user", "assistant")) -> list[dict[str, Any]]:
    """The chat with other names of keys and roles."""
    return [{role: name, content: one.content} for name, one in zip(names, CHAT, strict=True)]


@pytest.mark.parametrize(
    "value",
    [
        spelled("role", "content"),
        spelled("from", "value", ("system", "human", "gpt")),
        spelled("role", "content", ("developer", "Human", "model")),
        spelled("from", "content"),
        json.dumps(spelled("from", "value", ("system", "human", "gpt"))),
        [{"role": one.role, "content": [{"type": "text", "text": one.content[:3]}, {"text": one.content[3:]}]} for one in CHAT],
        [one | {"tool_calls": None, "name": None} for one in spelled("role", "content")],
    ],
)
def test_every_spelling_gives_the_same_messages(value: Any) -> None:
    assert messages_of(value) == CHAT
    assert is_chat(value)


def test_chats_survive_parquet_types_and_json(tmp_path: Any) -> None:
    frame = pl.DataFrame({"messages": [spelled("role", "content"), [{"role": "tool", "content": "3", "name": "add"}]]})
    frame.write_parquet(tmp_path / "a.parquet")
    nested = pl.read_parquet(tmp_path / "a.parquet")["messages"].to_list()
    as_text = [json.dumps(value, ensure_ascii=False) for value in nested]
    expected = [CHAT, (Message("tool", "3"),)]
    assert [messages_of(value) for value in nested] == [messages_of(value) for value in as_text] == expected


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text()), min_size=1, max_size=5))
def test_json_of_a_chat_is_that_chat(turns: list[tuple[Any, str]]) -> None:
    value = [{"role": role, "content": content} for role, content in turns]
    assert messages_of(json.dumps(value)) == tuple(Message(role, content) for role, content in turns)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the chat is empty"),
        ("[]", "the chat is empty"),
        (None, "no list of messages"),
        ("hello", "no list of messages"),
        ("[1, 2]", "no list of messages"),
        ([{"content": "x"}], r"message 1 has no role \(keys: content\)"),
        ([{"role": None, "content": "x"}], "message 1 has no role"),
        ([{"role": "user", "content": "x"}, {"role": "assistant"}], "message 2 has no content"),
        ([{"role": "narrator", "content": "x"}], "the role 'narrator' is not known"),
        ([{"role": "user", "content": 5}], "its content is int, not text"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "a part of its content is not text"),
        ([{"role": "assistant", "content": "", "tool_calls": [{"name": "add"}]}], "calls a tool"),
        ([{"role": "assistant", "content": "x", "weight": 0.5}], "weight 0.5 is neither 0"),
        ([{"role": "assistant", "content": "x", "thinking": ["y"]}], "its reasoning is list, not text"),
    ],
)
def test_what_is_no_chat_says_why(value: Any, reason: str) -> None:
    with pytest.raises(Broken, match=reason):
        messages_of(value)


@pytest.mark.parametrize("text", ["[]", "[1]", '[{"name": "x"}]', "[broken", "", '{"role": "user", "content": "x"}', "[" * 100_000])
def test_json_that_is_no_chat_stays_text(text: str) -> None:
    assert not is_chat(text)


def test_a_list_of_mappings_is_a_chat_even_if_broken() -> None:
    assert is_chat([{"content": "no role"}])
    assert is_chat([])
    assert not is_chat(None)
    assert not is_chat(["a"])


def test_reasoning_and_weight_are_kept() -> None:
    fields = {"role": "assistant", "content": "4", "thinking": "2 + 2", "weight": 0}
    assert messages_of([fields]) == (Message("assistant", "4", "2 + 2", learned=False),)


def test_common_beginning_counts_whole_messages() -> None:
    other = (*CHAT[:2], Message("assistant", "没有。"))
    assert common_beginning(CHAT, other) == 2
    assert common_beginning(CHAT, CHAT) == 3
    assert common_beginning(CHAT, CHAT[:1]) == 1
    assert common_beginning(CHAT, ()) == 0
