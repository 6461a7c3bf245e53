"""What a training run did about harm into tables: what was flagged, and what the model was like before and after."""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.pages.page import Html, count, join, number, share, table, tag

__all__ = ["flagged", "probed"]


def flagged(report: Mapping[str, Any]) -> Html:
    """A line for each penalty of `report.json`: what it is, what becomes of what it flags, and how much that is."""
    told = report.get("penalties") or {}
    rows = [
        [
            join([one.get("rule"), tag("small", ", ".join(map(str, one.get("bounds") or ())))]),
            f"{one.get('by')} ({number(one.get('weight'))})",
            count(one.get("documents")),
            count(one.get("spans")),
            share((one.get("characters") or 0) / max(told.get("characters") or 0, 1), 1),
        ]
        for one in told.get("penalties") or ()
    ]
    caption = f"{count(told.get('touched'))} of {count(told.get('documents'))} documents of training and validation are touched"
    return (
        table(["flagged by", "becomes", "documents", "places", "of the text"], rows, numeric=(2, 3, 4), caption=caption)
        if rows
        else Html()
    )


def probed(report: Mapping[str, Any]) -> Html:
    """Each figure of the probes before training and after it."""
    probes = report.get("probes") or {}
    before, after = (dict(_leaves(probes.get(when) or {})) for when in ("before", "after"))
    rows = [[name, number(before.get(name)), number(after.get(name))] for name in dict.fromkeys((*before, *after))]
    return table(["", "before", "after"], rows, numeric=(1, 2)) if rows else Html()


def _leaves(figures: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, float]]:
    for key, value in figures.items():
        path = f"{name}, {key}" if name else str(key)
        path = path.replace("_", " ")
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path, float(value)
