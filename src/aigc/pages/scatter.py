"""Points into a small chart of dots, over an axis of numbers or of choices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aigc.pages.axis import Axis
from aigc.pages.charts import Point
from aigc.pages.page import Html, compact, cut, tag

__all__ = ["Dot", "scatter"]

_LEFT, _RIGHT, _TOP, _FLOOR = 48.0, 352.0, 10.0, 150.0
_MARGIN = 9.0  # between the frame and the first dot
_FEW = 8  # choices whose names have room below the axis


@dataclass(frozen=True)
class Dot:
    """A value, what it is told by on hover, and how it looks."""

    x: float
    y: float
    title: str
    tone: str = "c0"  # class of its colour
    strong: bool = False
    faint: bool = False


def scatter(
    dots: Sequence[Dot],
    *,
    choices: Sequence[str] | None = None,
    log: bool = False,
    line: Sequence[Point] = (),
    within: tuple[float | None, float | None] = (None, None),
    label: str = "",
) -> Html:
    """Dots, and steps through the points of a line under them; what is not finite is left out.

    Args:
        choices: names of 0, 1, 2, ... on the x axis.
        log: the x axis is logarithmic; its values are above 0.
        within: ends of the y axis; dots beyond them lie on its end.
    """
    shown = [dot for dot in dots if math.isfinite(dot.x) and math.isfinite(dot.y)]
    if not shown:
        return tag("p", "no values", class_="empty")
    bend = math.log10 if log else float
    rise = _axis([dot.y for dot in shown], _FLOOR - _MARGIN, _TOP, within)
    held = (-0.5, len(choices) - 0.5) if choices is not None else (None, None)
    run = _axis([bend(dot.x) for dot in shown], _LEFT + _MARGIN, _RIGHT - _MARGIN, held)
    parts: list[Html] = [tag("line", x1=_LEFT, x2=_RIGHT, y1=_FLOOR, y2=_FLOOR, class_="floor")]
    for value in rise.ticks(24):
        y = rise.at(value)
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", compact(value), x=_LEFT - 5, y=y + 3.5, text_anchor="end"))
    for place, name in _ticks(run, choices, log):
        parts.append(tag("line", x1=place, x2=place, y1=_FLOOR, y2=_FLOOR + 4, class_="floor"))
        parts.append(tag("text", name, x=place, y=_FLOOR + 16, text_anchor="middle"))
    if line:
        path = "".join(f"{'M' if i == 0 else 'H'}{run.at(bend(x)):.1f}" + (f" {rise.at(y):.1f}" if i == 0 else f"V{rise.at(y):.1f}")
                       for i, (x, y) in enumerate(line))  # fmt: skip
        parts.append(tag("path", d=path, class_="curve c1", style="stroke-width:1.4"))
    for dot in sorted(shown, key=lambda one: (one.strong, not one.faint)):
        parts.append(_drawn(dot, run.at(bend(dot.x)), rise.at(dot.y)))
    return tag("svg", *parts, viewBox="0 0 360 172", role="img", aria_label=label, class_="chart")


def _drawn(dot: Dot, x: float, y: float) -> Html:
    style = f"stroke-width:{10 if dot.strong else 6};stroke-linecap:round{';stroke-opacity:.35' if dot.faint else ''}"
    return tag("path", tag("title", dot.title), d=f"M{x:.1f} {y:.1f}h0", class_=f"curve {dot.tone}", style=style)


def _axis(values: Sequence[float], start: float, end: float, within: tuple[float | None, float | None]) -> Axis:
    low, high = (given if given is not None else limit for given, limit in zip(within, (min(values), max(values)), strict=True))
    if low >= high:
        low, high = low - 0.5, high + 0.5
    return Axis(low, high, start, end)


def _ticks(run: Axis, choices: Sequence[str] | None, log: bool) -> list[tuple[float, str]]:
    """Positions and names on the x axis."""
    if choices is not None:
        every = -(-len(choices) // _FEW)
        room = int((run.end - run.start) / max(-(-len(choices) // every), 1) / 6)
        return [(run.at(i), cut(name, max(room, 2))) for i, name in enumerate(choices) if i % every == 0]
    if not log:
        return [(run.at(value), compact(value)) for value in run.ticks(44)]
    powers = range(math.floor(run.low), math.ceil(run.high) + 1)
    wide = run.high - run.low > 2
    values = [math.log10(digit) + power for power in powers for digit in ((1,) if wide else (1, 2, 5))]
    inside = [value for value in values if run.low - 1e-9 <= value <= run.high + 1e-9]
    every = -(-len(inside) // _FEW) or 1
    return [(run.at(value), f"{10**value:.3g}") for value in inside[::every]]
