"""`aigc evaluate`: the trained model on documents that it never saw, beside the checkpoint that it began with."""

import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from aigc import console, lineage, runs
from aigc.card import model_card
from aigc.core.batches.stream import Accounting, Stream
from aigc.core.documents.heap import kept
from aigc.core.documents.tables import read_tables
from aigc.core.evaluation.classes import classification
from aigc.core.evaluation.documents import told
from aigc.core.evaluation.figures import Figure, figures_of
from aigc.core.evaluation.intervals import Metric, perplexity, ratio
from aigc.core.evaluation.preferences import Likelihoods, likelihoods, preference_metrics
from aigc.core.evaluation.texts import text_metrics
from aigc.core.generation.answers import Question, answers, questions
from aigc.core.model import checkpoints, precision
from aigc.core.model.learner import Learner
from aigc.core.training.corpus import load_part
from aigc.core.training.replicas import Replicas
from aigc.core.training.validation import Predictions, validate
from aigc.judging import metrics_of
from aigc.learning import card_facts
from aigc.pages import evaluation as page
from aigc.pages.figures import cells
from aigc.planning import MAKERS
from aigc.preparation import Beginning, recipe_of
from aigc.schema import Evaluate, Project

__all__ = ["run"]

SHOWN = 24  # samples in the page


