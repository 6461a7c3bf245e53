"""The report of a training run into a page: how far it came, its curves, what it was fed, and what it wrote on the way."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from aigc.pages.charts import Point
from aigc.pages.curves import curves_of, finite, panels
from aigc.pages.ethics import flagged, probed
from aigc.pages.page import (
    Html,
    Section,
    alert,
    compact,
    count,
    cut,
    details,
    document,
    join,
    number,
    sections,
    share,
    table,
    tag,
    text,
    tiles,
)

__all__ = ["render"]

_ROWS = 24  # evaluations in the table
_TIMES = 10  # that a prompt is shown
_AT_ONCE = 4  # samples of a prompt at one time
_PROMPTS = 24
_ROOM = 200_000  # characters of samples in the page
_MEASURES = {
    "validation_loss": "loss",
    "bits_per_byte": "bits per byte",
    "validation_accuracy": "right",
    "sequence_loss": "loss per document",
    "sequence_accuracy": "documents right",
    "reward_margin": "reward margin",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "rmse": "RMSE",
    "spearman": "Spearman",
    "exact_match": "exact match",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "pushed_down": "nats of what is pushed down",
}
_SHARES = ("validation_accuracy", "sequence_accuracy", "exact_match")
_ACCOUNTS = {
    "documents": ("documents", "in the split"),
    "tokens": ("tokens", "of all documents"),
    "label_tokens": ("tokens to learn", "in an epoch"),
    "label_share": ("share to learn", "of the tokens that are read"),
    "padding": ("padding", "share of the places that hold nothing"),
    "cut": ("cut", "documents longer than the context, learned in pieces"),
    "truncated": ("truncated", "documents whose tail is not learned"),
    "dropped": ("dropped", "documents of which nothing is learned"),
    "empty": ("empty", "documents without a completion"),
    "rows": ("rows", "of the context's length"),
    "bins": ("batches", "in an epoch"),
}
Lines = Sequence[Mapping[str, Any]]
Curves = Mapping[str, Sequence[Point]]
Evaluations = Sequence[Mapping[str, float]]


def render(report: Mapping[str, Any], metrics: Lines, samples: Lines = ()) -> str:
    """A self-contained HTML page of a training run; any key may be missing, and what is not finite is left out.

    Args:
        report: `report.json`; beside it `name` (of the project) and `stage` (default: training) for the head of the page.
        metrics: the lines of `metrics.jsonl`.
        samples: {"step", "prompt", "text"} of what the model wrote on the way; `text` is what follows the prompt, and `reference`,
            where there is one, what should.
    """
    curves = curves_of(metrics)
    held = _evaluations(report, curves)
    stage, name = str(report.get("stage") or "training"), report.get("name")
    last = int(max((line[-1][0] for line in curves.values()), default=0))
    parts = [
        Section(
            "curves",
            "Curves",
            panels(curves),
            "By step. Faint: every step; the strong line is their mean. Hover for the values of a stretch.",
        ),
        Section("samples", "Samples", _samples(samples), "What the model wrote on the way, oldest first."),
        Section("validation", "Validation", _validation(held)),
        Section("penalties", "Penalties", flagged(report), "What was flagged in the documents, and how it is learned."),
        Section("probes", "Toxicity and fairness", probed(report), "On a fixed set of prompts and pairs of sentences."),
        Section("data", "Data", _accounting(report), "What became of the documents on their way into batches."),
        Section("tokenizer", "Tokenizer", _tokenizer(report), "On the training split. More bytes in a token: shorter sequences."),
    ]
    foot = tag("footer", f"aigc {stage}. Every step is a line of metrics.jsonl.")
    body = join([_header(report, curves, held, stage), *_notes(report, metrics, curves, last), sections(parts), foot])
    return document(f"{name}: {stage}" if name else stage, body, data={"steps": last})


def _evaluations(report: Mapping[str, Any], curves: Curves) -> list[dict[str, float]]:
    """What was measured on the validation split, in order of steps: `step` and those of _MEASURES that are finite."""
    old = {"loss": "validation_loss", "accuracy": "validation_accuracy"}
    told = curves_of([{old.get(key, key): value for key, value in line.items()} for line in report.get("validation_losses") or ()])
    found: dict[float, dict[str, float]] = {}
    for key in _MEASURES:
        for step, value in curves.get(key) or told.get(key) or ():
            found.setdefault(step, {"step": step})[key] = value
    if all(line.get("sequence_loss") == line.get("validation_loss") for line in found.values()):
        for line in found.values():  # nothing but whole documents is told: the one is the other
            line.pop("sequence_loss", None)
            line.pop("validation_accuracy" if "sequence_accuracy" in line else "", None)
    return [found[step] for step in sorted(found)]


def _header(report: Mapping[str, Any], curves: Curves, held: Evaluations, stage: str) -> Html:
    size = finite(report.get("parameters"))
    facts = [report.get("family"), f"{compact(size)} parameters" if size else None, _told(report.get("objective"))]
    facts += [report.get("precision"), "compiled" if report.get("compiled") else None]
    chips = [tag("span", fact, class_="chip", style="margin-right:6px") for fact in facts if fact]
    top = [tag("p", f"aigc {stage}", class_="kicker"), tag("h1", report.get("name") or f"A {stage} run")]
    line = [tag("p", *chips, style="margin-top:8px")] if chips else []
    return join([tag("header", *top, *line), tiles(_figures(curves, held))])


def _told(value: object) -> str:
    """An objective as text: its name, or its name and parameters."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(one)}" if one is not None else str(key) for key, one in value.items())
    return "" if value is None else str(value)


