"""Markdown into plain text: what it shows stays, its marks go, and prose that only looks like it is not touched."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.markdown import MarkdownToText


def edited(*texts: str, code: bool = True) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=MarkdownToText(code=code).text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("# 标题\n\n第一段。\n\n## 小标题\n\n第二段。", "标题\n\n第一段。\n\n小标题\n\n第二段。"),
        ('See [the report](https://a.b/c_(d) "title") now.', "See the report now."),
        ("![一座桥](bridge.png) 和 <https://a.b>", "一座桥 和 https://a.b"),
        ("[id] is **bold**, _thin_ and ~~old~~.\n\n[id]: http://a.b", "id is bold, thin and old."),
        ("Run:\n\n```sh\n# no heading\nls *.py\n```\n\nDone.", "Run:\n\n# no heading\nls *.py\n\nDone."),
        ("# T\n\n- one **x**\n- two\n  1. three\n\nEnd.", "T\n\n- one x\n- two\n  1. three\n\nEnd."),
        ("**T**\n\n3. three\n4. four", "T\n\n3. three\n4. four"),
        ("| 年 | cost |\n|---|:-:|\n| 1 | **2** |\n\nEnd.", "年 | cost\n1 | 2\n\nEnd."),
        ("---\ntitle: X\ntags: [a]\n---\nText.", "Text."),
        ("# T\n\n> quoted\n> lines\n\n---\n\n<!-- gone -->\nEnd.", "T\n\nquoted\nlines\n\nEnd."),
        ("**山**\n\n春眠不觉晓，\n处处闻啼鸟。", "山\n\n春眠不觉晓，\n处处闻啼鸟。"),
        (
            "**a** and 5*3*2 and 5 * 3 * 2, snake_case_name, vector<int> x < y",
            "a and 5*3*2 and 5 * 3 * 2, snake_case_name, vector<int> x < y",
        ),
        (r"**a** $x_1 * y_2 * z_3$ and \(a_1\) cost $5 or \*", r"a $x_1 * y_2 * z_3$ and \(a_1\) cost $5 or *"),
    ],
)
def test_marks_go_and_what_they_show_stays(text: str, plain: str) -> None:
    assert edited(text) == [plain]
    assert edited(plain) == [plain], "done after one time"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**粗体：**后文", "粗体：后文"),
        ("他说**“你好”**然后走了", "他说“你好”然后走了"),
        ("***很好！***了，*注意：*小心", "很好！了，注意：小心"),
        ("**粗体：**后文，`**代码：**留`着", "粗体：后文，**代码：**留着"),
    ],
)
def test_bold_that_chinese_punctuation_keeps_open_in_commonmark_is_closed(text: str, plain: str) -> None:
    assert edited(text) == [plain]


@pytest.mark.parametrize(
    "text",
    [
        "5 * 3 * 2",
        "snake_case_name and __init__",
        "# 1 in the charts",
        "- 春眠不觉晓\n- 处处闻啼鸟",
        "——\n第一首\n——",
        "x**y**z, 2**3**4, f(*a, **b), **kwargs",
        "# a comment\nx = 1\n# another\ny = 2",
        "see [1](2) and [note](below)",
        "* * *\nstars\n* * *",
        "the `cheap` one",
        "> 你好\n\n- a\n- b",
        "　　首行缩进。\n　　第二段。",
        "1. 第一\n2. 第二",
        "a | b\nc | d",
        "---\nscene one\n---",
    ],
)
def test_prose_code_and_poems_stay_byte_for_byte(text: str) -> None:
    assert edited(text) == [text]


def test_code_can_be_left_out() -> None:
    assert edited("Run:\n\n```\nls\n```\n\nUse `ls`.", code=False) == ["Run:\n\nUse ls."]


# fmt: off
PIECES = st.sampled_from([
    "# ", "**", "*", "_", "`", "```\n", "~~~", "- ", "1. ", "> ", "[a](b.c)", "![", "](", "|", "---\n", "\n",
    "\n\n", "    ", "<!--", "-->", "<b>", "$", "\\", "中文：", "word", " ", "&amp;", "\r\n", "~~", "\ufdd0", "[^1]",
])
# fmt: on


@settings(max_examples=100, deadline=None)
@given(text=st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_gives_text(text: str) -> None:
    assert isinstance(edited(text)[0], str)


@settings(max_examples=100, deadline=None)
@given(text=st.text("abc 中文。，（）5*_#-\n", max_size=60))
def test_a_text_with_no_sure_sign_is_not_touched(text: str) -> None:
    if "**" not in text and "#" not in text and "`" not in text:
        assert edited(text) == [text], "lists, rulers and lone stars are found in prose as well"


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=10).map("".join), max_size=4))
def test_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    assert edited(*texts) == [edited(text)[0] for text in texts]
