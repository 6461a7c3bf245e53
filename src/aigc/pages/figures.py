"""Figures with intervals, beside those of a baseline, into the cells of one table for console and page, and into that table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from aigc.pages.page import Html, alert, join, number, table, tag

__all__ = ["FigureRow", "cells", "figure_title", "figures_table", "setbacks", "verdict", "with_interval"]

_TITLES = {
    "loss": "Loss",
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
    "token_accuracy": "Tokens right",
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "balanced_accuracy": "Balanced accuracy",
    "log_loss": "Log loss",
    "rmse": "RMSE",
    "mae": "Mean absolute error",
    "r2": "R²",
    "pearson": "Pearson's r",
    "spearman": "Spearman's ρ",
    "exact_match": "Exact match",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "win_rate": "Win rate",
}
_REMARKS = {
    "loss": "nats per token",
    "log_loss": "nats per document",
    "bleu": "0 to 100",
    "chrf": "0 to 100",
}
_TONES = {"better": "var(--good)", "worse": "var(--bad)"}


class FigureRow(TypedDict, total=False):
    """One figure; but for the name, any key may be missing or None."""

    name: str
    value: float | None
    low: float | None  # the ends of its confidence interval
    high: float | None
    baseline: float | None  # the same metric of the baseline
    difference: float | None  # value - baseline
    difference_low: float | None  # the ends of the difference's interval
    difference_high: float | None
    better: str | None  # which way is better: higher or lower


Figures = Sequence[Mapping[str, Any]]


def figure_title(figure: Mapping[str, Any]) -> str:
    """The metric's name for people."""
    name = str(figure.get("name") or "")
    return _TITLES.get(name) or name.replace("_", " ")


def _known(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _ends(figure: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    low, high = (_known(figure.get(f"{key}{end}")) for end in ("low", "high"))
    return (low, high) if low is not None and high is not None else None


def _decimals(ends: tuple[float, float] | None) -> int | None:
    """So many that the interval's width has two digits that count: what lies behind them is chance."""
    width = ends[1] - ends[0] if ends else 0.0
    return min(max(1 - math.floor(math.log10(width)), 0), 6) if width > 0 else None


def _written(value: float | None, decimals: int | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{sign if value > 0 else ''}{number(value) if decimals is None else f'{value:,.{decimals}f}'}".replace("-", "\u2212")


def _value(figure: Mapping[str, Any]) -> tuple[str, str]:
    ends = _ends(figure, "")
    decimals = _decimals(ends)
    told = f"{_written(ends[0], decimals)} to {_written(ends[1], decimals)}" if ends else "–"
    return _written(_known(figure.get("value")), decimals), told


def with_interval(figure: Mapping[str, Any]) -> str:
    """The value and its interval: 0.834 (0.812 to 0.857)."""
    value, ends = _value(figure)
    return value if ends == "–" else f"{value} ({ends})"


def verdict(figure: Mapping[str, Any]) -> str:
    """`better` or `worse` than the baseline where the difference's interval leaves out 0, else `unclear`; empty without one."""
    ends, way = _ends(figure, "difference_"), figure.get("better")
    if ends is None or way not in ("higher", "lower"):
        return ""
    if ends[0] <= 0 <= ends[1]:
        return "unclear"
    return "better" if (ends[0] > 0) == (way == "higher") else "worse"


def cells(figures: Figures) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table as text: what the console prints and the page shows.

    The columns on the baseline are there if any figure has one; the interval's decimals are those of the value.
    """
    compared = any(_known(figure.get("baseline")) is not None for figure in figures)
    head = ["", "result", "95% interval", *(["baseline", "difference", "95% interval", ""] if compared else [])]
    rows = []
    for figure in figures:
        row = [figure_title(figure), *_value(figure)]
        if compared:
            ends = _ends(figure, "difference_")
            decimals = _decimals(ends)
            both = f"{_written(ends[0], decimals, '+')} to {_written(ends[1], decimals, '+')}" if ends else "–"
            row += [_written(_known(figure.get("baseline")), _decimals(_ends(figure, "")))]
            row += [_written(_known(figure.get("difference")), decimals, "+"), both, verdict(figure)]
        rows.append(row)
    return head, rows


def figures_table(figures: Figures) -> Html:
    """The table, what is clearly better or worse than the baseline in colour; nothing without figures."""
    head, rows = cells(figures)
    drawn: list[list[object]] = []
    for figure, (name, value, *rest) in zip(figures, rows, strict=True):
        remark = _REMARKS.get(str(figure.get("name")), "")
        line: list[object] = [join([name, tag("small", remark) if remark else ""]), tag("b", value), *rest]
        if len(rest) > 1:
            line[-1] = tag("span", rest[-1], style=f"color:{_TONES.get(rest[-1], 'var(--soft)')}")
        drawn.append(line)
    return table(head, drawn, numeric=range(1, 6)) if rows else Html()


def setbacks(figures: Figures) -> Html:
    """A message if the result is clearly worse than the baseline in something; else nothing."""
    worse = [figure for figure in figures if verdict(figure) == "worse"]
    lines = [f"{row[0]}: {row[1]}, the baseline has {row[3]}" for row in cells(worse)[1]]
    return alert("bad", "Worse than the baseline", lines) if worse else Html()
