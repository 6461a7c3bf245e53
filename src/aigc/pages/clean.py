"""The report of the clean stage into a page: what was read, what each rule changed or dropped and why, what is left."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aigc.pages import examples, measured
from aigc.pages.charts import bars, split_bar
from aigc.pages.flow import Branch, flow
from aigc.pages.page import Html, Section, alert, compact, count, cut, document, join, sections, share, table, tag, text, tiles

__all__ = ["render"]

Steps = Sequence[tuple[str, Mapping[str, Any]]]


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _sum(step: Mapping[str, Any], key: str) -> int:
    return sum(map(_whole, (step.get(key) or {}).values()))


def _named(report: Mapping[str, Any]) -> Steps:
    """Steps with a title each: the rule's name, and which time it is where a rule occurs twice."""
    seen: Counter[str] = Counter()
    named = []
    for step in report.get("steps") or ():
        rule = str(step.get("rule") or "?")
        seen[rule] += 1
        named.append((rule if seen[rule] == 1 else f"{rule} ({seen[rule]})", step))
    return named


def _languages(report: Mapping[str, Any]) -> list[str]:
    """All languages that the report names; en and zh first, so that their colours are the same on every page."""
    names = dict.fromkeys(report.get("languages") or {})
    for step in report.get("steps") or ():
        for key in ("dropped", "edited", "histogram"):
            names |= dict.fromkeys(step.get(key) or {})
    return sorted(map(str, names), key=lambda name: ({"en": 0, "zh": 1}.get(name, 2), name))


def render(report: Mapping[str, Any]) -> str:
    """A self-contained HTML page of a clean report (`report.json`); any of its lists and dicts may be empty or missing.

    With `sample` (a dry run) there is also a curve per bound: the share of documents that a bound at x would drop.
    """
    steps, languages = _named(report), _languages(report)
    dry = report.get("sample") is not None
    parts = [
        Section(
            "flow", "Flow", _flow(report, steps), "From every document read to what is left; the width is the number of documents."
        ),
        Section(
            "rules",
            "Rules",
            _rules(report, steps, languages),
            "In order. Shares are of all documents read, or of those read in that language.",
        ),
        Section(
            "measures",
            "Measures",
            measured.panels(steps, languages),
            "What each measure found before its bounds applied. Area is share within a language; bins are as wide as they are on "
            "the axis; the shaded side of a bound is dropped.",
        ),
        Section(
            "curves",
            "Drop curves",
            measured.panels(steps, languages, curves=True) if dry else Html(),
            "The share of documents that a bound at x would drop, by language; the present bound is marked. "
            "The height is stretched near 0.",
        ),
        Section(
            "drops", "Dropped texts", examples.drops(steps), "The id, the value that was measured, and the bound that it broke."
        ),
        Section("duplicates", "Duplicates", examples.duplicates(steps), "The keeper on the left, what repeats it on the right."),
        Section("edits", "Edits", examples.edits(steps), "Before and after; white space that changed is drawn as · ↵ ⇥."),
        Section("sources", "Sources and licences", _columns(report), "Kept documents by value."),
        Section("failures", "Failures", _failures(report), "Rows that could not be read."),
    ]
    body = join(
        [_header(report, languages), sections(parts), tag("footer", "aigc clean. Every decision is a row of ledger.parquet.")]
    )
    figures = {key: _whole(report.get(key)) for key in ("read", "kept", "dropped", "failed")}
    name = report.get("name")
    return document(f"{name}: clean" if name else "clean", body, data=figures)


