"""The lines of a training run's metrics into panels of curves by step: losses, learning rate, gradient norm, throughput."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from aigc.pages.charts import Look, Mark, Point, legend, line_chart
from aigc.pages.page import Html, count, join, number, share, tag

__all__ = ["curves_of", "finite", "panels", "smoothed"]

_COLUMNS = 60  # stretches that tell their values on hover
_SMOOTH_FROM = 40  # steps; below that every one can be seen
_DOTS = 60  # more would run into each other
_OUTLIER = 8  # a highest value so many times the 99th percentile is drawn at the chart's upper end
RIGHT = {  # shares of 1 that are measured on the validation split
    "tokens": "validation_accuracy",
    "documents": "sequence_accuracy",
    "macro-F1": "macro_f1",
    "exact match": "exact_match",
    "ROUGE-L": "rougeL",
}


def finite(value: object) -> float | None:
    """The value as a number, None where it is none or not finite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def curves_of(metrics: Sequence[Mapping[str, Any]]) -> dict[str, list[Point]]:
    """Per key (step, value) in order of steps, where the value is finite; of two lines of a step the later one counts."""
    found: dict[str, dict[float, float]] = {}
    for line in metrics:
        step = finite(line.get("step"))
        if step is not None:
            for key, given in line.items():
                value = finite(given)
                if value is not None:
                    found.setdefault(key, {})[step] = value
    return {key: sorted(line.items()) for key, line in found.items()}


def smoothed(line: Sequence[Point], window: int) -> list[Point]:
    """The mean over `window` points around each; near the start over as few on the right as on the left: losses fall fast there."""
    sums = [0.0, *accumulate(y for _, y in line)]
    half = window // 2
    found = []
    for i, (x, _) in enumerate(line):
        low, high = max(i - half, 0), min(i + half, 2 * i, len(line) - 1) + 1
        found.append((x, (sums[high] - sums[low]) / (high - low)))
    return found


def panels(curves: Mapping[str, Sequence[Point]]) -> Html:
    """Figures by step of what `curves_of` found; what was not measured has none."""
    loss, held = curves.get("loss", ()), curves.get("validation_loss", ())
    last = max((x for x, _ in (*loss, *held)), default=0.0)
    figures = [_losses("Loss", loss, held, "nats per token")]
    if len(loss) >= 2 * _SMOOTH_FROM:
        late = [[point for point in line if point[0] >= last / 2] for line in (loss, held)]
        figures.append(_losses("Loss in the second half", late[0], late[1], "nats per token"))
    figures += [
        _losses("Loss of documents", curves.get("training_sequence_loss", ()), curves.get("sequence_loss", ()), "per document"),
        _held("Accuracy", {name: curves.get(key, ()) for name, key in RIGHT.items()}),
        _one("Learning rate", curves.get("learning_rate", ())),
        _one("Gradient norm", curves.get("gradient_norm", ()), "before clipping", smooth=True),
        _one("Throughput", curves.get("tokens_per_second", ()), "tokens per second", smooth=True),
    ]
    waited = curves.get("waited", ())
    if any(value >= 0.01 for _, value in waited):
        figures.append(_one("Waiting for data", waited, "share of the step's time", smooth=True))
    drawn = [figure for figure in figures if figure]
    return join([legend(["training", "validation"]), tag("div", *drawn, class_="grid two")]) if drawn else Html()


def _figure(title: str, remark: str, chart: Html, notes: Sequence[str] = ()) -> Html:
    chip = tag("span", remark, class_="chip") if remark else ""
    listed = tag("ul", *(tag("li", note) for note in notes), class_="notes") if notes else ""
    return tag("figure", tag("figcaption", tag("h3", title), chip), chart, listed)


def _ceiling(*lines: Sequence[Point]) -> tuple[float | None, list[str]]:
    """Where the chart ends for a few values that are far above all others, with a line that says so."""
    every = [point for line in lines for point in line]
    values = sorted(y for _, y in every)
    usual = values[int(0.99 * (len(values) - 1))] if values else 0.0
    if usual <= 0 or values[-1] <= _OUTLIER * usual:
        return None, []
    end = 3 * usual
    above = [point for point in every if point[1] > end]
    step, highest = max(above, key=lambda point: point[1])
    return end, [f"{count(len(above))} above the chart, the highest {number(highest)} at step {count(step)}"]


def _with_mean(name: str, line: Sequence[Point], end: float | None) -> tuple[dict[str, Sequence[Point]], dict[str, Look]]:
    """A line, and its mean over a hundredth of it where it is long; what is above the chart's end counts as that."""
    if len(line) < _SMOOTH_FROM:
        return {name: line}, {name: Look(0)}
    window = max(len(line) // 100, 8) | 1
    mean = f"mean of {window} steps"
    held = line if end is None else [(x, min(y, end)) for x, y in line]
    return {name: line, mean: smoothed(held, window)}, {name: Look(0, faint=True), mean: Look(0)}


def _losses(title: str, loss: Sequence[Point], held: Sequence[Point], remark: str) -> Html:
    if not loss and not held:
        return Html()
    end, notes = _ceiling(loss, held)
    series, looks = _with_mean("training", loss, end)
    series["validation"], looks["validation"] = held, Look(1, dots=len(held) <= _DOTS)
    marks = []
    if held:
        step, lowest = min(held, key=lambda point: point[1])
        if held[0][0] < step < held[-1][0]:
            marks.append(Mark(step, f"lowest {number(lowest)}", "", 1))
    chart = line_chart(series, marks=marks, looks=looks, within=(None, end), columns=_COLUMNS, label=f"{title.lower()} by step")
    return _figure(title, remark, chart, notes)


def _held(title: str, lines: Mapping[str, Sequence[Point]]) -> Html:
    """What is measured on the validation split alone: shares of 1."""
    there = {name: line for name, line in lines.items() if line}
    if not there:
        return Html()
    looks = {name: Look(1 + place, dots=len(line) <= _DOTS) for place, (name, line) in enumerate(there.items())}
    notes = [f"{name}: {share(line[-1][1], 1)} at step {count(line[-1][0])}" for name, line in there.items()]
    chart = line_chart(there, looks=looks, within=(0, 1), columns=_COLUMNS, label=f"{title.lower()} by step")
    return _figure(title, "share of the validation split that is right", join([_keys(there, looks), chart]), notes)


def _keys(lines: Mapping[str, Sequence[Point]], looks: Mapping[str, Look]) -> Html:
    if len(lines) < 2:
        return Html()
    named = (tag("span", "■ ", name, class_=f"small c{looks[name].colour}", style="margin-right:12px") for name in lines)
    return tag("p", *named)


def _one(title: str, line: Sequence[Point], remark: str = "", *, smooth: bool = False) -> Html:
    if not line:
        return Html()
    end, notes = _ceiling(line)
    name = title.lower()
    series, looks = _with_mean(name, line, end) if smooth else ({name: line}, {name: Look(0)})
    low = min(0.0, min(y for _, y in line))
    chart = line_chart(series, looks=looks, within=(low, end), columns=_COLUMNS, label=f"{name} by step")
    return _figure(title, remark, chart, notes)
