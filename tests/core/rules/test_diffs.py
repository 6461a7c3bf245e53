"""A diff, applied, gives the new text; it names what changed and little else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.diffs import apply, diff

TEXTS = st.text("ab 你好，.\n", max_size=40) | st.text(max_size=20)


@settings(max_examples=300, deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_applied_it_gives_the_new_text(before: str, after: str) -> None:
    changes = diff(before, after)
    assert apply(before, changes) == after
    ends = [0, *(end for _, end, _ in changes)]
    assert all(begin >= last for (begin, _, _), last in zip(changes, ends, strict=False)), "apart, and in order"
    assert all(before[begin:end] != put for begin, end, put in changes)
    assert bool(changes) == (before != after)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("用GPT-2训练,好.", "用 GPT-2 训练，好。", [(1, 1, " "), (6, 6, " "), (8, 9, "，"), (10, 11, "。")]),
        ("the the end", "the end", [(4, 8, "")]),
        ("一句。两句没", "一句。", [(3, 6, "")]),
        ("", "new", [(0, 0, "new")]),
        ("same", "same", []),
    ],
)
def test_it_names_the_places(before: str, after: str, changes: list[tuple[int, int, str]]) -> None:
    assert diff(before, after) == changes


def test_a_long_text_with_a_change_in_each_line() -> None:
    before = "".join(f"line {number} of it, 第{number}行。\n" for number in range(3_000))
    after = before.replace(",", "，")
    changes = diff(before, after)
    assert apply(before, changes) == after
    assert len(changes) == 3_000
