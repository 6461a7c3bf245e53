"""A text, which may be Markdown, into blocks of runs that any format can show."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Block", "Kind", "Run", "blocks_of"]

Kind = Literal["heading", "paragraph", "item", "quote", "code", "rule"]

_LEFT = re.compile(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")  # bold that CommonMark does not see: `**重点：**后文`

_INDENT = "\ufdd0"  # stands in for the wide space, which the parser would take off a paragraph's beginning


@dataclass(frozen=True)
class Run:
    """Characters that look alike; a line break is "\\n"."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    link: str | None = None


@dataclass(frozen=True)
class Block:
    """What stands apart from what is above and below it."""

    kind: Kind
    runs: tuple[Run, ...]
    level: int = 0  # of a heading from 1, of an item from 0
    marker: str = ""  # of an item: a bullet or a number


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text. One that has no marks of Markdown comes out as its paragraphs, with all its line breaks.

    An indented line is no code and a line of hyphens makes no heading: in texts that are written they are neither. HTML is text.
    The cells of a table's row are joined with " | ".
    """
    parser = (
        MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["code", "lheading", "html_block"])
    )
    parser.disable(["html_inline", "entity", "reference"])
    return list(_read(parser.parse(text.replace("\r\n", "\n").replace("\u3000", _INDENT))))


def _read(tokens: Sequence[Token]) -> Iterator[Block]:
    kind: Kind = "paragraph"
    level, depth, quoted, marker = 0, 0, 0, ""
    cells: list[tuple[Run, ...]] | None = None
    for token in tokens:
        name = token.type
        if name == "heading_open":
            kind, level = "heading", int(token.tag[1:])
        elif name == "heading_close":
            kind, level = "paragraph", 0
        elif name in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif name in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        elif name == "list_item_open":
            marker = f"{token.info}{token.markup}" if token.info else "•"
        elif name in ("blockquote_open", "blockquote_close"):
            quoted += 1 if name.endswith("open") else -1
        elif name == "tr_open":
            cells = []
        elif name == "tr_close":
            yield Block("paragraph", tuple(run for number, cell in enumerate(cells or ()) for run in (*_between(number), *cell)))
            cells = None
        elif name == "inline":
            runs = tuple(_runs(token.children or []))
            if cells is not None:
                cells.append(runs)
            elif kind == "heading":
                yield Block(kind, runs, level)
            elif depth:
                yield Block("item", runs, depth - 1, marker)
                marker = ""
            else:
                yield Block("quote" if quoted else "paragraph", runs)
        elif name in ("fence", "code_block"):
            yield Block("code", (Run(token.content.rstrip("\n").replace(_INDENT, "\u3000"), code=True),))
        elif name == "hr":
            yield Block("rule", ())


def _between(number: int) -> tuple[Run, ...]:
    return (Run(" | "),) if number else ()


def _runs(tokens: Sequence[Token]) -> Iterator[Run]:
    return (replace(run, text=run.text.replace(_INDENT, "\u3000")) for run in _looks(tokens))


def _looks(tokens: Sequence[Token]) -> Iterator[Run]:
    look = Run("")
    for token in tokens:
        name = token.type
        if name == "strong_open" or name == "strong_close":
            look = replace(look, bold=name.endswith("open"))
        elif name == "em_open" or name == "em_close":
            look = replace(look, italic=name.endswith("open"))
        elif name == "link_open":
            look = replace(look, link=str(token.attrs.get("href", "")))
        elif name == "link_close":
            look = replace(look, link=None)
        elif name in ("softbreak", "hardbreak"):
            yield replace(look, text="\n")
        elif name == "code_inline":
            yield replace(look, text=token.content, code=True)
        elif name == "image":
            yield replace(look, text=token.content)
        elif token.content:
            for number, piece in enumerate(_LEFT.split(token.content)):
                if piece:
                    yield replace(look, text=piece, bold=look.bold or number % 2 == 1)
