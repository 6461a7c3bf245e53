"""What all edits of style keep: done after one time, and code, front matter, addresses and numbers stay as they are."""

import re

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.confusions import ChineseConfusions
from aigc.core.rules.edits.grammar import EnglishGrammar
from aigc.core.rules.edits.json_text import RepairJson
from aigc.core.rules.edits.markdown_format import FormatMarkdown
from aigc.core.rules.edits.marks import BalanceMarks
from aigc.core.rules.edits.repeats import CollapseRepeats
from aigc.core.rules.edits.sentences import FinishSentence
from aigc.core.rules.edits.spacing import Spacing
from aigc.core.rules.rule import Edit

EDITS = [
    Spacing(),
    Spacing(spaces="keep"),
    CollapseRepeats(),
    BalanceMarks(),
    FinishSentence(),
    RepairJson(),
    FormatMarkdown(),
    EnglishGrammar(),
    ChineseConfusions(),
]
every_edit = pytest.mark.parametrize("rule", EDITS, ids=lambda rule: type(rule).__name__)


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


# fmt: off
PIECES = st.sampled_from([
    "中文", "你因该", "真好", "word", "an test", "the the ", "He go", "recieve", "GPT-2", "v1.2.3", "3.14", "1,234.5%", "2024-5-1",
    "１２：３０", "$5.5", "12:30", "，", ",", "。", ".", "!", "？", "……", "...", ":", "：", " ", "  ", "\n", "\n\n", "“", "”", "\"",
    "（", "）", "(", ")", "[", "]", "「", "』", "《", "`", "```", "```py\n", "\n```\n", "**", "*", "_", "# ", "- ", "1. ", "> ",
    "| a | b |", "|---|---|\n", "---\n", "key: 值\n", "http://a.b/c?d=1,e", "a@b.com", "www.x.cn", "/usr/lib/x", "#话题#",
    "@某人", "<b>", "</b>", "$x,y$", "{\"a\": ", "{", "}", ": 1", "[1, 2", "'b'", "，好", ",好", "震憾", "　　", "ＡＢ", "🚀", "～",
    "哈哈哈哈哈哈哈", "again and ",
])
# fmt: on
TEXTS = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40)
CODE = "```python\nx = f('你好,世界', 1,2)  # an test\nx = x\nx = x\nx = x\nprint(\"(“\")\n```"
FRONT = "---\ntitle: 你好,world(\ndate: 2024-01-15\n---\n"


@every_edit
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
@example("a b a b a b a b a b a b a b a b a b a b")
def test_an_edit_is_done_after_one_time(rule: Edit, text: str) -> None:
    (once,) = edited(rule, text)
    assert edited(rule, once) == [once]


@every_edit
@settings(max_examples=10, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_a_text_does_not_depend_on_its_neighbours(rule: Edit, texts: list[str]) -> None:
    assert edited(rule, *texts) == [edited(rule, text)[0] for text in texts]


@every_edit
def test_no_documents_and_empty_text_are_fine(rule: Edit) -> None:
    assert edited(rule) == []
    assert edited(rule, "", " ", "\n") == ["", " ", "\n"]


@every_edit
@pytest.mark.parametrize("before", ["他说,", "He said so.\n", "# 标题\n\n**粗体：**后文,"], ids=["zh", "en", "markdown"])
@pytest.mark.parametrize("after", ["然后,走了.", "Then he left.", ""], ids=["zh", "en", "none"])
def test_code_and_front_matter_stay_byte_for_byte(rule: Edit, before: str, after: str) -> None:
    (new,) = edited(rule, f"{FRONT}{before}\n\n{CODE}\n\n{after}")
    assert CODE in new
    assert new.startswith(FRONT)


@every_edit
@pytest.mark.parametrize(
    "literal",
    [
        "`x=1,y=(2`",
        "https://a.b/c_d(e)?f=1,2&g=路径",
        "https://example.com/路径?a=1,b=2",
        "some.one+x@mail.example.com",
        "[链接](https://a.b/中文,x)",
        "/usr/local/bin",
        "$1,234.56",
        "￥36.6",
        "5.5%",
        "v1.2.3-beta.1",
        "2024-01-15",
        "12:30",
        "2024/05/01",
        "1,000,000",
        "#AI绘画",
        "$x=1,y=2$",
        '<a href="x,y">',
    ],
)
@pytest.mark.parametrize("form", ["他在{}处,看到.", "今天{}。完", "See {} for more, please.", "**注意：**见{},好\n\n1. 一\n1. 二"])
def test_code_addresses_and_numbers_stay_inside_prose(rule: Edit, literal: str, form: str) -> None:
    (new,) = edited(rule, form.format(literal))
    if isinstance(rule, FinishSentence) and form.startswith("今天"):
        assert new == f"今天{literal}。"
    assert literal in new


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_no_number_is_changed(text: str) -> None:
    for rule in (Spacing(), BalanceMarks(), EnglishGrammar(), ChineseConfusions()):
        (new,) = edited(rule, text)
        assert _numbers(new) == _numbers(text), type(rule).__name__


def _numbers(text: str) -> list[str]:
    """Digits in runs, whatever their width."""
    narrow = text.translate({wide: wide - 0xFEE0 for wide in range(0xFF10, 0xFF1A)})
    return re.findall(r"[0-9]+", narrow)
