"""Prompts that do not fit lose their summary first, then what is written, then the outline, and at last their beginning."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.generation.fitting import fitting
from scripted import Scripted

BODY = "".join(f"第{i:02d}天灯塔亮了。" for i in range(40))
TEMPLATE = "{title}\n{outline}\n[{summary}]\n<{written}>\n{heading}:"


def fitted(context: int, *, template: str = TEMPLATE, max_tokens: int = 20, **values: Any) -> str:
    given = {"title": "T", "outline": "1. 甲\n2. 乙", "heading": "乙", "written": BODY} | values
    engine = Scripted(lambda prompt, seed: "", context=context)
    text = fitting(engine, template, given, max_tokens=max_tokens, characters=100)  # type: ignore[arg-type]
    assert engine.room_for(max(len(text), 1)) >= min(max_tokens, max(context // 2, 1))
    return text


def _parts(text: str) -> tuple[int, int]:
    """Characters of the summary and of what was written."""
    return len(text.partition("[")[2].partition("]")[0]), len(text.partition("<")[2].partition(">")[0])


def test_all_of_it_where_there_is_room() -> None:
    text = fitted(10_000)
    assert text.startswith("T\n1. 甲\n2. 乙\n[") and text.endswith(f"<{BODY}>\n乙:")
    assert 80 < _parts(text)[0] <= 100


def test_the_summary_goes_first_then_what_is_written() -> None:
    sizes = [_parts(fitted(context)) for context in (10_000, 480, 420, 300, 150, 60)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0][0] > sizes[1][0]
    assert all(written == len(BODY) or summary == 0 for summary, written in sizes)
    assert 0 < sizes[3][1] < len(BODY)


def test_the_end_of_what_is_written_stays() -> None:
    written = fitted(300).partition("<")[2].partition(">")[0]
    assert written and BODY.endswith(written)


def test_the_end_of_the_prompt_stays_when_nothing_else_helps() -> None:
    text = fitted(40, title="很长的标题" * 50)
    assert text.endswith("乙:")
    assert "1. 甲" not in text


@pytest.mark.parametrize("context", [2, 3, 10])
def test_hardly_any_room(context: int) -> None:
    assert len(fitted(context)) <= context


@given(
    context=st.integers(2, 600), title=st.text(max_size=200), written=st.sampled_from(["", BODY]), max_tokens=st.integers(1, 300)
)
def test_a_prompt_always_fits(context: int, title: str, written: str, max_tokens: int) -> None:
    fitted(context, title=title, written=written, max_tokens=max_tokens)
