"""Markdown into plain text."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from aigc.core.rules.rule import TEXT, Edit

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["MAYBE_MARKDOWN", "MarkdownToText", "is_markdown"]


class MarkdownToText(Edit):
    """Take the marks of Markdown out of a text: headings, emphasis, links, fences, quotes, front matter, comments.

    What a link, an image (its alternative text), a quote or a fence holds stays; URLs go. Bullets and numbers of lists stay, as
    "- " and "1. "; a table's row is a line, its cells joined with " | "; rulers go. Only a text that is surely Markdown is
    touched: it has a fence, a link, a table, bold text or front matter, or marks of two kinds (headings, code, comments,
    and lists, quotes or rulers beside them). Everything else stays byte for byte. Not the same again when applied twice where
    a page shows Markdown inside its code. Source: CommonMark 0.31 with GitHub's tables and strikethrough.
    """

    code: bool = True
    """whether the content of fenced and indented code stays"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(self._plain, return_dtype=pl.String)

    def _plain(self, texts: pl.Series) -> pl.Series:
        rows = [row for row in texts.str.contains(MAYBE_MARKDOWN).arg_true() if is_markdown(texts[row])]
        if not rows:
            return texts
        return texts.scatter(rows, [_to_text(texts[row], code=self.code) for row in rows])


