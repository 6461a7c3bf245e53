"""Rows become pieces with title, text and credits, and pieces become files that show all of them and run nothing."""

import html as markup

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from aigc.labels.drawing import draw_html, draw_markdown, draw_text
from aigc.labels.piece import Names, Piece, language_of, piece_of
from aigc.labels.prose import Block, Run, blocks_of

ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=80)


def _piece(**row: object) -> Piece:
    return piece_of({"id": "1", "text": "x"} | row, licence=None, data=(), sources=())


@pytest.mark.parametrize(
    ("row", "title", "headed", "text"),
    [
        ({"title": "雨", "text": "下雨了。\n"}, "雨", True, "下雨了。"),
        ({"text": "# 雨 #\n\n下雨了。"}, "雨", True, "下雨了。"),
        ({"title": "雨", "text": "# 雨\n下雨了。"}, "雨", True, "下雨了。"),
        ({"title": "风", "text": "# 雨\n下雨了。"}, "风", True, "# 雨\n下雨了。"),
        ({"text": "今天下雨了。明天再去！"}, "今天下雨了", False, "今天下雨了。明天再去！"),
        ({"text": "It costs 3.5 pounds. No more."}, "It costs 3.5 pounds", False, "It costs 3.5 pounds. No more."),
        ({"text": "长" * 90}, "长" * 59 + "…", False, "长" * 90),
        ({"text": "  \n"}, "1", False, "  "),
    ],
)
def test_the_title_is_the_row_s_or_the_heading_or_the_beginning(
    row: dict[str, object], title: str, headed: bool, text: str
) -> None:
    piece = _piece(**row)
    assert (piece.title, piece.headed, piece.text) == (title, headed, text)


@pytest.mark.parametrize(
    ("row", "language"),
    [
        ({"text": "今天下雨，我们用 Python 写程序。"}, "zh"),
        ({"text": "It rains in 北京."}, "en"),
        ({"text": "今天", "language": "en"}, "en"),
        ({"text": "It rains", "lang": "zh-Hant"}, "zh"),
        ({"text": "..."}, "en"),
    ],
)
def test_language(row: dict[str, object], language: str) -> None:
    assert language_of(row) == language


def test_credits_are_in_the_language_of_the_piece_and_the_row_s_licence_comes_first() -> None:
    row = {"id": "1", "text": "今天下雨了。", "model": "ab\n12", "license": "CC-BY-4.0"}
    piece = piece_of(row, licence="CC0", data=["MIT", "CC-BY-SA-4.0"], sources=["Wiki (CC-BY-SA-4.0)"])
    assert piece.credits == (
        ("许可", "CC-BY-4.0"),
        ("模型", "ab 12"),
        ("训练数据的许可", "MIT, CC-BY-SA-4.0"),
        ("训练数据来源", "Wiki (CC-BY-SA-4.0)"),
    )
    assert "许可：CC-BY-4.0" in draw_text(piece) and "Wiki \\(" not in draw_markdown(piece)
    assert piece_of({"id": "1", "text": "Rain."}, licence="CC0", data=(), sources=()).credits == (("Licence", "CC0"),)


@pytest.mark.parametrize("link", ["https://a.b/c", "javascript:alert(1)", "data:text/html,x", "//a.b"])
def test_a_page_runs_nothing_and_shows_what_is_written(link: str) -> None:
    text = f'<script>alert(1)</script> <img src=x onerror=y> [go]({link}) & "q"\n\n```\n<b>\n```'
    page = draw_html(Piece("1", "<t> & 'q'", True, text, "en", (("Licence", "<CC0>"),)))
    tree = LexborHTMLParser(page)
    assert not tree.css("script, img, b") and tree.css_first("h1").text() == tree.css_first("title").text() == "<t> & 'q'"
    assert "<script>alert(1)</script> <img src=x onerror=y>" in tree.body.text()  # type: ignore[union-attr]
    assert [one.attributes["href"] for one in tree.css("a")] == ([link] if link.startswith("https") else [])
    assert tree.css_first("pre").text() == "<b>" and tree.css_first("dd").text() == "<CC0>"
    assert "default-src 'none'" in markup.unescape(page)


@hypothesis_settings(max_examples=100, deadline=None)
@given(ANY)
def test_no_letter_of_a_text_is_lost(text: str) -> None:
    """Marks of Markdown may go; letters and digits stay, in their order."""
    wanted = [c for c in text if c.isalpha()]
    shown = [c for block in blocks_of(text) for run in block.runs for c in run.text if c.isalpha()]
    hidden = set("```")  # behind a fence stands the name of a language
    assert shown == wanted or "](" in text or "~~~" in text or hidden & set(text)


def test_plain_paragraphs_keep_lines_and_indents() -> None:
    poem = "　　床前明月光，\n　　疑是地上霜。\n\n    举头望明月，\n-----\n低头思故乡。"
    first, second = blocks_of(poem)[:2]
    assert "".join(run.text for run in first.runs) == "　　床前明月光，\n　　疑是地上霜。"
    assert first.kind == second.kind == "paragraph" and "举头望明月" in second.runs[0].text


def test_blocks() -> None:
    text = "# A\n\n1. one\n2. two\n   - inner\n\n> said *so*\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n***\n\n**重点：**后文 `x*y`"
    assert blocks_of(text) == [
        Block("heading", (Run("A"),), 1),
        Block("item", (Run("one"),), 0, "1."),
        Block("item", (Run("two"),), 0, "2."),
        Block("item", (Run("inner"),), 1, "•"),
        Block("quote", (Run("said "), Run("so", italic=True))),
        Block("paragraph", (Run("a"), Run(" | "), Run("b"))),
        Block("paragraph", (Run("1"), Run(" | "), Run("2"))),
        Block("rule", ()),
        Block("paragraph", (Run("重点：", bold=True), Run("后文 "), Run("x*y", code=True))),
    ]


def test_file_names_are_safe_and_differ() -> None:
    names = Names()
    given = ["a/b", "a-b", "A-B", "../../etc/passwd", "雨 1", ".", "", "x" * 300]
    found = [names.of(one) for one in given]
    assert found[:5] == ["a-b", "a-b-2", "A-B-3", "etc-passwd", "雨-1"]
    assert len({one.casefold() for one in found}) == len(given)
    assert all(one and "/" not in one and not one.startswith(".") and len(one) <= 90 for one in found)
