"""A confusion matrix into a picture: a row for each right class, a column for each predicted one, deeper where there are more."""

import unicodedata
from collections.abc import Sequence

from aigc.pages.page import Html, compact, count, cut, language, plain, share, tag

__all__ = ["confusion"]

_MOST = 20  # classes that a picture shows; the rarest of more are rolled up
_ROOM = 660.0  # width of the cells together
_NARROW, _WIDE = 33.0, 72.0  # a cell's side
_LABEL = 150.0  # width of a name at most
_GAP = 8.0
_SLANT = 0.7071  # sine and cosine of 45 degrees
_STYLE = """.confusion{display:block;font-size:12px;overflow:visible}
.confusion text{fill:var(--soft)}.confusion .title{font-weight:600}
.confusion .on{fill:var(--ink)}.confusion .over{fill:var(--bg);font-weight:600}
.confusion .cell{fill:var(--soft-bg)}.confusion .right{fill:var(--c0)}.confusion .wrong{fill:var(--drop)}"""
_DEEP = 0.55  # share from which on the number is written in the page's own colour


def _width(label: str) -> float:
    """About how wide 12-pixel text is: a wide character is 12 pixels, any other one 6.7."""
    return sum(12.0 if unicodedata.east_asian_width(sign) in "WF" else 6.7 for sign in label)


def _fitted(name: object, room: float) -> str:
    label = cut(" ".join(plain(name).split()) or "–", 60)
    if _width(label) <= room:
        return label
    return next(part for size in range(len(label), 0, -1) if _width(part := cut(label, size)) <= room or size == 1)


def _rolled(names: Sequence[object], counts: Sequence[Sequence[int]]) -> tuple[list[object], list[list[int]], bool]:
    """At most _MOST classes: of more, those with the most documents, and one row and column for all others."""
    if len(names) <= _MOST:
        return list(names), [list(row) for row in counts], False
    largest = sorted(range(len(names)), key=lambda i: (-sum(counts[i]), i))[: _MOST - 1]
    groups = [[i] for i in sorted(largest)]
    groups.append([i for i in range(len(names)) if i not in largest])
    cells = [[sum(counts[i][j] for i in row for j in column) for column in groups] for row in groups]
    return [*(names[row[0]] for row in groups[:-1]), f"{len(groups[-1])} more"], cells, True


def confusion(names: Sequence[object], counts: Sequence[Sequence[int]]) -> Html:
    """The picture of C classes, inline and readable for 2 to 20; beyond that the rarest are one row and one column.

    A cell says its documents, on hover also their share of the row's; its depth is that share. What is right lies on the diagonal.

    Args:
        names: of the C classes, of any length.
        counts: (C, C) documents, a row for each right class, a column for each predicted one.
    """
    if not names or len(counts) != len(names) or any(len(row) != len(names) for row in counts):
        return Html()
    right, total = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
    label = f"confusion matrix of {len(names)} classes: {count(right)} of {count(total)} documents are right"
    names, cells, rolled = _rolled(names, counts)
    side = min(max(_ROOM / len(names), _NARROW), _WIDE)
    lying = all(_width(_fitted(name, _LABEL)) <= side - 6 for name in names)
    columns = [_fitted(name, side - 6 if lying else _LABEL) for name in names]
    rows = [_fitted(name, _LABEL) for name in names]
    left = 24 + max(map(_width, rows)) + _GAP
    top = 24 + (16.0 if lying else max(map(_width, columns)) * _SLANT + 8)
    grid = side * len(names)
    width = left + grid + (8 if lying else max(8, _width(columns[-1]) * _SLANT - side / 2 + 8))
    height = top + grid + 4
    parts: list[object] = [
        Html(f"<style>{_STYLE}</style>"),
        tag("text", "predicted class", x=left + grid / 2, y=12, text_anchor="middle", class_="title"),
        tag(
            "text", "true class", text_anchor="middle", class_="title", transform=f"translate(12 {top + grid / 2:.1f}) rotate(-90)"
        ),
    ]
    for i, name in enumerate(names):
        title, lang = tag("title", name), language(name)
        y, x = top + side * (i + 0.5), left + side * (i + 0.5)
        at = {"x": x, "y": top - 6, "text_anchor": "middle"}
        if not lying:
            at = {"transform": f"translate({x + 2:.1f} {top - 6:.1f}) rotate(-45)"}
        parts.append(tag("text", title, rows[i], x=left - _GAP, y=y + 4, text_anchor="end", class_="on", lang=lang))
        parts.append(tag("text", title, columns[i], class_="on", lang=lang, **at))
    for i, row in enumerate(cells):
        for j, amount in enumerate(row):
            parts.append(_cell(names, (i, j), amount, sum(row), (left + side * j, top + side * i, side)))
    note = (
        tag(
            "p",
            "The last row and column hold all classes that are rarer; in their corner are also those mixed up among each other.",
            class_="remark",
        )
        if rolled
        else ""
    )
    svg = tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        aria_label=label,
        class_="confusion",
    )
    return tag("div", svg, note, class_="wide")


def _cell(names: Sequence[object], place: tuple[int, int], amount: int, whole: int, box: tuple[float, float, float]) -> Html:
    (i, j), (x, y, side) = place, box
    part = amount / whole if whole else 0.0
    told = f"{plain(names[i])} taken for {plain(names[j])}" if i != j else f"{plain(names[i])} told as such"
    title = tag("title", f"{told}: {count(amount)} of {count(whole)} ({share(amount, whole)})")
    inner = {"x": x + 0.5, "y": y + 0.5, "width": side - 1, "height": side - 1}
    drawn: list[object] = [title, tag("rect", class_="cell", **inner)]
    if amount:
        depth = f"fill-opacity:{0.08 + 0.92 * part:.3f}"
        drawn.append(tag("rect", class_="right" if i == j else "wrong", style=depth, **inner))
        tone = "over" if part >= _DEEP else "on"
        size = "font-size:10px" if _width(compact(amount)) > side - 4 else None
        drawn.append(
            tag("text", compact(amount), x=x + side / 2, y=y + side / 2 + 4, text_anchor="middle", class_=tone, style=size)
        )
    return tag("g", *drawn)
