"""The shell of a page: what comes from data is escaped, the page loads and runs nothing, figures are never rounded into a lie."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.page import (
    Html,
    Section,
    alert,
    compact,
    count,
    cut,
    details,
    document,
    join,
    language,
    number,
    sections,
    share,
    table,
    tag,
    text,
    tiles,
)

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;"


def one(html: str, selector: str) -> str:
    """The text of the only element that a selector finds."""
    found = HTMLParser(html).css(selector)
    assert len(found) == 1, f"{selector}: {len(found)} found"
    return str(found[0].text())


@pytest.mark.parametrize(
    "piece",
    [
        tag("p", EVIL, title=EVIL),
        text(EVIL),
        table([EVIL], [[EVIL]], caption=EVIL),
        alert("warn", EVIL, [EVIL]),
        details(join([EVIL]), text(EVIL)),
        tiles([(EVIL, 1, EVIL)]),
        sections([Section("a", EVIL, text(EVIL), EVIL), Section("b", EVIL, text(EVIL))]),
    ],
    ids=["tag", "text", "table", "alert", "details", "tiles", "sections"],
)
def test_data_is_never_markup(piece: Html) -> None:
    tree = HTMLParser(document(EVIL, piece, data={"x": EVIL}))
    assert not tree.css("script, img, [onerror]"), "a piece put data into the page as markup"
    assert EVIL in tree.body.text(), "and it is still there to read"


@settings(deadline=None)
@given(st.text())
def test_any_text_goes_in_and_comes_out(string: str) -> None:
    html = document("t", tag("p", string, title=string))
    html.encode("utf-8")  # a lone surrogate would fail here
    shown = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", string.replace("\r\n", "\n"))
    node = HTMLParser(html).css_first("p")
    assert node is not None
    assert node.text() == shown
    assert (node.attributes["title"] or "") == shown


def test_a_page_asks_for_nothing_and_runs_nothing() -> None:
    html = document("t", text("see https://example.org/a.js"))
    tree = HTMLParser(html)
    assert not tree.css("script, link, img, iframe, object, [src]")
    assert "url(" not in html and "@import" not in html, "the style must not load anything"
    policy = tree.css_first("meta[http-equiv=Content-Security-Policy]")
    assert policy is not None and (policy.attributes["content"] or "").startswith("default-src 'none'")


def test_a_page_knows_the_dark_paper_and_chinese_fonts() -> None:
    html = document("t", text("x"))
    for part in ("prefers-color-scheme:dark", "@media print", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC"):
        assert part in html


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**15), st.integers(min_value=1, max_value=10**15))
def test_a_share_is_never_rounded_into_all_or_nothing(part: int, whole: int) -> None:
    part = min(part, whole)
    shown = share(part, whole)
    assert (shown in ("0%", "0.0%")) == (part == 0)
    assert (shown in ("100%", "100.0%")) == (part == whole)


def test_figures() -> None:
    assert [share(1, 8), share(1, 100_000), share(99_999, 100_000), share(3, 0)] == ["12.5%", "<0.1%", ">99.9%", "–"]
    assert [count(1234567), count(None), count(float("nan"))] == ["1,234,567", "–", "–"]
    assert [number(0.21234), number(12.0), number(123456.7), number(None), number("cy")] == ["0.2123", "12", "123,457", "–", "cy"]
    assert [compact(950), compact(9_999), compact(18_734_112), compact(0.05), compact(7.8e9)] == [
        "950",
        "9,999",
        "18.7M",
        "0.05",
        "7.8G",
    ]


def test_large_tiles_are_short_and_exact_on_hover() -> None:
    html = tiles([("Read", 12_345_678_901, "documents")])
    assert one(html, "dd:not(.remark)") == "12.3G"
    assert 'title="12,345,678,901"' in html


@settings(deadline=None)
@given(st.text(max_size=50), st.integers(min_value=1, max_value=60))
def test_cut_keeps_to_its_limit(string: str, limit: int) -> None:
    assert len(cut(string, limit)) <= limit


def test_chinese_text_is_marked_for_its_glyphs() -> None:
    assert language("港务委员会开会 about the pier") == "zh"
    assert language("The harbour council 港") is None
    assert language("") is None and language("123") is None


def test_a_section_without_a_body_has_no_link() -> None:
    html = sections([Section("a", "A", text("x")), Section("b", "B", Html()), Section("c", "C", text("y"))])
    assert [link.attributes["href"] for link in HTMLParser(html).css("nav a")] == ["#a", "#c"]
    assert not HTMLParser(html).css("#b")


def test_a_short_row_keeps_its_columns() -> None:
    html = table(["a", "b", "c"], [["1"], ["1", "2", "3"]], numeric=[2])
    rows = HTMLParser(html).css("tbody tr")
    assert [len(row.css("td")) for row in rows] == [3, 3]
    assert [cell.text() for cell in HTMLParser(html).css("td.n")] == ["", "3"]
