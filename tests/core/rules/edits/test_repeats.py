"""What was written in a circle is said once; refrains, rulers, code, tables and numbers stay."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.repeats import CollapseRepeats
from aigc.core.rules.rule import Edit


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("line one is here\n" * 4 + "end", "line one is here\nend"),
        ("第一行写在这里。\n" * 3 + "结束", "第一行写在这里。\n结束"),
        ("今天天气很好。" * 4 + "然后走了。", "今天天气很好。然后走了。"),
        ("A is B. C is D. " * 3 + "Then.", "A is B. C is D. Then."),
        ("The end of it is near. The end of it is near. ok", "The end of it is near. ok"),
        ("The cat sat on the mat on the mat on the mat on th", "The cat sat on the mat"),
        ("I am happy. I am happy. I am happy. I am ha", "I am happy."),
        ("我很好，你呢。我很好，你呢。我很好，你呢。我很", "我很好，你呢。"),
        ("so very very very very very very very", "so very"),
        ("我们要做好工作，我们要做好工作，我们要做好工作，我们要", "我们要做好工作，"),
        ("他笑了：" + "哈" * 30, "他笑了：哈"),
        ("go to http://a.b/c go to http://a.b/c go to http://a.b/c go to ht", "go to http://a.b/c"),
    ],
)
def test_a_loop_is_said_once(text: str, once: str) -> None:
    assert edited(CollapseRepeats(), text, once) == [once, once]


@pytest.mark.parametrize(
    "text",
    [
        "莫，莫，莫！",
        "Row, row, row your boat.",
        "哈哈哈哈哈",
        "-" * 40,
        "He paid 1,000,000,000,000,000,000,000,000",
        "x = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,",
        "```\n" + "print(x)\n" * 6 + "```",
        "```\n" + "print(x)\n" * 6,
        "| a | b |\n" * 5 + "| a | b |",
        "知之为知之，不知为不知，是知也。",
        "It was the best of times, it was the worst of times, it was the age of wisdom.",
    ],
)
def test_refrains_rulers_numbers_code_and_tables_stay(text: str) -> None:
    assert edited(CollapseRepeats(), text) == [text]


@settings(max_examples=100, deadline=None)
@given(
    unit=st.text("abc 天地人，", min_size=2, max_size=15).filter(lambda unit: any(map(str.isalpha, unit))), more=st.integers(0, 14)
)
def test_any_loop_at_the_end_becomes_shorter_than_two_rounds(unit: str, more: int) -> None:
    loop = unit * 12 + unit[:more]
    (once,) = edited(CollapseRepeats(), f"甲乙丙 {loop}")
    assert once.startswith("甲乙丙")
    assert len(once) <= len("甲乙丙 ") + 2 * len(unit)


def test_how_often_and_how_long_can_be_said() -> None:
    text = "好的。好的。好的。"
    assert edited(CollapseRepeats(), text) == [text]
    assert edited(CollapseRepeats(characters=6), text) == ["好的。"]
    assert edited(CollapseRepeats(characters=6, times=4), text) == [text]