def _header(report: Mapping[str, Any], languages: Sequence[str]) -> Html:
    read, kept, dropped, failed = (_whole(report.get(key)) for key in ("read", "kept", "dropped", "failed"))
    before, after = _whole(report.get("characters_read")), _whole(report.get("characters_kept"))
    dry = report.get("sample")
    title = report.get("name") or (f"{count(kept)} of {count(read)} documents kept")
    figures = [
        ("Read", read, "documents"),
        ("Kept", kept, share(kept, read)),
        ("Dropped", dropped, share(dropped, read)),
        ("Failed", failed, share(failed, read) if failed else "none"),
        ("Characters kept", after, f"{share(after, before)} of {compact(before)}"),
    ]
    notes: list[Html] = []
    if dry is not None:
        notes.append(alert("plain", f"Dry run: all figures are of a sample of {count(dry)} rows."))
    if read != kept + dropped + failed:
        gap = read - kept - dropped - failed
        notes.append(
            alert(
                "bad", f"Does not add up: read is {count(abs(gap))} {'more' if gap > 0 else 'less'} than kept, dropped and failed."
            )
        )
    warnings = list(report.get("warnings") or ())
    if warnings:
        notes.append(alert("warn", f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}", warnings))
    top = tag("header", tag("p", "aigc clean" if dry is None else "aigc clean · dry run", class_="kicker"), tag("h1", title))
    fields = list(report.get("fields") or ())
    renamed = _whole(report.get("renamed_ids"))
    remarks = [f"Columns: {', '.join(map(str, fields))}."] if fields else []
    remarks += [f"{count(renamed)} ids were used before; such documents got #2, #3, ... after their id."] if renamed else []
    foot = tag("p", " ".join(remarks), class_="remark", style="margin-top:12px") if remarks else ""
    return join([top, *notes, tiles(figures), _by_language(report, languages), foot])


def _by_language(report: Mapping[str, Any], languages: Sequence[str]) -> Html:
    cells: list[Html] = []
    for name in languages:
        row = (report.get("languages") or {}).get(name) or {}
        read, kept, dropped = (_whole(row.get(key)) for key in ("read", "kept", "dropped"))
        if read:
            bar = split_bar([("kept", kept), ("dropped", dropped)], tones=("keep", "drop"))
            cells += [tag("b", name), bar, tag("span", f"{share(kept, read)} of {count(read)} kept", class_="what")]
    return tag("div", *cells, class_="rows") if cells else Html()


def _flow(report: Mapping[str, Any], steps: Steps) -> Html:
    """The flow; what does not add up gets an arm of its own, or, where more left than came, a message."""
    read, kept, failed = (_whole(report.get(key)) for key in ("read", "kept", "failed"))
    branches = [Branch("failed to read", failed, "bad")] if failed else []
    branches += [
        Branch(title, _sum(step, "dropped")) for title, step in steps if step.get("kind") != "edit" or _sum(step, "dropped")
    ]
    gap = read - kept - sum(branch.amount for branch in branches)
    if gap < 0 or any(branch.amount < 0 for branch in branches):
        return alert("bad", f"No flow: {count(kept)} kept and what the rules dropped are more than the {count(read)} read.")
    if gap:
        branches.append(Branch("not accounted for", gap, "bad"))
    return flow(read, branches)


def _rules(report: Mapping[str, Any], steps: Steps, languages: Sequence[str]) -> Html:
    if not steps:
        return alert("plain", "No rules: every document that could be read was kept.")
    read = {name: _whole(((report.get("languages") or {}).get(name) or {}).get("read")) for name in languages}
    head = ["", "rule", "dropped", *languages, "edited", "seen", "kind", "bounds"]
    rows = []
    for place, (title, step) in enumerate(steps, 1):
        lost = step.get("dropped") or {}
        bounds = ", ".join(map(str, step.get("bounds") or ()))
        preset = tag("small", step["preset"]) if step.get("preset") else ""
        edited, dropped = _sum(step, "edited"), _sum(step, "dropped")
        kind = step.get("kind") or ""
        cells = [_cell(_whole(lost.get(name)), read[name]) if kind != "edit" or dropped else "" for name in languages]
        whole = _cell(dropped, _whole(report.get("read"))) if kind != "edit" or dropped else ""
        rule = join([tag("b", title), preset])
        rows.append(
            [
                str(place),
                rule,
                whole,
                *cells,
                count(edited) if kind == "edit" else "",
                count(step.get("seen")),
                kind,
                cut(bounds, 90),
            ]
        )
    return table(head, rows, numeric=range(2, len(head) - 2))


def _cell(amount: int, whole: int) -> Html:
    if not amount:
        return tag("span", "0", class_="small")
    if not whole:
        return Html(count(amount))
    heat = f"--heat:{math.sqrt(min(amount / whole, 1)):.0%}"
    return tag("span", count(amount), tag("small", share(amount, whole)), class_="heat", style=heat)


def _columns(report: Mapping[str, Any]) -> Html:
    figures = []
    for column, values in (report.get("columns") or {}).items():
        rows = [(_value(value), _whole(amount)) for value, amount in values.items()]
        if rows:
            figures.append(
                tag("figure", tag("figcaption", tag("h3", column)), bars(sorted(rows, key=lambda row: row[0] == "other values")))
            )
    return tag("div", *figures, class_="grid two") if figures else Html()


def _value(value: object) -> str:
    return {"": "no value", "…": "other values"}.get(str(value), str(value))


def _failures(report: Mapping[str, Any]) -> Html:
    failures = list(report.get("failures") or ())
    if not failures:
        return Html()
    rows = [[tag("span", cut(one.get("origin"), 200), class_="id"), text(one.get("reason"), 400)] for one in failures]
    failed = _whole(report.get("failed"))
    remark = f"{len(failures)} of {count(failed)} shown" if failed > len(failures) else ""
    return table(["where", "why"], rows, caption=remark)
