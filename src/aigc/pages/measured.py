"""Measures of a clean report into panels: the histogram by language with its bounds, and how much a bound elsewhere would drop."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from aigc.pages.axis import unit_of
from aigc.pages.charts import Mark, Point, histogram, legend, line_chart
from aigc.pages.page import Html, count, join, share, tag

__all__ = ["bound_of", "curve", "outside", "panels"]

_BOUND = re.compile(r"\s*(min|max)\s+(-?[\d,]*\.?\d+(?:[eE][-+]?\d+)?)(?:\s*\((.+)\))?\s*")

Bins = tuple[list[float], list[float]]
"""Edges and counts; one edge more than counts."""


def bound_of(label: str) -> tuple[str, float, str] | None:
    """`min 50 (en)` into its side, value and language; the language is empty for all, and what is no such bound gives None."""
    match = _BOUND.fullmatch(label)
    return (match[1], float(match[2].replace(",", "")), match[3] or "") if match else None


def outside(bins: Bins, side: str, value: float, *, whole: bool = False) -> float:
    """About how many of the counted values a bound leaves out: whole bins, and the bin that it cuts by its width.

    Args:
        whole: the values are whole numbers, so that a bin from 0 to 1 holds zeros alone.
    """
    edges, counts = bins
    if whole:
        value = math.ceil(value) if side == "min" else math.floor(value) + 1
    below = 0.0
    for low, high, amount in zip(edges, edges[1:], counts, strict=False):
        part = 1.0 if high <= value else 0.0 if low >= value else (value - low) / (high - low) if math.isfinite(high - low) else 0.0
        below += part * amount
    return below if side == "min" else sum(counts) - below


def curve(bins: Bins, side: str) -> list[Point]:
    """Points (x, share that a bound at x leaves out), one at each edge; nothing where nothing was counted."""
    edges, counts = bins
    whole = sum(counts)
    if not whole:
        return []
    below = [0.0, *accumulate(counts)]
    return [(edge, (amount if side == "min" else whole - amount) / whole) for edge, amount in zip(edges, below, strict=True)]


def _bins(step: Mapping[str, Any], languages: Sequence[str]) -> dict[str, Bins]:
    """Sound histograms in the order of the languages; an unsound or missing one is empty, so that colours keep their place."""
    found: dict[str, Bins] = {}
    given = step.get("histogram") or {}
    for name in [*languages, *(other for other in given if other not in languages)]:
        one = given.get(name) or {}
        edges, counts = list(one.get("edges") or ()), list(one.get("counts") or ())
        numbers = all(isinstance(x, int | float) and not math.isnan(x) for x in (*edges, *counts))
        found[name] = (edges, counts) if numbers and len(edges) == len(counts) + 1 else ([0.0], [])
    return found


def _marks(step: Mapping[str, Any], names: Sequence[str]) -> list[tuple[Mark, str]]:
    """The bounds that can be drawn, each with its language (empty: all)."""
    found = []
    for label in step.get("bounds") or ():
        bound = bound_of(str(label))
        if bound:
            side, value, language = bound
            found.append((Mark(value, str(label), side, names.index(language) if language in names else None), language))
    return found


def _figure(title: str, step: Mapping[str, Any], chart: Html, notes: Sequence[object], remark: str = "") -> Html:
    chips = [tag("span", chip, class_="chip") for chip in (remark or step.get("preset"),) if chip]
    listed = tag("ul", *(tag("li", note) for note in notes), class_="notes") if notes else ""
    return tag("figure", tag("figcaption", tag("h3", title), *chips), chart, listed)


def _histogram_panel(title: str, step: Mapping[str, Any], languages: Sequence[str]) -> Html:
    bins = _bins(step, languages)
    marks = _marks(step, list(bins))
    whole = bool(step.get("whole"))
    dropped = step.get("dropped") or {}
    notes: list[object] = []
    for place, (name, (_, counts)) in enumerate(bins.items()):
        values, lost = int(sum(counts)), int(dropped.get(name) or 0)
        if values or lost:
            parts = [f"{name} {count(values)}"]
            for mark, language in marks:
                if values and language in ("", name):
                    beyond = share(outside(bins[name], mark.side, mark.value, whole=whole), values)
                    sign = "≈" if beyond not in ("0%", "100%") and beyond[0].isdigit() else ""
                    parts.append(f"{sign}{beyond} {'below' if mark.side == 'min' else 'above'}")
            notes.append(join([tag("span", parts[0], class_=f"c{place % 5}"), *parts[1:], f"{count(lost)} dropped"], " · "))
    others = [str(label) for label in step.get("bounds") or () if not bound_of(str(label))]
    chart = histogram(bins, marks=[mark for mark, _ in marks], label=f"histogram of {title}")
    return _figure(title, step, chart, [*notes, *([", ".join(others)] if others else [])])


def _curve_panels(title: str, step: Mapping[str, Any], languages: Sequence[str]) -> list[Html]:
    bins = _bins(step, languages)
    counted = [edges for edges, counts in bins.values() if sum(counts) > 0]
    if not counted:
        return []
    marks = _marks(step, list(bins))
    whole = bool(step.get("whole"))
    sides = [side for side in ("min", "max") if any(mark.side == side for mark, _ in marks)] or ["min"]
    unit = unit_of(counted[0])
    found = []
    for side in sides:
        shown: list[Mark] = []
        for mark, language in marks:
            if mark.side == side:
                hit = [name for name, (_, counts) in bins.items() if language in ("", name) and sum(counts) > 0]
                parts = [share(outside(bins[name], side, mark.value, whole=whole), sum(bins[name][1])) for name in hit]
                shown.append(Mark(mark.value, f"{mark.label}: {' / '.join(parts)}" if parts else mark.label, "", mark.series))
        lines = {name: curve(one, side) for name, one in bins.items()}
        chart = line_chart(lines, marks=shown, unit=unit, percent=True, label=f"share that a {side} of {title} drops")
        found.append(_figure(title, step, chart, [], f"{side} at x drops"))
    return found


def panels(steps: Sequence[tuple[str, Mapping[str, Any]]], languages: Sequence[str], *, curves: bool = False) -> Html:
    """Panels of (title, step) for the steps that are measures with a histogram: histograms, or with `curves` the drop curves.

    A curve gives for each x the share of documents that a bound at x would drop, and marks the present bound.
    """
    found: list[Html] = []
    for title, step in steps:
        if step.get("kind") == "measure" and step.get("histogram"):
            found += _curve_panels(title, step, languages) if curves else [_histogram_panel(title, step, languages)]
    return join([legend(languages), tag("div", *found, class_="grid")]) if found else Html()
