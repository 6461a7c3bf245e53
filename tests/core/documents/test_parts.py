"""Rows in the formats of finetuning have a text that rules can judge, and keep their columns."""

import json
from pathlib import Path

import polars as pl
import pytest

from aigc.core.documents.parts import parts_of, text_of_parts
from aigc.core.documents.reading import Reader

CHAT = [{"role": "user", "content": "几点了？"}, {"role": "assistant", "content": "三点。"}]
SHARED = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi!"}]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": CHAT}, "几点了？\n三点。"),
        ({"conversations": SHARED, "system": "Be kind."}, "Hello\nHi!\nBe kind."),
        ({"prompt": "1 + 1", "completion": "2"}, "1 + 1\n2"),
        ({"instruction": "Translate.", "input": "月", "output": "moon"}, "Translate.\n月\nmoon"),
        ({"instruction": "Sing.", "input": "", "output": "La."}, "Sing.\nLa."),
        ({"prompt": "Why?", "chosen": "Because.", "rejected": "No."}, "Why?\nBecause.\nNo."),
        ({"chosen": CHAT, "rejected": CHAT}, "几点了？\n三点。\n几点了？\n三点。"),
    ],
)
def test_a_row_without_a_text_is_read_with_the_text_of_its_parts(tmp_path: Path, row: dict[str, object], text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row | {"source": "mine"}, ensure_ascii=False) + "\n", "utf-8")
    reader = Reader()
    [batch] = reader.read(path)
    assert batch.documents["text"].to_list() == [text] and not batch.failures
    assert set(row) <= set(batch.documents.columns) and batch.documents["source"].to_list() == ["mine"]
    assert reader.of_parts == set(row)


def test_a_chat_that_is_broken_is_a_failed_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"messages": CHAT}, {"messages": [{"role": "user"}]}, {"messages": []}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    [batch] = Reader().read(path)
    assert len(batch.documents) == 1 and len(batch.failures) == 2
    assert all("no text in field 'text' (fields: messages)" in failure.reason for failure in batch.failures)


def test_a_text_of_its_own_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "mine", "prompt": "a", "completion": "b"}) + "\n", "utf-8")
    reader = Reader()
    [batch] = reader.read(path)
    assert batch.documents["text"].to_list() == ["mine"] and not reader.of_parts


def test_a_text_field_that_was_named_is_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n", "utf-8")
    [batch] = Reader(text_field="boddy").read(path)
    assert not len(batch.documents) and "no text in field 'boddy'" in batch.failures[0].reason


def test_other_columns_are_no_format() -> None:
    assert parts_of(["title", "prompt"]) == [] and text_of_parts(pl.DataFrame({"title": ["a"]})) is None
