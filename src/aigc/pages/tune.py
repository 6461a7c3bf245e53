"""The report of a search into a page: the best values, how it came to them, and what each key does to the metric."""

from collections.abc import Mapping, Sequence
from typing import Any

from aigc.pages.charts import Look, Point, legend, line_chart
from aigc.pages.curves import finite
from aigc.pages.page import Html, Section, alert, count, cut, document, join, number, sections, share, table, tag, tiles
from aigc.pages.scatter import Dot, scatter

__all__ = ["render"]

_ROWS = 200  # trials in the table
_CURVES = 30  # trials whose course is drawn
Trials = Sequence[Mapping[str, Any]]


def render(report: Mapping[str, Any], trials: Trials) -> str:
    """A self-contained HTML page of a search; any key may be missing, and what is not finite is left out.

    Args:
        report: `report.json`; beside it `name`, of the project.
        trials: the lines of `trials.jsonl`.
    """
    name, stage = report.get("name"), str(report.get("stage") or "")
    parts = [
        Section("best", "Best values", _best(report, trials), "Of the trials that came to their end."),
        Section("history", "History", _history(report, trials), "Each trial in its turn; the line is the best so far."),
        Section("keys", "By key", _keys(report, trials), "What the trials came to with each value; hover for the trial."),
        Section(
            "importance", "Which keys matter", _importance(report), "Their share in being among the better trials (PED-ANOVA)."
        ),
        Section("courses", "Courses", _courses(report, trials), f"{report.get('metric')} by step; strong: the best trial."),
        Section("trials", "Trials", _table(report, trials)),
    ]
    foot = tag("footer", "aigc tune. Every trial is a line of trials.jsonl and a folder in trials/.")
    body = join([_header(report, trials), *_notes(report, trials), sections(parts), foot])
    return document(f"{name}: tune" if name else "tune", body, data={"trials": len(trials), "stage": stage})


def _sign(report: Mapping[str, Any]) -> int:
    return -1 if report.get("direction") == "maximize" else 1


def _complete(trials: Trials) -> list[Mapping[str, Any]]:
    return [trial for trial in trials if trial.get("state") == "complete" and finite(trial.get("metric")) is not None]


def _winner(report: Mapping[str, Any], trials: Trials) -> Mapping[str, Any] | None:
    return min(_complete(trials), key=lambda trial: _sign(report) * float(trial["metric"]), default=None)


def _short(report: Mapping[str, Any], key: str) -> str:
    return key.removeprefix(f"{report.get('stage')}.")


def _header(report: Mapping[str, Any], trials: Trials) -> Html:
    facts = [report.get("stage"), report.get("sampler"), f"pruner: {report['pruner']}" if report.get("pruner") else None]
    chips = [tag("span", fact, class_="chip", style="margin-right:6px") for fact in facts if fact]
    top = [tag("p", "aigc tune", class_="kicker"), tag("h1", report.get("name") or "A search")]
    line = [tag("p", *chips, style="margin-top:8px")] if chips else []
    states = report.get("states") or {}
    spread = ", ".join(f"{count(amount)} {state}" for state, amount in states.items() if amount)
    figures: list[tuple[str, object, str]] = [("Trials", len(trials), spread)]
    best = _winner(report, trials)
    if best is not None:
        usual = next((one for one in _complete(trials) if one.get("values") == report.get("usual")), None)
        remark = f"{number(usual['metric'])} with the file's own values" if usual is not None else f"trial {best['number']}"
        figures.insert(0, (str(report.get("metric")), number(best["metric"]), remark))
    return join([tag("header", *top, *line), tiles(figures)])


def _notes(report: Mapping[str, Any], trials: Trials) -> list[Html]:
    """What must not be missed."""
    failed = [trial for trial in trials if trial.get("state") == "failed"]
    found = []
    if not _complete(trials):
        found.append(alert("bad", "No trial came to its end."))
    if failed:
        reasons = dict.fromkeys(str(trial.get("error")) for trial in failed)
        found.append(
            alert("warn", f"{count(len(failed))} of {count(len(trials))} trials failed.", [cut(one, 300) for one in reasons][:5])
        )
    best = _winner(report, trials)
    for key, given in (report.get("keys") or {}).items():
        ends = given.get("range") or given.get("int") if isinstance(given, Mapping) else None
        value = finite((best or {}).get("values", {}).get(key))
        if ends and value is not None and value in (ends[0], ends[1]):
            found.append(
                alert(
                    "plain",
                    f"The best {_short(report, key)}, {number(value)}, is at the end of its range: a wider one may do better.",
                )
            )
    return found


def _best(report: Mapping[str, Any], trials: Trials) -> Html:
    best = _winner(report, trials)
    if best is None:
        return Html()
    usual = report.get("usual") or {}
    rows = [
        [tag("span", key, class_="id"), _value(value), _value(usual[key]) if key in usual else "–", _tried(report, key)]
        for key, value in (best.get("values") or {}).items()
    ]
    return table(["key", "best", "in the file", "searched"], rows, numeric=(1, 2))


