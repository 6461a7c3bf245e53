"""What is nearly JSON becomes JSON with every word and number of it; everything else stays."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.json_text import RepairJson


def edited(*texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=RepairJson().text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"标题": "你好", "n": [1, 2, 3', {"标题": "你好", "n": [1, 2, 3]}),
        ('{"title": "cut off in the mid', {"title": "cut off in the mid"}),
        ('{"a": 1, "b', {"a": 1}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        ("{“标题”：“全角，逗号”，“b”：1}", {"标题": "全角，逗号", "b": 1}),
        ('{"a"："b"，"c"：[1，2]}', {"a": "b", "c": [1, 2]}),
        ('```json\n{"a": "你好"}\n```', {"a": "你好"}),
        ('```json\n{"a": "你好",}\n```', {"a": "你好"}),
        ('{"t": "他说"你好"了"}', {"t": '他说"你好"了'}),
        ('{"date": 2024-01-15, "v": 1.2.3}', {"date": "2024-01-15", "v": "1.2.3"}),
        ('[{"b": 1}, {"b": 2', [{"b": 1}, {"b": 2}]),
        ("{a: 1, b: 'x'}", {"a": 1, "b": "x"}),
    ],
)
def test_what_is_nearly_json_can_be_read(text: str, value: object) -> None:
    (fixed,) = edited(text)
    assert json.loads(fixed) == value
    assert "\\u" not in fixed, "Chinese stays Chinese"
    assert edited(fixed) == [fixed]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,  "标题" : "x" }',
        "no json at all",
        "[1] Smith, 2004",
        "[链接](https://a.b) 后文",
        "{name} is a template",
        '{"a": 1} and some prose behind it',
        '{"a": "b" // a comment that would be lost\n}',
        '{"share": 5%}',
        '{"price": $5.50}',
        '{"code": 007}',
        '{"a": "x", "a": "y"}',
        '{"a": 123456789012345678901234567890.5,',
        "```python\n{'a': 1}\n```",
        "[" * 5000,
    ],
)
def test_json_prose_and_what_a_repair_would_lose_stay(text: str) -> None:
    assert edited(text) == [text]


def test_numbers_are_spelled_as_they_were() -> None:
    assert edited('{"a": 1.10, "b": 1e5, "c": -0.50') == ['{"a": 1.10, "b": 1e5, "c": -0.50}']


VALUES = st.recursive(
    st.integers(-999, 999) | st.text("ab 你好，：", min_size=1, max_size=6) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("k键", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text("k键", min_size=1, max_size=3), VALUES, min_size=1, max_size=3))
def test_json_of_any_shape_stays_and_without_its_end_it_stays_or_can_be_read(value: dict[str, object]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert edited(text) == [text]
    (fixed,) = edited(text[:-1])
    assert fixed == text[:-1] or json.loads(fixed) == value
