"""Marks that are open at the end are closed, closers that were never opened go, and what is in doubt stays."""

import polars as pl
import pytest

from aigc.core.rules.edits.marks import BalanceMarks
from aigc.core.rules.rule import Edit


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "paired"),
    [
        ("他说：“今天很好。", "他说：“今天很好。”"),
        ("他说：“你好（真的", "他说：“你好（真的）”"),
        ("「外『内", "「外『内』」"),
        ("《红楼梦", "《红楼梦》"),
        ('He said "hi" and "bye', 'He said "hi" and "bye"'),
        ("See (Smith [1", "See (Smith [1])"),
        ("[text](http://a.b", "[text](http://a.b)"),
        ("你好”他说", "你好他说"),
        ("It was done) at last.", "It was done at last."),
        ("第一段（好。\n\n他说“对", "第一段（好。\n\n他说“对"),
        ("```py\nx = (1\n", "```py\nx = (1\n```"),
        ("~~~\ncode", "~~~\ncode\n~~~"),
    ],
)
def test_what_is_open_is_closed_and_what_was_never_opened_goes(text: str, paired: str) -> None:
    assert edited(BalanceMarks(), text, paired) == [paired, paired]


@pytest.mark.parametrize(
    "text",
    [
        "a) one\nb) two",
        "1）第一\n2）第二",
        "smile :) and :( and (-: here",
        "图文-[欧预赛]西班牙",
        '写 "::1" 和 "/dev/ttyS0"的',
        "REPL (=READ + LOOP) and (= 磁盘) here",
        "[0, 1) and (0, 1]",
        "”你好”他说",
        "却道”小梅摇落“",
        "（英文)混用(中文）",
        '5" disk and 7" one',
        '{"a": [1, 2',
        "“第一段。\n\n“第二段。”",
        "(first paragraph\n\nsecond",
        "| a | “b |",
        "`(` and `“`",
        "Er sagte: „Hallo“ und ging.",
        "按 Ctrl-] 就可以",
        "f(a[b(c{d(e",
        'He said so."',
        "don’t ‘quote’ it",
    ],
)
def test_lists_smileys_intervals_and_what_is_in_doubt_stay(text: str) -> None:
    assert edited(BalanceMarks(), text) == [text]
