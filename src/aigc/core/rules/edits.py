"""Edits: text into better text."""

import re
from typing import Any, Literal

import polars as pl
from pydantic import Field
from selectolax.lexbor import LexborHTMLParser

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["FinishSentence", "HtmlToText", "Redact", "RepairUnicode", "Whitespace"]


class RepairUnicode(Edit):
    """Mend mojibake, compose characters (NFC), remove control and zero-width characters. Source: ftfy 6.

    Only text that shows signs of mojibake goes through ftfy (2 MB/s); its fixes of width and of curly quotes stay off, for
    they turn Chinese punctuation into ASCII.
    """

    def text(self) -> pl.Expr:
        plain = TEXT.str.replace_all(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]", "")  # ftfy needs U+0080 to U+009F to mend
        mended = plain.map_batches(_mend_mojibake, return_dtype=pl.String)
        return (
            mended.str.normalize("NFC")
            .str.replace_all(r"\r\n?", "\n")
            .str.replace_all(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x{9F}\x{AD}\x{200B}\x{2060}\x{FEFF}\x{FFFE}\x{FFFF}]", "")
        )


_MOJIBAKE = r"[\x{80}-\x{9F}Â-ïŒœŠšŽžƒˆ˜‚„†‡‰‹›€™][\x{80}-\x{BF}ŒœŠšŽžƒˆ˜‚„†‡‰‹›€™“”‘’–—•… ]"
_FTFY: dict[str, Any] = {
    "unescape_html": False,
    "fix_character_width": False,
    "uncurl_quotes": False,
    "fix_latin_ligatures": False,
    "normalization": None,
    "explain": False,
}


def _mend_mojibake(texts: pl.Series) -> pl.Series:
    rows = texts.str.contains(_MOJIBAKE).arg_true()
    if not len(rows):
        return texts
    import ftfy  # here, for the rules are imported with the project file's schema and this costs 35 ms

    config = ftfy.TextFixerConfig(**_FTFY)
    return texts.scatter(rows, [ftfy.fix_text(text, config) for text in texts.gather(rows)])


class Whitespace(Edit):
    """Fold runs of spaces, trim lines, keep at most one blank line."""

    def text(self) -> pl.Expr:
        return (
            TEXT.str.replace_all(r"\r\n?|[\x{85}\x{2028}]", "\n")
            .str.replace_all(r"\x{2029}", "\n\n")
            .str.replace_all(r"[\t\x0B\x0C\x{1C}-\x{1F}\p{Zs}]+", " ")
            .str.replace_all(r" ?\n ?", "\n")
            .str.replace_all(r"\n{3,}", "\n\n")
            .str.strip_chars()
        )


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


Secret = Literal["email", "phone"]


class Redact(Edit):
    """Replace personal data by typed placeholders: [EMAIL], [PHONE].

    Phone numbers are mainland Chinese mobiles and land lines, numbers with a country code, and North American ones.
    Boundaries look at digits, not at words, so they hold between Han characters.
    """

    shorthand = "kinds"

    kinds: list[Secret] = Field(["email", "phone"], min_length=1)
    """what to replace"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(lambda texts: _redact(texts, self.kinds), return_dtype=pl.String)


_SECRETS: dict[Secret, tuple[str, re.Pattern[str]]] = {
    # a cheap sign that an expression can look for, and the exact pattern
    "email": ("@|＠", re.compile(
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}[@＠](?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}")),
    "phone": (r"[0-9][0-9)） .-]{5,}[0-9]", re.compile(r"""
        (?<![0-9A-Za-z_.+-])(?:
            (?:\(?(?:\+|00)86\)?[\s-]?)?1[3-9][0-9][\s-]?[0-9]{4}[\s-]?[0-9]{4}        # mobile, China
          | (?:\(?(?:\+|00)86\)?[\s-]?)?(?:[(（]0[1-9][0-9]{1,2}[)）]\s?|0[1-9][0-9]{1,2}[ -]?)[1-9][0-9]{6,7}  # land line, China
          | \+[1-9][0-9]{0,2}[\s-]?(?:\(0?[0-9]{1,4}\)[\s-]?)?[0-9]{2,5}(?:[\s-]?[0-9]{2,5}){1,4}(?!\.[0-9])  # with country code
          | (?:1[\s.-])?(?:\([2-9][0-9]{2}\)\s?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[\s.-][0-9]{4}          # North America
        )(?![0-9])""", re.VERBOSE)),
}  # fmt: skip


def _redact(texts: pl.Series, kinds: list[Secret]) -> pl.Series:
    for kind in kinds:
        sign, pattern = _SECRETS[kind]
        rows = texts.str.contains(sign).arg_true()
        if len(rows):
            texts = texts.scatter(rows, [_replace(pattern, f"[{kind.upper()}]", text) for text in texts.gather(rows)])
    return texts


def _replace(pattern: re.Pattern[str], placeholder: str, text: str) -> str:
    """Replace until nothing is left to replace: two numbers may touch."""
    while (after := pattern.sub(placeholder, text)) != text:
        text = after
    return text


class FinishSentence(Edit):
    """Trim a last sentence that was cut off; text without any finished sentence stays as it is."""

    def text(self) -> pl.Expr:
        finished = TEXT.str.extract(r"(?s)^(.*(?:[.!?][\"'”’)\]]*(?:\s|$)|[。！？…][”’」』）\"')]*))")
        return pl.coalesce(finished.str.strip_chars_end(), TEXT)
