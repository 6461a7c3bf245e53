"""Numbers into small charts: bars, a split bar, a histogram with bounds, lines."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from aigc.pages.axis import Axis, unit_of
from aigc.pages.page import Html, compact, count, join, number, share, tag

__all__ = ["Look", "Mark", "Point", "bars", "histogram", "legend", "line_chart", "split_bar"]

_LEFT, _RIGHT, _FLOOR = 8.0, 352.0, 150.0  # a chart is drawn on 360 x 172 and scaled to its column
_LANE = 13.0  # height of a line of labels
_MOST_POINTS = 400
_COLOURS = 5
_REACH = 0.35  # how far beyond the values an axis goes for a bound, in its own lengths; further ones stand at the end with an arrow

Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A vertical line with a label; `side` is `min` or `max` for a bound (what lies outside is shaded) or empty.

    `series`: place of the series that it belongs to, which gives its colour; None for all of them.
    """

    value: float
    label: str
    side: str = ""
    series: int | None = None


@dataclass(frozen=True)
class Look:
    """How a line is drawn: in the colour of series `colour`, faint where a smoother one lies on it, with a dot at each point."""

    colour: int
    faint: bool = False
    dots: bool = False


def _colour(place: int | None) -> str:
    return "call" if place is None else f"c{place % _COLOURS}"


def legend(names: Sequence[object]) -> Html:
    """The colours of some series, in order."""
    return tag("p", *(tag("span", tag("i", class_=_colour(i)), name) for i, name in enumerate(names)), class_="legend")


def bars(rows: Sequence[tuple[object, float]], *, whole: float | None = None, most: int = 12) -> Html:
    """Horizontal bars of (name, amount), the longest the full width; each says its share of `whole` (default: of their sum).

    What is over `most` rows is rolled up into the last one.
    """
    rolled = len(rows) > most
    if rolled:
        rest = rows[most - 1 :]
        rows = [*rows[: most - 1], (f"{len(rest)} more", sum(amount for _, amount in rest))]
    total = sum(amount for _, amount in rows) if whole is None else whole
    top = max((amount for _, amount in rows), default=0) or 1
    drawn = (_bar(name, amount, top=top, total=total, rest=rolled and i == most - 1) for i, (name, amount) in enumerate(rows))
    return tag("div", *drawn, class_="bars") if rows else Html()


def _bar(name: object, amount: float, *, top: float, total: float, rest: bool) -> Html:
    track = tag("span", tag("i", style=f"width:{max(amount, 0) / top:.2%}", class_="rest" if rest else None), class_="track")
    return join([tag("span", name, class_="name", title=name), track, tag("b", count(amount)), tag("span", share(amount, total))])


def split_bar(parts: Sequence[tuple[object, float]], *, tones: Sequence[str] = ()) -> Html:
    """One bar that is divided among (name, amount); `tones` are classes of the parts (default: the colours of series)."""
    total = sum(max(amount, 0) for _, amount in parts)
    pieces = [
        tag(
            "i",
            class_=tones[i] if i < len(tones) else _colour(i),
            style=f"width:{max(amount, 0) / total:.3%}",
            title=f"{name}: {count(amount)} ({share(amount, total)})",
        )
        for i, (name, amount) in enumerate(parts)
        if amount > 0
    ]
    return tag("div", *pieces, class_="split")


def _lanes(marks: Sequence[Mark], axis: Axis) -> list[tuple[Mark, int, float, str]]:
    """Marks with the lane, position and anchor of their labels, so that no two labels lie on each other."""
    ends: list[float] = []
    placed = []
    for given in sorted(marks, key=lambda m: m.value):
        arrows = ("← " if given.value < axis.low else "", " →" if given.value > axis.high else "")
        mark = replace(given, label=given.label.join(arrows))
        x, width = axis.at(mark.value), 5.8 * sum(1 if ord(sign) < 0x2E80 else 1.9 for sign in mark.label)
        anchor = "start" if x + width < _RIGHT else "end"
        low = x + 3 if anchor == "start" else x - 3 - width
        lane = next((i for i, end in enumerate(ends) if end < low), len(ends))
        ends[lane : lane + 1] = [low + width + 4]
        placed.append((mark, lane, x + (3 if anchor == "start" else -3), anchor))
    return placed