def _value(value: object) -> str:
    return (
        number(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else cut("null" if value is None else value, 80)
    )


def _tried(report: Mapping[str, Any], key: str) -> str:
    given = (report.get("keys") or {}).get(key) or {}
    ends = given.get("range") or given.get("int")
    if ends:
        how = ", log" if given.get("log") else f", in steps of {number(given['step'])}" if given.get("step") else ""
        return f"{number(ends[0])} to {number(ends[1])}{how}"
    return cut(", ".join(_value(one) for one in given.get("choices") or ()), 120)


def _within(report: Mapping[str, Any], values: Sequence[float]) -> tuple[float | None, float | None]:
    """Ends of the metric's axis, so that a few trials which came to nothing do not press all others together."""
    sign = _sign(report)
    ranked = sorted(sign * value for value in values)
    end = ranked[len(ranked) // 2] + 4 * (ranked[len(ranked) // 2] - ranked[0])
    if len(ranked) < 4 or ranked[-1] <= end or end <= ranked[0]:
        return None, None
    return (None, end) if sign > 0 else (-end, None)


def _dots(report: Mapping[str, Any], trials: Trials, place: Mapping[int, float]) -> list[Dot]:
    best = _winner(report, trials)
    found = []
    for trial in trials:
        value = finite(trial.get("metric"))
        if value is not None and trial["number"] in place:
            complete = trial.get("state") == "complete"
            values = ", ".join(f"{_short(report, key)} {_value(one)}" for key, one in (trial.get("values") or {}).items())
            title = f"trial {trial['number']}: {number(value)}, {trial.get('state')}; {values}"
            strong = best is not None and trial["number"] == best["number"]
            found.append(
                Dot(place[trial["number"]], value, title, "c1" if strong else "c0" if complete else "call", strong, not complete)
            )
    return found


def _keyed() -> Html:
    return legend(["complete", "best"])


def _history(report: Mapping[str, Any], trials: Trials) -> Html:
    dots = _dots(report, trials, {trial["number"]: float(trial["number"]) for trial in trials})
    if not dots:
        return Html()
    line: list[Point] = []
    for trial in sorted(_complete(trials), key=lambda one: one["number"]):
        value = float(trial["metric"])
        if not line or _sign(report) * value < _sign(report) * line[-1][1]:
            line.append((float(trial["number"]), value))
    if line:
        line.append((float(trials[-1]["number"]), line[-1][1]))
    chart = scatter(dots, line=line, within=_within(report, [dot.y for dot in dots]), label="metric by trial")
    return join([_keyed(), tag("div", tag("figure", chart), class_="grid two"), _pale(dots)])


def _pale(dots: Sequence[Dot]) -> Html:
    faint = sum(dot.faint for dot in dots)
    return tag("p", f"Pale: {count(faint)} trials that ended early, with their last figure.", class_="remark") if faint else Html()


def _keys(report: Mapping[str, Any], trials: Trials) -> Html:
    figures = []
    for key, given in (report.get("keys") or {}).items():
        choices = given.get("choices") if isinstance(given, Mapping) else None
        place: dict[int, float] = {}
        for trial in trials:
            value = (trial.get("values") or {}).get(key)
            at = choices.index(value) if choices and value in choices else finite(value) if not choices else None
            if at is not None:
                place[trial["number"]] = float(at)
        dots = _dots(report, trials, place)
        log = bool(given.get("log")) and all(dot.x > 0 for dot in dots)
        names = [_value(one) for one in choices] if choices else None
        chart = scatter(
            dots,
            choices=names,
            log=log,
            within=_within(report, [dot.y for dot in dots]) if dots else (None, None),
            label=f"metric by {key}",
        )
        figures.append(tag("figure", tag("figcaption", tag("h3", _short(report, key))), chart))
    return tag("div", *figures, class_="grid") if figures else Html()


def _importance(report: Mapping[str, Any]) -> Html:
    found = report.get("importance") or {}
    top = max(found.values(), default=0.0) or 1.0
    cells = []
    for key, part in found.items():
        track = tag("span", tag("i", style=f"width:{part / top:.2%}"), class_="track")
        cells += [tag("span", _short(report, key), class_="name", title=key), track, tag("b", share(part, 1)), tag("span")]
    return tag("div", *cells, class_="bars") if cells else Html()


def _courses(report: Mapping[str, Any], trials: Trials) -> Html:
    best = _winner(report, trials)
    ranked = sorted(_complete(trials), key=lambda one: _sign(report) * float(one["metric"]))
    drawn = [*ranked, *(one for one in trials if one.get("state") == "pruned")][:_CURVES]
    series, looks = {}, {}
    for trial in reversed(drawn):
        line = [(float(step), value) for step, one in trial.get("evaluations") or () if (value := finite(one)) is not None]
        if len(line) > 1:
            strong = best is not None and trial["number"] == best["number"]
            series[f"trial {trial['number']}"] = line
            looks[f"trial {trial['number']}"] = Look(1, dots=True) if strong else Look(0, faint=True)
    if not series:
        return Html()
    ends = [line[-1][1] for line in series.values()] + [line[0][1] for line in series.values()]
    chart = line_chart(series, looks=looks, within=_within(report, ends), label="metric by step")
    return tag("div", tag("figure", chart), class_="grid two")


def _table(report: Mapping[str, Any], trials: Trials) -> Html:
    keys = list(dict.fromkeys(key for trial in trials for key in trial.get("values") or ()))
    order = {"complete": 0, "pruned": 1}
    ranked = sorted(
        trials,
        key=lambda one: (order.get(str(one.get("state")), 2), _sign(report) * (finite(one.get("metric")) or 0.0), one["number"]),
    )
    rows = []
    for trial in ranked[:_ROWS]:
        state = join([trial.get("state"), tag("small", cut(trial["error"], 80))]) if trial.get("error") else trial.get("state")
        values = trial.get("values") or {}
        cells = [_value(values[key]) if key in values else "–" for key in keys]
        rows.append([count(trial["number"]), state, number(trial.get("metric")), count(trial.get("step")), *cells])
    head = ["trial", "state", report.get("metric"), "step", *(_short(report, key) for key in keys)]
    caption = f"{_ROWS} of {count(len(trials))} trials" if len(trials) > _ROWS else ""
    return table(head, rows, numeric=(0, *range(2, len(head))), caption=caption) if rows else Html()