def _figures(curves: Curves, held: Evaluations) -> list[tuple[str, object, str]]:
    figures: list[tuple[str, object, str]] = []
    names = {"validation_loss": "Validation loss", "bits_per_byte": "Bits per byte", "sequence_accuracy": "Documents right"}
    names |= {"macro_f1": "Macro-F1", "rmse": "RMSE", "rougeL": "ROUGE-L"}
    for key, name in names.items():
        values = [line[key] for line in held if key in line]
        if values:
            shown = (lambda value: share(value, 1)) if key in _SHARES else number
            figures.append((name, shown(values[-1]), f"from {shown(values[0])} at the start" if len(values) > 1 else ""))
    speeds = dict(curves.get("tokens_per_second", ()))
    tokens = dict(curves.get("tokens", ()))
    if tokens:
        figures.append(("Tokens", int(sum(tokens.values())), f"in {count(len(tokens))} steps"))
    if speeds:
        figures.append(("Tokens a second", int(median(speeds.values())), "the median of the steps"))
    seconds = sum(amount / speeds[step] for step, amount in tokens.items() if speeds.get(step, 0) > 0)
    if seconds:
        figures.append(("Time", _duration(seconds), "in steps, without validation"))
    return figures


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def _notes(report: Mapping[str, Any], metrics: Lines, curves: Curves, last: int) -> list[Html]:
    """What must not be missed."""
    found = []
    broken = [line.get("step") for line in metrics if "loss" in line and finite(line["loss"]) is None]
    if broken:
        have = "1 step has" if len(broken) == 1 else f"{count(len(broken))} steps have"
        found.append(alert("bad", f"{have} no finite loss: the first is step {count(broken[0])}."))
    if report.get("stopped_early"):
        found.append(alert("plain", f"Stopped early: {_told(report['stopped_early'])}"))
    elif last < (finite(report.get("steps")) or 0):
        found.append(alert("plain", f"Not finished: step {count(last)} of {count(report['steps'])}."))
    losses = [(loss, step) for step, loss in curves.get("validation_loss", ())]
    if losses and losses[-1][0] > 1.02 * min(losses)[0]:
        lowest, step = min(losses)
        found.append(
            alert(
                "warn",
                f"The validation loss was lowest at step {count(step)}: {number(lowest)}; it rose to {number(losses[-1][0])}.",
            )
        )
    waited = [value for _, value in curves.get("waited", ())]
    if waited and median(waited) > 0.1:
        found.append(alert("warn", f"Half of the steps waited {share(median(waited), 1)} of their time or more for data."))
    warnings = list(report.get("warnings") or ())
    return [*found, *([alert("warn", "Warnings", warnings)] if warnings else [])]


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` items, evenly spread from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _validation(held: Evaluations) -> Html:
    if not held:
        return Html()
    keys = [key for key in _MEASURES if any(key in line for line in held)]
    lowest = min((line for line in held if "validation_loss" in line), key=lambda line: line["validation_loss"], default=None)
    shown = _spread(held, _ROWS)
    if lowest is not None and lowest not in shown:
        shown = sorted([*shown, lowest], key=lambda line: line["step"])
    rows = []
    for line in shown:
        cells: list[object] = [count(line["step"])]
        for key in keys:
            value = line.get(key)
            cell = share(value, 1) if value is not None and key in _SHARES else number(value)
            cells.append(join([cell, tag("small", "lowest")]) if line is lowest and key == "validation_loss" else cell)
        rows.append(cells)
    caption = f"{len(shown)} of {count(len(held))} evaluations" if len(shown) < len(held) else ""
    return table(["step", *(_MEASURES[key] for key in keys)], rows, numeric=range(len(keys) + 1), caption=caption)


def _accounting(report: Mapping[str, Any]) -> Html:
    given = {part: report.get(part) or {} for part in ("training", "validation")}
    keys = dict.fromkeys((*_ACCOUNTS, *given["training"], *given["validation"]))
    rows = []
    for key in keys:
        values = [account.get(key) for account in given.values()]
        if any(value is not None for value in values):
            name, meaning = _ACCOUNTS.get(key, (key.replace("_", " "), ""))
            of_one = key == "padding" or key.endswith("share")
            cells = [count(value) if (part := finite(value)) is None or not of_one else share(part, 1) for value in values]
            rows.append([join([name, tag("small", meaning)]) if meaning else name, *cells])
    return table(["", "training", "validation"], rows, numeric=(1, 2)) if rows else Html()


def _tokenizer(report: Mapping[str, Any]) -> Html:
    given = report.get("tokenizer") or {}
    told = given.get("languages") or given
    languages = {str(name): one for name, one in told.items() if isinstance(one, Mapping)}
    keys = list(dict.fromkeys(str(key) for one in languages.values() for key in one))
    if not keys:
        return Html()
    rows = [[name, *(_cell(key, one.get(key)) for key in keys)] for name, one in languages.items()]
    whole = {key.replace("_", " "): _cell(key, value) for key, value in given.items() if finite(value) is not None}
    caption = ", ".join(f"{key} {value}" for key, value in whole.items())
    return table(["language", *(key.replace("_", " ") for key in keys)], rows, numeric=range(1, len(keys) + 1), caption=caption)


def _cell(key: str, value: object) -> str:
    """A share in per cent, a whole number in full, any other with four digits."""
    part = finite(value)
    if part is not None and key.endswith(("_share", "_used", "unknown")) and 0 <= part <= 1:
        return share(part, 1)
    return count(value) if isinstance(value, int) else number(value)


def _samples(samples: Lines) -> Html:
    """Per prompt what followed it, time after time."""
    prompts: dict[str, dict[float, list[object]]] = {}
    for sample in samples:
        step = finite(sample.get("step"))
        times = prompts.setdefault(str(sample.get("prompt") or ""), {})
        times.setdefault(math.inf if step is None else step, []).append(sample.get("text"))
    shown = {prompt: _spread(sorted(times), _TIMES) for prompt, times in _spread(list(prompts.items()), _PROMPTS)}
    amount = sum(min(len(prompts[prompt][step]), _AT_ONCE) for prompt, steps in shown.items() for step in steps)
    room = min(_ROOM // max(amount, 1), 800)
    wanted = {str(sample.get("prompt") or ""): sample.get("reference") for sample in samples}
    blocks: list[Html] = []
    for prompt, steps in shown.items():
        times = prompts[prompt]
        remark = f"at {len(steps)} of {count(len(times))} times" if len(steps) < len(times) else ""
        name = cut(prompt, 160) if prompt.strip() else "without a prompt"
        written = (_written(step, times[step][:_AT_ONCE], room) for step in steps)
        title = join([name, tag("span", remark, class_="small") if remark else ""])
        given = [tag("p", tag("b", "wanted "), text(wanted[prompt], room))] if wanted[prompt] else []
        blocks.append(details(title, *given, *written, open_=len(blocks) < 4))
    return tag("div", *blocks) if blocks else Html()


def _written(step: float, texts: Sequence[object], room: int) -> Html:
    """What was written at one time."""
    blocks = (tag("div", text(told, room), style="margin-bottom:6px") for told in texts)
    return tag("div", tag("p", tag("b", f"step {count(step)}")), *blocks, class_="example")