@dataclass
class Said:
    """What a model makes of the documents; of what its task does not have there is nothing."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    documents: int = 0  # that the metrics are of
    predictions: Predictions | None = None
    likelihoods: Likelihoods | None = None
    answers: list[str] = field(default_factory=list)


def run(project: Project) -> None:
    """Measure a trained model on the test split; training itself never reads that.

    Raises:
        AigcError: nothing is trained, or the split has no such part.
    """
    started = time.monotonic()
    sources = lineage.sources(project, "evaluate")
    section = project.evaluate or Evaluate()
    project = project.model_copy(update={"evaluate": section})
    name = lineage.trained_stage(project)
    task = MAKERS[name](project)
    kind = getattr(task.section, "task", "language_model")
    split = runs.stage_folder(project, "split")
    with runs.stage(project, "evaluate", sources) as stage, tempfile.TemporaryDirectory(prefix="aigc-evaluate-") as work, kept():
        end = task.end(split, runs.stage_folder(project, name) / "model")
        start = None if name == "pretrain" else task.begin(split, Path(work))
        recipe = recipe_of(task, end, project.seed, rows=section.batch_size)
        stream = load_part(split, section.part, Path(work) / "tokens", end.codec, recipe)
        account = stream.accounting()
        _tell_of_losses(section.part, account)
        device = checkpoints.device_of(project.device)
        asked: list[Question] = []
        if kind in ("instruct", "seq2seq") and section.answers:
            asked = questions(chain.from_iterable(stream.once()), end.codec, most=section.answers)
        found: dict[str, Said] = {}
        for which, beginning in (("baseline", start), ("result", end)):
            if beginning is not None:
                console.note(f"evaluate: the {which} on {account.documents:,} documents")
                learner = Learner(
                    beginning.model.to(device),
                    dtype=precision.choose(device, task.section.precision),
                    sequence=beginning.sequence,
                    preference=beginning.preference,
                )
                found[which] = _said(kind, learner, beginning, stream, asked, section)
        figures = _figures(found, asked, section, project.seed)
        ids = _ids(split, section.part, stream)
        report = _report(project, name, kind, figures, found, asked, ids, end) | {"accounting": asdict(account)}
        stage.write_json("report.json", report)
        (stage.folder / "report.html").write_text(page.render(report), "utf-8")
        _write_predictions(stage.folder / "predictions.jsonl", report, found, asked, ids)
        trained = json.loads((runs.stage_folder(project, name) / "report.json").read_text("utf-8"))
        card, _ = model_card(runs.stage_folder(project, name) / "model", card_facts(project, name, trained, report))
        (stage.folder / "README.md").write_text(card, "utf-8")  # the model's, with these figures; what is finished stays as it is
        stage.rows = {section.part: account.documents}
    console.table(f"evaluate: the {section.part} split", *cells(report["figures"]))
    console.closing("evaluate", time.monotonic() - started, runs.stage_folder(project, "evaluate"))


def _tell_of_losses(part: str, account: Accounting) -> None:
    """What is not measured, or not as a whole."""
    told = (
        (account.empty, "have nothing to tell: they are left out"),
        (account.dropped, "have a prompt that fills the context: nothing of them is measured"),
        (account.truncated, "are longer than the context: their tails are not measured"),
    )
    for count, what in told:
        if count:
            console.warn(f"evaluate: {count:,} of {account.documents:,} documents of the {part} split {what}")


def _said(kind: str, learner: Learner, beginning: Beginning, stream: Stream, asked: list[Question], section: Evaluate) -> Said:
    lengths = beginning.codec.byte_lengths
    if kind in ("classify", "regress"):
        validation = validate(learner, stream, byte_lengths=lengths, replicas=Replicas())
        assert validation.predictions is not None
        seen = validation.predictions
        return Said(metrics_of(kind, seen), len(seen.targets), predictions=seen)
    if kind == "preference":
        return Said(likelihoods=likelihoods(learner, stream))
    one = told(learner, stream, byte_lengths=lengths)
    metrics = {
        "loss": ratio(one.nats, one.tokens),
        "perplexity": perplexity(one.nats, one.tokens),
        "bits_per_byte": ratio(one.nats / math.log(2), one.size),
        "token_accuracy": ratio(one.right, one.tokens),
    }
    said: list[str] = []
    if asked:
        said = answers(learner.model, beginning.codec, asked, max_tokens=section.answer_tokens, dtype=learner.dtype)
    return Said(metrics, len(one.documents), answers=said)


def _figures(found: dict[str, Said], asked: list[Question], section: Evaluate, seed: int) -> list[Figure]:
    result, baseline = found["result"], found.get("baseline")
    if result.likelihoods is not None:
        before = result.likelihoods if baseline is None or baseline.likelihoods is None else baseline.likelihoods
        result.metrics, result.documents = preference_metrics(result.likelihoods, before)
        if baseline is not None:
            baseline.metrics, _ = preference_metrics(before, before)
    figures = figures_of(
        result.metrics,
        documents=result.documents,
        baseline=baseline.metrics if baseline is not None else None,
        resamples=section.resamples,
        seed=seed,
    )
    if asked:
        wanted = [question.reference for question in asked]
        figures += figures_of(
            text_metrics(result.answers, wanted),
            documents=len(asked),
            baseline=text_metrics(baseline.answers, wanted) if baseline is not None else None,
            resamples=section.resamples,
            seed=seed,
        )
    return figures


def _report(
    project: Project,
    name: str,
    kind: str,
    figures: list[Figure],
    found: dict[str, Said],
    asked: list[Question],
    ids: list[str],
    end: Beginning,
) -> dict[str, Any]:
    section = project.evaluate
    assert section is not None
    report: dict[str, Any] = {
        "name": project.name,
        "task": kind,
        "split": section.part,
        "documents": len(ids),
        "model": name,
        "baseline": "what training began with" if "baseline" in found else None,
        "resamples": section.resamples,
        "figures": [figure.as_json() for figure in figures],
    }
    classes: list[str] = end.facts.get("classes", [])
    if kind == "classify":
        for which, key in (("result", "classes"), ("baseline", "baseline_classes")):
            seen = found[which].predictions if which in found else None
            if seen is not None:
                one = classification(seen.scores, seen.targets)
                told_of = ("precision", "recall", "f1", "support", "confusion")
                report[key] = {"names": classes} | {part: getattr(one, part) for part in told_of}
    if asked:
        before = found["baseline"].answers if "baseline" in found else [""] * len(asked)
        report["samples"] = [
            {"id": ids[question.document], "prompt": question.prompt, "reference": question.reference, "before": old, "after": new}
            for question, old, new in list(zip(asked, before, found["result"].answers, strict=True))[:SHOWN]
        ]
    return report


def _ids(split: Path, part: str, stream: Stream) -> list[str]:
    """The id of each document of a stream."""
    known = [name for frame in read_tables(sorted(split.glob(f"{part}-*.parquet")), ["id"]) for name in frame["id"]]
    return [known[row] for corpus in stream.corpora for row in corpus.pieces.shards.rows.tolist()]


def _write_predictions(path: Path, report: dict[str, Any], found: dict[str, Said], asked: list[Question], ids: list[str]) -> None:
    """A line for each document of which something is told as a whole, and for each answer."""
    with path.open("w", encoding="utf-8") as file:
        seen = found["result"].predictions
        if seen is not None:
            names = report.get("classes", {}).get("names")
            for document, scores, target in zip(seen.documents.tolist(), seen.scores, seen.targets.tolist(), strict=True):
                if names:
                    line = {"id": ids[document], "label": names[int(target)], "predicted": names[int(scores.argmax())]}
                else:
                    line = {"id": ids[document], "label": target, "predicted": float(scores[0])}
                print(json.dumps(line, ensure_ascii=False), file=file)
        for question, text in zip(asked, found["result"].answers, strict=False):
            line = {"id": ids[question.document], "prompt": question.prompt, "reference": question.reference, "text": text}
            print(json.dumps(line, ensure_ascii=False), file=file)
