"""What models write for a title, an outline and a section, in whatever form, becomes that part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.rules.article_parts import headings_of, paragraphs_of, section_of, title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("雨天的早市\n大纲", "雨天的早市"),
        ("\n\n# 《雨天的早市》", "雨天的早市"),
        ("标题：“灯塔来信”", "灯塔来信"),
        ("**Title: Rain on Market Day**\nText", "Rain on Market Day"),
        ('"Rain"', "Rain"),
        ("1. Rain", "Rain"),
        ("7 ways to cook rice", "7 ways to cook rice"),
        ("2026 budget", "2026 budget"),
        ("", ""),
        ("  \n \n", ""),
        ("雨下了一整天。" * 30, "雨下了一整天。"),
        ("It rained all day long. " * 20, "It rained all day long."),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert title_of(text) == title


WAYS = [
    "雨\n2. 雪\n3. 风",
    "1. 雨\n2. 雪\n3. 风",
    "- 雨\n- 雪\n* 风",
    "一、雨\n二、雪\n三、风",
    "第一章 雨\n第二章：雪\n第三章 风",
    "（一）雨\n（二）雪\n（三）风",
    "**雨**\n\n## 雪\n> 风",
    "1. 雨 2. 雪 3. 风",
    "一、雨；二、雪；三、风。",
    "①雨\n②雪\n③风",
    "雨\n\n2. 雪\n\n3. 风",
    "雨\n雪\n风\n\n雨下了一夜。\n“走吧。”",
    "1、雨\n1、雨\n2、雪\n3、风\n4、云",
    "Chapter 1: 雨\nChapter II. 雪\nPart Three: 风",
    "大纲：雨\n雪\n风\n" + "这是一段很长的话，" * 20,
]


@pytest.mark.parametrize("text", WAYS)
def test_outlines_in_any_form(text: str) -> None:
    assert headings_of(text, most=3) == ("雨", "雪", "风")


def test_an_outline_may_be_none() -> None:
    assert headings_of("", most=3) == headings_of("---\n***\n", most=3) == ()
    assert headings_of("1. 2026年的雨\n2. Rain at 10:30", most=3) == ("2026年的雨", "Rain at 10:30")


@given(st.text(max_size=80), st.integers(1, 4))
def test_any_text_is_an_outline(text: str, most: int) -> None:
    found = headings_of(text, most=most)
    assert len(found) <= most
    assert len({one.casefold() for one in found}) == len(found)
    assert all(one == one.strip() and 0 < len(one) <= 100 and "\n" not in one for one in found)


def test_a_section_ends_where_the_next_one_begins() -> None:
    outline = ("雨", "雪", "风")
    text = "## 雨\n\n下雨了。\n\n2. 雪\n\n下雪了。"
    assert section_of(text, heading="雨", outline=outline) == "下雨了。"
    assert section_of("下雨了。\n## 别的\n不要。", heading="雨", outline=outline) == "下雨了。"
    assert section_of("雨\n雨下得很大。\n### 细节\n好。", heading="雨", outline=outline) == "雨下得很大。\n### 细节\n好。"
    assert section_of("```\n# 注释\n```\n好。", heading="雨", outline=outline) == "```\n# 注释\n```\n好。"
    assert section_of("雪\n下雪了。", heading="雨", outline=outline) == ""
    assert section_of("好。", heading="", outline=("",)) == "好。"


def test_lines_that_end_a_sentence_become_paragraphs() -> None:
    assert paragraphs_of("雨停了。\n他走了。\n\n\n\n天亮了。") == "雨停了。\n\n他走了。\n\n天亮了。"
    assert (
        paragraphs_of("It stopped.\nHe said “go.”\nA line\nthat goes on.")
        == "It stopped.\n\nHe said “go.”\n\nA line\nthat goes on."
    )
    untouched = "- 甲。\n- 乙。\n\n```\na.\nb.\n```\n| a. |\n| b. |"
    assert paragraphs_of(untouched) == untouched
