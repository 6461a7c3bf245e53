"""Markdown into tidy Markdown."""

import re
from functools import cache
from typing import Any

import polars as pl

from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import HAN, Kind, places
from aigc.core.rules.edits.markdown import MAYBE_MARKDOWN, is_markdown
from aigc.core.rules.rule import Edit
from aigc.errors import AigcError

__all__ = ["FormatMarkdown"]

_KEPT: tuple[Kind, ...] = ("code", "formula", "address")


class FormatMarkdown(Edit):
    """Format Markdown: one bullet, lists numbered 1 2 3, tables aligned, `**粗体：**后文` made bold. Source: mdformat 1.0 with gfm.

    Only a text that is surely Markdown is touched (see markdown_to_text). Front matter, code, formulas and addresses stay
    byte for byte, and so does the text if mdformat would escape a mark of it, change a word, or change such a place. Needs the
    extra `markdown`.
    """

    def text(self) -> pl.Expr:
        """See Edit.

        Raises:
            AigcError: mdformat or its plugin is not installed.
        """
        _mdformat()  # here, so that it is told before the first batch
        return each(_formatted, where=MAYBE_MARKDOWN)


_FRONT = re.compile(r"\A---[ \t]*\n(?:(?!---[ \t]*$)[^\n]*\n)*---[ \t]*(?:\n+|\Z)", re.MULTILINE)
_BOLD = re.compile(r"(?<![\\*])(?P<stars>\*{1,3})(?P<inside>[^\s*](?:[^*\n]*[^\s*\\])?)(?P=stars)(?!\*)")
_PAIRS = {"“": "”", "「": "」", "『": "』", "（": "）", "《": "》", "【": "】", '"': '"', "(": ")"}
_ESCAPED = re.compile(r"\\[*_`~\[\]]")
_WORDS = re.compile(r"[^\W_]+")
_LIST_NUMBER = re.compile(r"^([ \t>]*)\d+([.)]) ", re.MULTILINE)
_SET_IN = re.compile(r"^\u3000+", re.MULTILINE)
_RULER = "_" * 70


@cache
def _mdformat() -> Any:
    try:
        import mdformat
        import mdformat_gfm  # type: ignore[import-untyped]  # noqa: F401  # it is found by its name, if it is there
    except ImportError as error:
        raise AigcError("format_markdown needs mdformat: pip install 'aigc[markdown]'") from error
    return mdformat


def _formatted(text: str) -> str:
    if not is_markdown(text):
        return text
    front = found[0] if (found := _FRONT.match(text)) else ""
    body = text[len(front) :].rstrip()
    if not body or _SET_IN.search(body):  # 　　 before a paragraph is no white space to a reader of Chinese
        return text
    mended = _bold_mended(body)
    new = _mdformat().text(mended, options={"number": True, "wrap": "keep"}, extensions={"gfm"})
    new = re.sub(r"^([ \t>]*)0+(\d+[.)] )", r"\1\2", new.rstrip("\n"), flags=re.MULTILINE).replace(_RULER, "---")
    return front + new + text[len(text.rstrip()) :] if _is_faithful(mended, new) else text


def _bold_mended(text: str) -> str:
    """Marks that CommonMark keeps open into some that work: `**粗体：**后文` to `**粗体**：后文`, `**“好”**了` to `“**好**”了`.

    Beside a letter, emphasis may neither end behind punctuation nor begin before it (CommonMark 0.31, 6.2).
    """
    kept = places(text, _KEPT)

    def mend(found: re.Match[str]) -> str:
        if kept.at(*found.span()) is not None:
            return found[0]
        before, inside, after = text[: found.start()][-1:], found["inside"], text[found.end() : found.end() + 1]
        stars = found["stars"]
        opens = _is_mark(inside[0]) and bool(before) and before.isalnum()
        closes = _is_mark(inside[-1]) and bool(after) and after.isalnum()
        if not (opens or closes) or not re.search(f"[{HAN}]", inside + before + after):
            return found[0]
        if _PAIRS.get(inside[0]) == inside[-1] and len(inside) > 2:
            return f"{inside[0]}{stars}{inside[1:-1]}{stars}{inside[-1]}"
        bare = inside.rstrip("：，。！？；、:,.!?;")
        if closes and not opens and bare and not _is_mark(bare[-1]):
            return f"{stars}{bare}{stars}{inside[len(bare) :]}"
        return found[0]

    return _BOLD.sub(mend, text)


def _is_mark(char: str) -> bool:
    return not char.isalnum() and not char.isspace()


def _is_faithful(before: str, after: str) -> bool:
    """Whether only the form changed."""
    if len(_ESCAPED.findall(after)) > len(_ESCAPED.findall(before)):
        return False
    if _WORDS.findall(_LIST_NUMBER.sub(r"\1", before)) != _WORDS.findall(_LIST_NUMBER.sub(r"\1", after)):
        return False
    return _literal(before) == _literal(after)


def _literal(text: str) -> list[str]:
    return [text[place.begin : place.end].strip() for place in places(text, _KEPT).all]