def _axis_of(values: Sequence[float], marks: Sequence[Mark], unit: float | None, start: float = _LEFT) -> Axis:
    """An axis over the values that reaches out to marks that are not too far away."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    plain = Axis(low, high, start, _RIGHT, unit)
    reach = [mark.value for mark in marks if -_REACH <= plain.part(mark.value) <= 1 + _REACH]
    return Axis(min(low, high, *reach), max(low, high, *reach), start, _RIGHT, unit)


def _frame(axis: Axis, marks: Sequence[Mark], drawing: Sequence[object], *, top: float, label: str) -> Html:
    """Floor line, ticks, marks with labels above `top`, and what was drawn."""
    parts: list[object] = [tag("line", x1=axis.start, x2=_RIGHT, y1=_FLOOR, y2=_FLOOR, class_="floor")]
    for tick in axis.ticks(44):
        x = axis.at(tick)
        anchor = "start" if x < axis.start + 2 else "end" if x > _RIGHT - 8 else "middle"
        parts += [
            tag("line", x1=x, x2=x, y1=_FLOOR, y2=_FLOOR + 4, class_="floor"),
            tag("text", compact(tick), x=x, y=_FLOOR + 16, text_anchor=anchor),
        ]
    parts += drawing
    for mark, lane, x, anchor in _lanes(marks, axis):
        tone, at = _colour(mark.series), axis.at(mark.value)
        beyond = {"min": (axis.start, at - axis.start), "max": (at, _RIGHT - at)}.get(mark.side)
        if beyond and beyond[1] > 0.5:
            parts.append(tag("rect", x=beyond[0], y=top, width=beyond[1], height=_FLOOR - top, class_=f"out {tone}"))
        y = 10 + lane * _LANE
        parts += [
            tag("line", x1=at, x2=at, y1=y - 8, y2=_FLOOR, class_=f"mark {tone}"),
            tag("text", mark.label, x=x, y=y, text_anchor=anchor, class_=f"label {tone}"),
        ]
    return tag("svg", *parts, viewBox="0 0 360 172", role="img", aria_label=label, class_="chart")


def _top(marks: Sequence[Mark], axis: Axis) -> float:
    return 8 + _LANE * (1 + max((lane for _, lane, _, _ in _lanes(marks, axis)), default=-1))


def _finite(edges: Sequence[float]) -> list[float]:
    """Edges without infinities: an open last bin is as wide as its neighbour."""
    known = [edge for edge in edges if math.isfinite(edge)]
    if not known:
        return [0.0] * len(edges)
    reach = max((b - a for a, b in pairwise(known)), default=1.0)
    return [edge if math.isfinite(edge) else known[-1] + reach if edge > 0 else known[0] - reach for edge in edges]


def histogram(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, marks: Sequence[Mark] = (), label: str = "", most: int = 60
) -> Html:
    """Histograms over each other, each as (edges, counts) with one edge more than counts; one series is one colour.

    Drawn so that area is share: every series has area 1 and a bar's height is its share by its width on the chart, so bins need
    not be equally wide and a small series shows as well as a large one. Bins say their counts on hover where there are at most
    `most`. Series without a count are left out; nothing at all gives an empty chart.
    """
    sound = {
        name: (place, _finite(edges), [max(amount, 0) for amount in counts])
        for place, (name, (edges, counts)) in enumerate(series.items())
        if len(edges) == len(counts) + 1 and sum(counts) > 0
    }
    if not sound:
        return tag("p", "no values", class_="empty")
    every = [edge for _, edges, _ in sound.values() for edge in edges]
    axis = _axis_of(every, marks, unit_of(next(iter(sound.values()))[1]))
    top = _top(marks, axis)

    def heights(edges: Sequence[float], counts: Sequence[float]) -> list[float]:
        widths = [max(axis.at(b) - axis.at(a), 1.0) for a, b in pairwise(edges)]
        return [amount / sum(counts) / width for amount, width in zip(counts, widths, strict=True)]

    highest = max(height for _, edges, counts in sound.values() for height in heights(edges, counts))
    drawing: list[object] = []
    for place, edges, counts in sound.values():
        path = f"M{axis.at(edges[0]):.1f} {_FLOOR:g}"
        for i, height in enumerate(heights(edges, counts)):
            y = _FLOOR - max(height / highest * (_FLOOR - top), 1.2 if counts[i] else 0)
            path += f"V{y:.1f}H{max(axis.at(edges[i + 1]), axis.at(edges[i]) + 1):.1f}"
        drawing.append(tag("path", d=f"{path}V{_FLOOR:g}", class_=f"area {_colour(place)}"))
    drawing += _hovers({name: (edges, counts) for name, (_, edges, counts) in sound.items()}, axis, top, most)
    return _frame(axis, marks, drawing, top=top, label=label)


def _hovers(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], axis: Axis, top: float, most: int) -> list[Html]:
    """Unseen rectangles that tell a bin's counts, where all series have the same bins."""
    edges = next(iter(series.values()))[0]
    if len(edges) > most + 1 or any(other != edges for other, _ in series.values()):
        return []
    found = []
    for i, (low, high) in enumerate(pairwise(edges)):
        amounts = [f"{name} {count(counts[i])}" for name, (_, counts) in series.items() if counts[i]]
        if amounts:
            title = tag("title", f"{number(low)} to {number(high)}: {', '.join(amounts)}")
            x = axis.at(low)
            found.append(tag("rect", title, x=x, y=top, width=max(axis.at(high) - x, 1.0), height=_FLOOR - top, class_="hover"))
    return found


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most some hundred points: of each stretch the lowest and the highest, in order."""
    step = -(-len(points) * 2 // _MOST_POINTS)
    if step <= 2:
        return list(points)
    kept = [points[0]]
    for start in range(0, len(points), step):
        stretch = points[start : start + step]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return [*kept, points[-1]]


def line_chart(
    series: Mapping[str, Sequence[Point]],
    *,
    marks: Sequence[Mark] = (),
    unit: float | None = None,
    percent: bool = False,
    label: str = "",
    looks: Mapping[str, Look] | None = None,
    within: tuple[float | None, float | None] = (None, None),
    columns: int = 0,
) -> Html:
    """Lines of (x, y) points in order of x, one series one colour; points that are not finite are left out.

    `unit` bends the x axis (see Axis). `percent` draws y from 0 to 1 on an axis that is stretched below 1%, where bounds are set;
    else y reaches from the lowest to the highest value, or to the ends given as `within`. Long series are thinned to their
    extremes. With `columns` the chart tells the values of so many stretches of x on hover.
    """
    whole = {name: [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])] for name, points in series.items()}
    drawn = {name: ((looks or {}).get(name, Look(place)), _thinned(points)) for place, (name, points) in enumerate(whole.items())}
    every = [point for _, points in drawn.values() for point in points]
    if not every:
        return tag("p", "no values", class_="empty")
    least, most = (0.0, 1.0) if percent else within
    low, high = min(y for _, y in every) if least is None else least, max(y for _, y in every) if most is None else most
    if low >= high:
        low, high = low - 0.5, high + 0.5
    named = [f"{value:.0%}" if percent else compact(value) for value in Axis(low, high, _FLOOR, 12).ticks(24)]
    start = 26 if percent else min(max(26, 6 * max(map(len, named), default=0) + 2), 90)
    axis = _axis_of([x for x, _ in every], marks, unit, start=_LEFT + start)
    top = _top(marks, axis) + 4
    rise = Axis(low, high, _FLOOR, top, 0.01 if percent else None)
    drawing: list[object] = []
    for value in (0.0, 0.01, 0.1, 0.5, 1.0) if percent else rise.ticks(24):
        y = rise.at(value)
        drawing.append(tag("line", x1=axis.start, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        drawing.append(tag("text", f"{value:.0%}" if percent else compact(value), x=axis.start - 5, y=y + 3.5, text_anchor="end"))
    for name, (look, points) in drawn.items():
        path = "L".join(f"{axis.at(x):.1f} {rise.at(y):.1f}" for x, y in points)
        if points:
            last = f"{name}: {share(points[-1][1], 1) if percent else number(points[-1][1])} at {number(points[-1][0])}"
            style = "stroke-width:1;stroke-opacity:.4" if look.faint else None
            drawing.append(tag("path", tag("title", last), d=f"M{path}", class_=f"curve {_colour(look.colour)}", style=style))
            if look.dots:
                dots = "".join(f"M{axis.at(x):.1f} {rise.at(y):.1f}h0" for x, y in points)
                drawing.append(
                    tag("path", d=dots, class_=f"curve {_colour(look.colour)}", style="stroke-width:4.5;stroke-linecap:round")
                )
    return _frame(axis, marks, [*drawing, *_columns(whole, axis, top, columns, percent)], top=top, label=label)


def _columns(series: Mapping[str, Sequence[Point]], axis: Axis, top: float, columns: int, percent: bool) -> list[Html]:
    """Unseen rectangles over the lines, each telling what the series do in it: the value, or the lowest and the highest."""
    found: list[Html] = []
    width = (_RIGHT - axis.start) / max(columns, 1)
    begins = dict.fromkeys(series, 0)
    for i in range(columns):
        xs, told, x = [], [], axis.start + i * width
        for name, points in series.items():
            begin = begins[name]
            end = begins[name] = (
                len(points) if i == columns - 1 else bisect_left(points, x + width, lo=begin, key=lambda point: axis.at(point[0]))
            )
            if begin < end:
                held = [y for _, y in points[begin:end]]
                xs += [points[begin][0], points[end - 1][0]]
                ends = (share(y, 1) if percent else number(y) for y in (min(held), max(held)))
                told.append(f"{name} {' to '.join(dict.fromkeys(ends))}")
        if told:
            title = tag("title", f"{' to '.join(dict.fromkeys(map(number, (min(xs), max(xs)))))}: {', '.join(told)}")
            found.append(tag("rect", title, x=x, y=top, width=width, height=_FLOOR - top, class_="hover"))
    return found