MAYBE_MARKDOWN = r"[*_`]|\]\(|(?m)^[ \t]{0,3}(?:#{1,6} |~~~|>|\|?[ \t:|-]*-\|?[ \t]*$)|<!--"

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?:(?:[\w-]+[ \t]*:|[ \t]+\S|- |#).*\n|[ \t]*\n)+?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = r"!?\[[^\]\n]*\]\((?:<[^>\n]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:[ \t]+[\"'(][^\n]*?[\"')])?\)"
_BOLD = r"(?<![*\\])\*{2,3}(?=[^\s*])[^*\n]*[^\W\d_][^*\n]*(?<=\S)\*{2,3}(?!\*)"
_SURE = (
    re.compile(r"^[ ]{0,3}(```|~~~)[^`\n]*\n(?:.*\n)*?[ ]{0,3}\1[`~]*[ \t]*$", re.MULTILINE),
    re.compile(_LINK.replace("(?:<[^>", r"(?=[^)\s]*[./#:])(?:<[^>", 1)),
    re.compile(rf"(?<![\w)]){_BOLD}|{_BOLD}(?![A-Za-z0-9_(])"),
    re.compile(r"^.*\|.*\n[ ]{0,3}\|?[ ]*:?-+:?[ ]*(?:\|[ ]*:?-+:?[ ]*)+\|?[ ]*$", re.MULTILINE),
    _FRONT_MATTER,
)
_SIGNS = (
    re.compile(r"^#{1,6} +\S", re.MULTILINE),
    re.compile(r"(?<!`)`[^`\n]+`(?!`)"),
    _COMMENT,
)
_WEAK_SIGNS = (
    re.compile(r"^[ ]{0,3}(?:[-*+]|\d{1,3}[.)]) +\S.*(?:\n\s*|\n.+\n)(?:[-*+]|\d{1,3}[.)]) +\S", re.MULTILINE),
    re.compile(r"^> ?\S", re.MULTILINE),
    re.compile(r"^(?:-{3,}|\*{3,}|_{3,})[ \t]*$", re.MULTILINE),
)
_HEADINGS = re.compile(r"(?:\A|\n\n)#{1,6} +\S.*(?=\n\n|\Z)")

_CJK = r"\u2018-\u201D\u2014\u2026\u3000-\u30FF\u3400-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF"
_PROTECTED = re.compile(
    r"(?P<code>^[ ]{0,3}(?P<fence>```+|~~~+)[\s\S]*?(?:^[ ]{0,3}(?P=fence)|\Z)|(?P<ticks>`+)(?!`)[^\n]*?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<math>\$\$[^$]+\$\$|(?<![\\$\w])\$(?=\S)[^$\n]+(?<=\S)\$(?![\w$])|\\\(.+?\\\)|\\\[[\s\S]+?\\\])"
    r"|(?P<product>(?<=[0-9A-Za-z)])\*(?=[0-9A-Za-z(]))"
    r"|(?<![*\\])(?P<stars>\*{1,3})(?=[^\s*])(?P<strong>[^*\n]*[^\s*\\])(?P=stars)(?!\*)",
    re.MULTILINE,
)
_STAND_INS = str.maketrans(
    {"*": "\ufdd0", "\\": "\ufdd1", "_": "\ufdd2", "`": "\ufdd3", "<": "\ufdd4", "[": "\ufdd5", "~": "\ufdd6"}
)
_ORIGINALS = {ord(new): chr(old) for old, new in _STAND_INS.items()}


def is_markdown(text: str) -> bool:
    """Whether a text has marks that plain text hardly ever has, or several kinds of those that it may have."""
    if any(sign.search(text) for sign in _SURE):
        return True
    kinds = sum(1 for sign in _SIGNS if sign.search(text))
    if kinds == 0:
        return False
    return kinds >= 2 or any(sign.search(text) for sign in _WEAK_SIGNS) or len(_HEADINGS.findall(text)) >= 2


def _to_text(text: str, *, code: bool) -> str:
    from markdown_it import MarkdownIt  # here, for the rules are imported with the project file's schema

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    source = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"), count=1)
    blocks = _Blocks(code=code)
    for token in parser.parse(_PROTECTED.sub(_protected, source)):
        blocks.read(token)
    return "".join(blocks.written).strip("\n").translate(_ORIGINALS)


def _protected(found: re.Match[str]) -> str:
    """What the parser would misread, made safe: formulas, products, and emphasis that Chinese punctuation keeps from closing."""
    if found["math"] or found["product"]:
        return found[0].translate(_STAND_INS)
    if found["stars"]:
        before, after = found.string[: found.start()][-1:], found.string[found.end() : found.end() + 1]
        if re.search(rf"[{_CJK}]", before + found["strong"][0] + found["strong"][-1] + after):
            return found["strong"]  # `**粗体：**后文` does not close in CommonMark
    return found[0]


class _Blocks:
    """Tokens of blocks, one by one, into text: an empty line between blocks, a line break between items and rows."""

    def __init__(self, *, code: bool) -> None:
        self.written: list[str] = []
        self._code = code
        self._depth = 0
        self._marker = ""
        self._row: list[str] | None = None
        self._is_tight = self._was_item = self._was_row = False

    def read(self, token: "Token") -> None:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            self._depth += 1
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._depth -= 1
        elif kind == "list_item_open":
            self._marker = f"{token.info}{token.markup} " if token.info else "- "
        elif kind == "paragraph_open":
            self._is_tight = token.hidden
        elif kind == "tr_open":
            self._row = []
        elif kind == "tr_close":
            self._write(" | ".join(self._row or []), is_row=True)
            self._row = None
        elif kind == "table_close":
            self._was_row = False
        elif kind == "inline":
            text = _inline(token.children or [])
            if self._row is not None:
                self._row.append(text)
            else:
                self._write(text)
        elif kind in ("fence", "code_block") and self._code:
            self._write(token.content.rstrip("\n"))
        elif kind == "html_block":
            self._write(_COMMENT.sub("", token.content).strip("\n"))

    def _write(self, text: str, *, is_row: bool = False) -> None:
        if not text and not self._marker:
            return
        indent = "  " * self._depth
        lines = text.replace("\n", "\n" + indent) if indent else text
        first = indent[2:] + self._marker if self._marker else indent
        is_next = (is_row and self._was_row) or (self._depth and self._was_item and self._is_tight)
        if self.written:
            self.written.append("\n" if is_next else "\n\n")
        self.written.append(first + lines)
        self._marker, self._was_row, self._was_item = "", is_row, self._depth > 0


def _inline(tokens: Sequence["Token"]) -> str:
    pieces = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        elif token.type == "image":
            pieces.append(_inline(token.children or []))
        elif token.type == "html_inline" and re.fullmatch(r"(?i)<br\s*/?>", token.content):
            pieces.append("\n")
        elif token.type != "html_inline" or not _COMMENT.fullmatch(token.content):
            pieces.append(token.content)  # empty for what opens and closes
    return "".join(pieces)
