"""Markdown is tidied; Chinese bold works, and prose, front matter and what mdformat would spoil stay."""

import sys

import polars as pl
import pytest
from markdown_it import MarkdownIt

from aigc.core.rules.edits import markdown_format
from aigc.core.rules.edits.markdown_format import FormatMarkdown
from aigc.errors import AigcError


def edited(*texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=FormatMarkdown().text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("**T**\n* a\n* b\n\n\n\ntext", "**T**\n\n- a\n- b\n\ntext"),
        ("# 标题\n\n1. 一\n1. 二\n1. 三", "# 标题\n\n1. 一\n2. 二\n3. 三"),
        ("# T\n\n" + "\n".join(["1. x"] * 11), "# T\n\n" + "\n".join(f"{n}. x" for n in range(1, 12))),
        ("| a | 中文 |\n|-|-|\n|1|2|", "| a   | 中文 |\n| --- | ---- |\n| 1   | 2    |"),
        ("**粗体：**后文\n\n* 一", "**粗体**：后文\n\n- 一"),
        ("他说**“你好”**然后走了", "他说“**你好**”然后走了"),
        ("***很好！***了，**注意**后", "***很好***！了，**注意**后"),
        ("---\ntitle: '你好'\ntags: [a,b]\n---\n# T\n* a\n* b", "---\ntitle: '你好'\ntags: [a,b]\n---\n# T\n\n- a\n- b"),
        ("Setext **x**\n===\ntext", "# Setext **x**\n\ntext"),
    ],
)
def test_form_is_tidied(text: str, tidy: str) -> None:
    assert edited(text, tidy) == [tidy, tidy]


def test_bold_that_chinese_punctuation_keeps_open_is_bold_afterwards() -> None:
    text = "**粗体：**后文，见**“引号”**了"
    assert "<strong>粗体" not in MarkdownIt().render(text), "or there is nothing to mend"
    html = MarkdownIt().render(edited(text)[0])
    assert "<strong>粗体</strong>：后文" in html
    assert "“<strong>引号</strong>”了" in html


@pytest.mark.parametrize(
    "text",
    [
        "5 * 3 * 2 and snake_case_name",
        "- 春眠不觉晓\n- 处处闻啼鸟",
        "**山**\n\n　　首行缩进。\n　　第二段。",
        "**T**\n\n_中文_后 and __粗__后",
        "**T**\n\na&nbsp;b",
        "**x** `a  b` <http://x.y> $a_1$",
        "Plain text, no Markdown.",
    ],
)
def test_prose_and_what_would_be_spoiled_stay(text: str) -> None:
    assert edited(text) == [text]


def test_without_mdformat_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    markdown_format._mdformat.cache_clear()
    monkeypatch.setitem(sys.modules, "mdformat", None)
    with pytest.raises(AigcError, match=r"pip install 'aigc\[markdown\]'"):
        FormatMarkdown().text()
