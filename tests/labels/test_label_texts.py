"""A label is written, read, replaced and taken off again in rows, Markdown, HTML and plain text, and all else stays as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from labelled import label
from selectolax.lexbor import LexborHTMLParser

from aigc.errors import AigcError
from aigc.labels import html, markdown, plain, rows
from aigc.labels.label import Found, Label

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=60)
LABELS = st.builds(
    label,
    st.integers(0, 99),
    place=st.sampled_from(["start", "end"]),
    eu=st.booleans(),
    language=st.sampled_from(["zh", "en"]),
    text=st.sampled_from([{}, {"zh": "'AI'生成: \"内容\" # <b>&amp;</b>"}]),
    reserved_code_1=st.sampled_from(["", '{"a":\'<&>"}', "---", "-->", "#x:'"]),
)
KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | LINES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
)
fast = hypothesis_settings(max_examples=60, deadline=None)


def _same(found: Found | None, wanted: Label) -> None:
    assert found is not None and found.faults == ()
    assert list(found.fields.items()) == list(wanted.fields.items())
    assert (found.notice, found.place, found.disclosure) == (wanted.notice, wanted.place, wanted.disclosure)


def _round_trip(form: Any, text: str, first: Label, second: Label) -> None:
    written = form.write(text, first)
    _same(form.read(written), first)
    assert form.write(written, first) == written, "the same label again changes nothing"
    assert form.write(written, second) == form.write(text, second), "a label is replaced, not added"
    assert form.strip(written) == text


@fast
@given(st.dictionaries(KEYS, VALUES, max_size=4), LABELS, LABELS)
def test_rows(row: dict[str, Any], first: Label, second: Label) -> None:
    _round_trip(rows, row, first, second)  # type: ignore[arg-type]
    again = json.loads(json.dumps(rows.write(row, first)))
    _same(rows.read(again), first)
    assert rows.read(row) is None


@fast
@given(LINES, LABELS, LABELS)
def test_markdown_of_any_text(text: str, first: Label, second: Label) -> None:
    _round_trip(markdown, text, first, second)


@fast
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), LINES, LABELS, LABELS, st.booleans(), st.sampled_from(["", "# c\n"]))
def test_markdown_keeps_its_front_matter(
    values: dict[str, Any], body: str, first: Label, second: Label, wide: bool, comment: str
) -> None:
    front = yaml.safe_dump(values, allow_unicode=wide, default_flow_style=False, sort_keys=False)
    text = f"---\n{comment}{front}{comment}---\n{body}"
    _round_trip(markdown, text, first, second)
    after = yaml.safe_load(markdown.write(text, first).split("\n---", 1)[0])
    assert {**values, "AIGC": first.fields, "ai_disclosure": first.companion} == after


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text", ["# 标题\n\n正文。\n", "---\ntitle: a # b\ntags: [x, y]\n---\n正文\n", "---\nno: {mapping\n---\n", "---\n---\n\nx", ""]
)
def test_markdown_keeps_line_ends_and_byte_order_mark(text: str, newline: str, mark: str) -> None:
    text = mark + text.replace("\n", newline)
    written = markdown.write(text, label())
    newline = newline if "\n" in text else "\n"
    assert written.startswith(f"{mark}---{newline}") and written.count(mark or "\ufeff") == bool(mark)
    assert ("\n" in written.replace("\r\n", "")) == (newline == "\n")
    assert markdown.strip(written) == text


def test_markdown_of_others() -> None:
    both = "AIGC:\n  Label: 'AIGC'\n  ContentProducer: Minimax Agent AI\n# of mine\nAIGC: {Label: '1'}\n"
    theirs = f"---\nauthor: x\n{both}title: t\n---\nText\n"
    found = markdown.read(theirs)
    assert found is not None and any("Label" in fault or "missing" in fault for fault in found.faults)
    assert markdown.strip(theirs) == "---\nauthor: x\n# of mine\ntitle: t\n---\nText\n"
    with pytest.raises(AigcError, match="in braces"):
        markdown.write("---\n{AIGC: {Label: '1'}, a: 1}\n---\n", label())


BODY = st.sampled_from(
    [
        "<p>文 &amp; text</p>",
        "",
        "x<!-- <meta name=AIGC content=1> -->",
        "<script>var a='<meta name=\"AIGC\">'</script>",
        "<P>ü</p>",
    ]
)
PAGES = st.one_of(
    st.builds("<!doctype html>\n<html><head><meta charset=utf-8></head>\n<body class='a>b'>{}</body></html>\n".format, BODY),
    st.builds("<html><head><meta charset='utf-8'><body>{}".format, BODY),
    BODY,
    st.builds("<!DOCTYPE html><title>x</title>{}".format, BODY),
)  # fmt: skip


@fast
@given(PAGES, LABELS, LABELS)
def test_html(page: str, first: Label, second: Label) -> None:
    _round_trip(html, page, first, second)
    assert html.read(page) is None
    tree = LexborHTMLParser(html.write(page, first))  # as browsers see it
    metas = {one.attributes["name"]: one.attributes["content"] for one in tree.css("meta[name]")}
    assert json.loads(str(metas["AIGC"])) == first.fields
    assert metas.get("ai-generated") == ("true" if first.disclosure else None)
    assert [one.text() for one in tree.css("body p.aigc-notice")] == [first.notice]
    before, behind = tree.body.text().split(first.notice)  # type: ignore[union-attr]
    assert not (before if first.place == "start" else behind).strip()


def test_html_of_others() -> None:
    for page in (
        "<meta content='{\"Label\":\"AIGC\"}' NAME='aigc'>x",
        '<head><META property="AIGC" content="{&quot;Label&quot;:&quot;AIGC&quot;}"></head>',
    ):
        found = html.read(page)
        assert found is not None and found.fields == {"Label": "AIGC"} and found.faults
        assert "AIGC" not in html.strip(page).upper()
    twice = html.write("<p>x</p>", label()) + "<meta name=AIGC content='{}'>"
    found = html.read(twice)
    assert found is not None and "2 labels" in found.faults[-1]
    plain_one = html.read("<meta name=ai-generated content=true>")
    assert plain_one is not None and plain_one.disclosure == {"ai_generated": "true"}


@fast
@given(LINES, LABELS, LABELS)
def test_plain_text_with_its_sidecar(text: str, first: Label, second: Label) -> None:
    told, sidecar = plain.write(text, first)
    _same(plain.read(told, sidecar), first)
    assert plain.write(told, first, sidecar) == (told, sidecar)
    assert plain.write(told, second, sidecar) == plain.write(text, second)
    assert plain.strip(told, sidecar) == text
    assert first.notice in told.splitlines()
    changed = plain.read(told + "x", sidecar)
    assert changed is not None and "changed since" in changed.faults[-1]


@pytest.mark.parametrize("read", [markdown.read, html.read, lambda text: plain.read(text, None)])
def test_a_line_that_tells_the_reader_is_found_without_a_label(read: Callable[[str], Found | None]) -> None:
    for text, place in (("（本文由AI生成）\n\n正文很长。", "start"), ("Text.\n\nThis text was generated by AI.\n", "end")):
        found = read(text)
        assert found is not None and not found.fields and found.place == place
    assert read("生成式方法很多。\n\nAI is everywhere.") is None


def test_what_only_reads_like_a_notice_is_not_taken_out() -> None:
    text = "> 生成式人工智能正在改变世界\n\n正文。\n"
    assert markdown.strip(text) == text and plain.strip(text, None) == text and html.strip(text) == text
    assert text in markdown.write(text, label())
    assert plain.read("x", "no json").faults == ("it holds no JSON object",)  # type: ignore[union-attr]
