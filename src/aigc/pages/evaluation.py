"""The report of an evaluation into a page: figures with intervals beside the baseline's, which classes are mixed up, samples."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from aigc.pages.confusion import confusion
from aigc.pages.figures import FigureRow, cells, figures_table, setbacks
from aigc.pages.page import Html, Section, alert, count, details, document, join, sections, share, table, tag, text, tiles

__all__ = ["ClassesRow", "Evaluation", "SampleRow", "class_table", "compared_samples", "render"]

_TILES = 4
_CLASSES = 100  # in the table
_FEW = 30  # documents below which the intervals are too narrow
_SAMPLES = 24
_OPEN = 3  # samples that are unfolded from the start
_ROOM = 120_000  # characters of samples in the page
_SIDES = ((("prompt", "prompt"), ("reference", "reference")), (("before", "baseline"), ("after", "result")))


class ClassesRow(TypedDict, total=False):
    """What core/evaluation/classes.py tells of C classes, with their names."""

    names: list[str]  # (C,), as the next four
    precision: list[float]
    recall: list[float]
    f1: list[float]
    support: list[int]
    confusion: list[list[int]]  # (C, C): row the right class, column the predicted one


class SampleRow(TypedDict, total=False):
    """A test document: what was asked, what should have come, what came from the baseline and from the result."""

    id: str
    prompt: str
    reference: str
    before: str
    after: str


class Evaluation(TypedDict, total=False):
    """The report of an evaluation; any key may be missing."""

    name: str  # of the project
    task: str
    split: str  # default: test
    documents: int
    model: str  # what was evaluated
    baseline: str  # and what stands beside it
    figures: list[FigureRow]  # the first ones are the most important
    resamples: int  # draws that the intervals are made of
    classes: ClassesRow
    baseline_classes: ClassesRow
    samples: list[SampleRow]
    warnings: list[str]


def render(report: Mapping[str, Any]) -> str:
    """A self-contained HTML page of an Evaluation; any key may be missing, and what is not finite is left out."""
    name, split = report.get("name"), str(report.get("split") or "test")
    documents = int(report.get("documents") or 0)
    figures: Sequence[Mapping[str, Any]] = report.get("figures") or ()
    facts = [report.get("task"), f"{count(documents)} documents of the {split} split" if documents else f"{split} split"]
    facts += [report.get("model"), f"baseline: {report['baseline']}" if report.get("baseline") else None]
    chips = [tag("span", fact, class_="chip", style="margin-right:6px") for fact in facts if fact]
    top = tag(
        "header",
        tag("p", "aigc evaluate", class_="kicker"),
        tag("h1", name or "An evaluation"),
        tag("p", *chips, style="margin-top:8px"),
    )
    parts = [
        Section("figures", "Figures", figures_table(figures), _how(report, figures, split)),
        Section("classes", "Classes", _classes(report)),
        Section("samples", "Samples", compared_samples(report.get("samples") or ()), "The baseline's text beside the result's."),
    ]
    foot = tag("footer", "aigc evaluate. Every number is in report.json.")
    body = join([top, _tiles(figures), *_notes(report, figures, documents), sections(parts), foot])
    return document(f"{name}: evaluation" if name else "evaluation", body, data={"documents": documents})


def _how(report: Mapping[str, Any], figures: Sequence[Mapping[str, Any]], split: str) -> str:
    resamples = report.get("resamples")
    drawn = f"{count(resamples)} times" if resamples else "many times"
    told = f"On the {split} split. 95% intervals: percentiles of the figure on as many documents, drawn {drawn} with replacement."
    if any(figure.get("difference") is not None for figure in figures):
        told += " The difference is that on the same draws; it is clear where its interval leaves out 0."
    return told


def _tiles(figures: Sequence[Mapping[str, Any]]) -> Html:
    shown: list[tuple[str, object, str]] = []
    for name, value, ends, *compared in cells(figures[:_TILES])[1]:
        shown.append((name, value, f"baseline {compared[0]}" if compared else "" if ends == "–" else ends))
    return tiles(shown) if shown else Html()


def _notes(report: Mapping[str, Any], figures: Sequence[Mapping[str, Any]], documents: int) -> list[Html]:
    """What must not be missed."""
    found = [setbacks(figures)]
    if 0 < documents < _FEW:
        have = "1 document" if documents == 1 else f"{count(documents)} documents"
        found.append(alert("warn", f"Only {have}: intervals from so few are too narrow."))
    warnings = list(report.get("warnings") or ())
    return [*found, *([alert("warn", "Warnings", warnings)] if warnings else [])]


def _classes(report: Mapping[str, Any]) -> Html:
    found: list[Html] = []
    for key, title in (("classes", "Result"), ("baseline_classes", "Baseline")):
        given: Mapping[str, Any] = report.get(key) or {}
        picture = confusion(given.get("names") or (), given.get("confusion") or ())
        told = class_table(given)
        if picture or told:
            heading = tag("h3", title, style="margin-bottom:10px") if report.get("baseline_classes") else ""
            apart = tag("div", told, style="margin-top:20px") if told else ""
            found.append(tag("div", heading, picture, apart, style="margin-top:28px" if found else None))
    return join(found) if found else Html()


def class_table(classes: Mapping[str, Any]) -> Html:
    """Precision, recall, F1 and documents of each class of a ClassesRow, the most frequent first."""
    names = list(classes.get("names") or ())
    columns = [list(classes.get(key) or ()) for key in ("precision", "recall", "f1", "support")]
    if not names or any(len(column) != len(names) for column in columns):
        return Html()
    lines = sorted(zip(names, *columns, strict=True), key=lambda line: -line[4])
    rows = [[name, *(share(value, 1) for value in values), count(support)] for name, *values, support in lines[:_CLASSES]]
    caption = f"{count(len(rows))} of {count(len(lines))} classes" if len(rows) < len(lines) else ""
    return table(["class", "precision", "recall", "F1", "documents"], rows, numeric=range(1, 5), caption=caption)


def compared_samples(samples: Sequence[Mapping[str, Any]]) -> Html:
    """Per sample its prompt and reference, and below them what the baseline and the result made of it."""
    shown = list(samples)[:_SAMPLES]
    limit = min(max(_ROOM // max(4 * len(shown), 1), 200), 1200)
    blocks: list[Html] = []
    for place, sample in enumerate(shown):
        rows = []
        for pair in _SIDES:
            boxes = [tag("div", tag("h4", title), text(sample[key], limit)) for key, title in pair if sample.get(key) is not None]
            rows += [tag("div", *boxes, class_="sides", style="margin-bottom:10px")] if boxes else []
        blocks.append(details(tag("span", sample.get("id") or f"sample {place + 1}", class_="id"), *rows, open_=place < _OPEN))
    return tag("div", *blocks) if blocks else Html()
