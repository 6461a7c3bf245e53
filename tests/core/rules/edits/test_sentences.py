"""A sentence that was cut off goes; no block is cut, and no abbreviation, number or address is an end."""

import polars as pl
import pytest

from aigc.core.rules.edits.sentences import FinishSentence
from aigc.core.rules.rule import Edit


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("（见下文。）后面", "（见下文。）"),
        ("他说：「走吧。」她", "他说：「走吧。」"),
        ("他问：『真的？！』我", "他问：『真的？！』"),
        ("完了……”我", "完了……”"),
        ("他来了!然后", "他来了!"),
        ("He left. Mr. Smith and J. R. R. Tolkien", "He left."),
        ("He left. It cost $3.14 and", "He left."),
        ("He left. See http://a.b/c.html for", "He left."),
        ("他走了。表 3.5. 命令", "他走了。"),
        ("Done.\n```py\nx.y. \n```\nThen", "Done.\n```py\nx.y. \n```"),
        ("Intro.\n\n- item\n- item two\n\nand then cut", "Intro.\n\n- item\n- item two"),
        ("第一段。\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n然后", "第一段。\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        ("Text.\n\n## Next", "Text."),
    ],
)
def test_what_was_cut_off_goes_up_to_the_last_end(text: str, finished: str) -> None:
    assert edited(FinishSentence(), text, finished) == [finished, finished]


@pytest.mark.parametrize(
    "text",
    [
        "代码：\n```py\nprint('a.')\nx",
        "Done.\n\n```py\nx = 1\n```",
        "Intro.\n\n- one. two\n- three",
        "- one. two\n  more text",
        "第一。\n1. 甲\n2. 乙",
        "第一。\n1、甲\n2、乙",
        "| a. | b |\n| c",
        "He met Mr. Smith and",
        "It was 3.14 and",
        "the U.S. army went",
        "太好吃了！大家快来～",
        "出发！去看海🚀",
        "好看！#话题# #另一个",
        "万里桥边客。（下缺）",
        "Up 5 percent. (Reuters)",
        "---\ntitle: a. b\n---",
    ],
)
def test_blocks_abbreviations_and_other_ends_stay(text: str) -> None:
    assert edited(FinishSentence(), text) == [text]
