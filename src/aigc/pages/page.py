"""Data into safe markup, and markup into one self-contained page: escaping, figures, tables, sections, the document."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

__all__ = [
    "Html",
    "Section",
    "alert",
    "compact",
    "count",
    "cut",
    "details",
    "document",
    "join",
    "language",
    "number",
    "plain",
    "sections",
    "share",
    "table",
    "tag",
    "text",
    "tiles",
]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Html(str):
    """Markup that is already escaped; every other string is data, and is escaped where it is put into markup."""

    __slots__ = ()


def plain(value: object) -> str:
    """A value as text that a file in UTF-8 and a browser can hold: control characters and lone surrogates become U+FFFD."""
    return "" if value is None else _UNSEEN.sub("\ufffd", str(value).replace("\r\n", "\n"))


def _escaped(value: object) -> str:
    if isinstance(value, Html):
        return value
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return plain(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")


def tag(name: str, *children: object, **attributes: object) -> Html:
    """One element; children and attribute values are escaped unless they are Html, and an attribute of None is left out.

    `class_` is written class, `stroke_width` stroke-width. Numbers with a fraction are coordinates: one decimal.
    """
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value).replace(chr(34), "&quot;")}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{''.join(pairs)}>{''.join(map(_escaped, children))}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Parts one after the other, each escaped unless it is Html."""
    return Html(_escaped(between).join(map(_escaped, parts)))


def count(value: object) -> str:
    """A whole number with thousands marked; a dash for what is no number."""
    return f"{value:,.0f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def compact(value: float) -> str:
    """A number in at most five signs or so: 950, 12.3k, 4.56M, 7.8G."""
    size = abs(value)
    for unit, letter in _UNITS:
        if size >= unit and size >= 10_000:
            return f"{value / unit:.3g}{letter}" if size / unit < 1000 else f"{value / unit:,.0f}{letter}"
    return f"{value:,.4g}" if size < 1000 else f"{value:,.0f}"


def number(value: object) -> str:
    """A measured value with four digits that count; a dash for what is no number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–" if value is None or isinstance(value, int | float) else plain(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; what is not nothing is never shown as 0, what is not all never as 100."""
    if not whole:
        return "–"
    value = part / whole
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 <= value < 1:
        return ">99.9%"
    return f"{value:.1%}" if 0 < value < 1 else f"{value:.0%}"


def cut(value: object, limit: int) -> str:
    """At most `limit` characters, with a mark where something was left out."""
    string = plain(value)
    return string if len(string) <= limit else string[: max(limit - 1, 0)].rstrip() + "…"


def language(value: object) -> str | None:
    """`zh` for text with Han characters in three letters of ten, so that a browser takes Chinese glyphs; else None."""
    head = plain(value)[:400]
    letters = len(_LETTER.findall(head))
    return "zh" if letters and len(_HAN.findall(head)) >= 0.3 * letters else None


def text(value: object, limit: int = 600) -> Html:
    """A block of a document's text, line breaks kept, cut at `limit` characters."""
    return tag("div", cut(value, limit), class_="text", dir="auto", lang=language(value))


def tiles(figures: Sequence[tuple[str, object, str]]) -> Html:
    """Large figures with a name and a remark, as (name, value, remark); from a million up they are short, the title is exact."""
    cells = []
    for name, value, remark in figures:
        large = isinstance(value, int) and abs(value) >= 1_000_000
        shown = compact(value) if large and isinstance(value, int) else count(value) if isinstance(value, int) else value
        figure = tag("dd", shown, title=count(value) if large else None)
        cells.append(tag("div", tag("dt", name), figure, tag("dd", remark, class_="remark") if remark else ""))
    return tag("dl", *cells, class_="tiles")


def table(head: Sequence[object], rows: Sequence[Sequence[object]], *, numeric: Iterable[int] = (), caption: str = "") -> Html:
    """A table that scrolls sideways by itself where it is wide; `numeric` columns (from 0) stand right."""
    right = set(numeric)

    def line(cell: str, values: Sequence[object]) -> Html:
        padded = [value for value, _ in zip_longest(values, head, fillvalue="")]
        return tag("tr", *(tag(cell, v, class_="n" if i in right else None) for i, v in enumerate(padded)))

    body = tag("tbody", *(line("td", row) for row in rows))
    title = tag("caption", caption) if caption else ""
    return tag(
        "div", tag("table", title, tag("thead", line("th", head)), body, class_="many" if len(head) > 6 else None), class_="wide"
    )


def details(summary: Html, *body: Html, open_: bool = False) -> Html:
    """A part that a click unfolds; paper shows it unfolded."""
    mark = " open" if open_ else ""
    return Html(f"<details{mark}>{tag('summary', summary)}{join(body)}</details>")


def alert(tone: str, title: str, lines: Sequence[object] = ()) -> Html:
    """A message that cannot be missed; `tone` is good, warn, bad or plain."""
    listed = tag("ul", *(tag("li", line) for line in lines)) if lines else ""
    return tag("div", tag("strong", title), listed, class_=f"alert {tone}", role="alert" if tone in ("warn", "bad") else "note")


@dataclass(frozen=True)
class Section:
    """A titled part of a page; one without a body is left out, and so is its link."""

    id: str
    title: str
    body: Html
    remark: str = ""


def sections(parts: Sequence[Section]) -> Html:
    """Sections under each other, with a line of links to them on top."""
    there = [part for part in parts if part.body]
    links = tag("nav", *(tag("a", part.title, href=f"#{part.id}") for part in there)) if len(there) > 1 else Html()
    blocks = [
        tag("section", tag("h2", part.title), tag("p", part.remark, class_="remark") if part.remark else "", part.body, id=part.id)
        for part in there
    ]
    return join([links, *blocks])


def document(title: str, body: Html, *, data: Mapping[str, object] | None = None) -> str:
    """A whole page. It loads nothing and runs nothing: its content policy forbids every script and every request.

    `data` are attributes of the body, for programs that read the page: {"kept": 5} becomes data-kept="5".
    """
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"{tag('title', title)}<style>{style}</style>"
    )
    attributes = {f"data-{key}": value for key, value in (data or {}).items()}
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{tag("body", tag("main", body), **attributes)}</html>\n'
