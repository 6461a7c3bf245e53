"""A template takes the fields of a row, keeps doubled braces as braces, and names what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.documents.template import MissingField, fields_of, fill, needed_fields


@pytest.mark.parametrize(
    ("template", "row", "text"),
    [
        ("{title}\n{text}", {"title": "Cats", "text": "They purr."}, "Cats\nThey purr."),
        ("标题：{标题}。", {"标题": "春天"}, "标题：春天。"),
        ('{{"title": "{title}"}}', {"title": "x"}, '{"title": "x"}'),
        ("{{title}}", {"title": "x"}, "{title}"),
        ("[{note}]", {"note": None}, "[]"),
        ("{year}", {"year": 2024}, "2024"),
        ("{a}{a}", {"a": "{b}"}, "{b}{b}"),
        ("no fields at all", {}, "no fields at all"),
        ("{topic}, {tone|calm}", {"topic": "雨"}, "雨, calm"),
        ("{tone|calm} {tone}", {"tone": None}, "calm "),
        ("{tone|平静}", {"tone": ""}, "平静"),
        ("{tone|calm}", {"tone": 0}, "0"),
        ("[{note|}]", {}, "[]"),
        ("{a|b|c}", {}, "b|c"),
        ("{{a|b}}", {}, "{a|b}"),
    ],
)
def test_fields_go_in(template: str, row: dict[str, object], text: str) -> None:
    assert fill(template, row) == text


def test_a_missing_field_is_named_with_the_fields_there_are() -> None:
    with pytest.raises(MissingField, match=r"needs the field 'titel'; fields found: id, title"):
        fill("{titel}", {"id": 1, "title": "x"})
    with pytest.raises(MissingField, match="fields found: none"):
        fill("{text}", {})


def test_fields_are_named_once_in_order() -> None:
    assert fields_of("{b} {a} {{c}} {b} {标题}") == ["b", "a", "标题"]
    assert fields_of("plain") == []


def test_a_field_with_a_text_of_its_own_is_not_needed_unless_it_stands_without_one_too() -> None:
    assert fields_of("{b|x} {a} {c|} {a|y} {{d}}") == ["b", "a", "c"]
    assert needed_fields("{b|x} {a} {c|} {a|y} {{d}}") == ["a"]


@given(st.text())
def test_text_with_doubled_braces_comes_back(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_template(before: str, value: str) -> None:
    escaped = before.replace("{", "{{").replace("}", "}}")
    assert fill(escaped + "{x}", {"x": value}) == before + value
