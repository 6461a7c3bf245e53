"""HTML into text."""

import re

import polars as pl
from selectolax.lexbor import LexborHTMLParser

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["HtmlToText"]

_BLOCKS = (
    "address article blockquote body caption center dd div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6 head hr html"
    " legend li main ol p pre section table tbody td tfoot th thead title tr ul"
).split()
_CHROME = "script style noscript template nav header footer aside form button select iframe svg head".split()
_INLINE = "a abbr b cite code del em font i img ins kbd mark q s small span strong sub sup u var".split()
_TAG = r"(?i)</?(?:" + "|".join([*_BLOCKS, *_CHROME, *_INLINE, "br"]) + r")(?:\s[^<>]*)?/?>|<!--|<!doctype"
_BLOCK_TAG = re.compile(r"</?(?:" + "|".join([*_BLOCKS, *_CHROME]) + r")(?:\s[^<>]*)?/?>", re.IGNORECASE)


class HtmlToText(Edit):
    """Take the text out of HTML: scripts, navigation, forms and footers go, paragraphs stay.

    Text without a known HTML tag is left alone, so `a < b` survives. Not the same again when applied twice where the page
    shows tags as text (`&lt;b&gt;`).
    """

    def text(self) -> pl.Expr:
        return TEXT.map_batches(_strip_html, return_dtype=pl.String)


def _strip_html(texts: pl.Series) -> pl.Series:
    rows = texts.str.contains(_TAG).arg_true()
    if not len(rows):
        return texts
    return texts.scatter(rows, [_html_to_text(text) for text in texts.gather(rows)])


def _html_to_text(html: str) -> str:
    if _BLOCK_TAG.search(html):  # in a page, line breaks of the source mean nothing
        html = re.sub(r"\s+", " ", html)
    else:  # plain text with a few inline tags
        html = html.replace("\n", "<br>")
    tree = LexborHTMLParser(html)
    for node in tree.css(",".join(_CHROME)):
        node.decompose()
    for node in tree.css("br"):
        node.replace_with("\n")
    for node in tree.css(",".join(_BLOCKS)):
        if node.tag not in ("html", "body"):
            node.insert_before("\n\n")
            node.insert_after("\n\n")
    body = tree.body
    text = body.text(deep=True, separator="", strip=False) if body else ""
    lines = re.sub(r"[ \t\xa0]*\n[ \t\xa0]*", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
