"""A stage that trains: what pretrain and finetune share around `fit`."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aigc import console, runs, signals
from aigc.card import CardFacts, write_card
from aigc.core.documents.heap import kept
from aigc.core.documents.template import fields_of
from aigc.core.model import checkpoints
from aigc.core.rules.copies.index import LEARNED, training_texts, write_index
from aigc.core.training.fit import Progress, Run, fit
from aigc.core.training.replicas import Replicas, joined
from aigc.core.training.report import TrainingReport
from aigc.core.training.snapshots import all_in
from aigc.core.training.trackers import open_trackers
from aigc.core.training.validation import Validation
from aigc.errors import AigcError, Stopped
from aigc.judging import Judge
from aigc.pages import training as page
from aigc.preparation import FOUND, Prepared, Task, prepare
from aigc.probing import Ask, probing
from aigc.schema import Finetune, Project

__all__ = ["card_facts", "train_stage"]

SHOWN = {  # in the table at the end
    "loss": "loss",
    "bits_per_byte": "bits per byte",
    "accuracy": "right",
    "sequence_loss": "loss per document",
    "sequence_accuracy": "documents right",
    "reward_margin": "margin",
    "macro_f1": "macro-F1",
    "rmse": "RMSE",
    "spearman": "Spearman",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "exact_match": "exact match",
    "pushed_down": "pushed down",
}
PROBES = "probes.json"  # in an unfinished folder: what was asked before the first step
PROCESSES = "processes.txt"  # in an unfinished folder: on how many the run began


def train_stage(
    project: Project,
    task: Task,
    sources: runs.Sources,
    *,
    interrupt: Callable[[int], bool] = lambda _: False,
    watch: Callable[[int, dict[str, Any]], bool] | None = None,
) -> None:
    """Train in runs/<name>/<stage>, going on from an unfinished try of the same config and data.

    Args:
        interrupt: asked after each step whether to stop there.
        watch: of a trial: told the step and the figures of each evaluation that is made; when true, the run stops there.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        replicas = stack.enter_context(joined())
        device = replicas.device(checkpoints.device_of(project.device))
        stack.enter_context(kept())
        stage = stack.enter_context(_stage(project, task.name, sources, replicas))
        stage.keep = stage.resumed  # checkpoints of an earlier try outlive an error
        work = _prepared(project, task, stage.folder, replicas, device)
        stop = stack.enter_context(signals.stop_at_safe_point())
        report = TrainingReport(work.data, work.settings.steps, work.facts)
        stage.keep = True
        if replicas.first:
            _introduce(task.name, report, device, resumed=stage.resumed and (stage.folder / "checkpoints").exists())
        warn = console.warn if replicas.first else lambda _: None
        run = Run(stage.folder, lambda step: stop.signal_number is not None or interrupt(step), warn, replicas)
        seen = 0
        whole = replicas.count == 1 or work.settings.sharing == "replicate"  # weights that are spread over processes cannot write
        judge = _judge(task, work) if whole and replicas.first else None
        ask = probing(task.section, project.seed) if judge is not None and isinstance(task.section, Finetune) else None
        if ask is not None:
            _probe(ask, work, stage.folder, "before")
        with _told(project, task, stage, work, replicas) as tell:
            for progress in fit(work.learner, work.data, work.settings, run, measure=judge):
                seen = progress.number
                report.add(progress)
                tell(progress, report)
                if judge is not None and progress.validation is not None and progress.metrics:
                    _keep(stage.folder, judge.written(seen), seen)
                told = watch is not None and progress.validation is not None and progress.metrics and watch(seen, progress.metrics)
                if told and progress.ended is None and seen < work.settings.steps:
                    break
        if seen < work.settings.steps and report.ended is None:
            raise Stopped(
                f"stopped after step {seen} of {work.settings.steps}; run the same command again to go on from there",
                stop.signal_number or 2,
            )
        if work.settings.best:
            report.facts["result_step"] = min(report.validations[1:], key=lambda one: one[1].choice)[0]
        if ask is not None:
            report.facts["probes"] = _probe(ask, work, stage.folder, "after")
        checkpoints.save_shared(
            work.learner, work.codec, stage.folder / "model", writes=replicas.first, merged=work.beginning.merge
        )
        if replicas.first:
            if watch is None:  # of a trial nothing is generated
                _index(project, task.name, stage.folder / "copies")
            _write(project.name, task.name, stage, report, device)
            for warning in write_card(stage.folder / "model", card_facts(project, task.name, report.as_json())):
                console.warn(f"{task.name}: {warning}")
    if replicas.first:
        _close(task.name, report)
        console.closing(task.name, time.monotonic() - started, runs.stage_folder(project, task.name))
    if stop.signal_number is not None:  # it came during the last step: `aigc run` must not go on to the next stage
        raise Stopped(f"stopped after {task.name}, which is complete", stop.signal_number)


def _index(project: Project, name: str, folder: Path) -> None:
    """What was learned, so that what is generated can be checked for copies of it."""
    section = getattr(project, name)
    given = [getattr(section, key, None) for key in ("document", "prompt", "completion")]
    columns = [field for template in given if template for field in fields_of(template)]
    tables = sorted(runs.stage_folder(project, "split").glob("train-*.parquet"))
    write_index(training_texts(tables, [*columns, *LEARNED]), folder)


@contextmanager
def _stage(project: Project, name: str, sources: runs.Sources, replicas: Replicas) -> Iterator[runs.Stage]:
    """The stage's folder: made and finished by the first process, only looked into by the others."""
    if replicas.first:
        with runs.stage(project, name, sources, resume=True) as stage:
            replicas.wait()
            yield stage
    else:
        replicas.wait()
        yield runs.follow(project, name)
    replicas.wait()  # the next stage reads what the first process has just completed


def _prepared(project: Project, task: Task, folder: Path, replicas: Replicas, device: torch.device) -> Prepared:
    """The model and the data; the first process makes the tokens, the others wait for them.

    Steps stay as large as they were when the run began, also where it goes on with another number of processes.
    """
    path = folder / PROCESSES
    if replicas.first and not (path.exists() and all_in(folder / "checkpoints")):
        path.write_text(f"{replicas.count}\n", "utf-8")
    if not replicas.first:
        replicas.wait()
    began = int(path.read_text("utf-8"))
    split = runs.stage_folder(project, "split")
    total = sum(runs.rows_of(split)[part] for part in ("train", "validation"))
    bar = console.progress(f"{task.name}: tokens", total, "documents") if replicas.first else nullcontext(lambda _: None)
    with bar as advance:
        work = prepare(task, split, folder, device=device, seed=project.seed, processes=began, advance=advance)
    batches = work.settings.accumulate * began
    if batches % replicas.count:
        raise AigcError(
            f"{folder}: this unfinished run has {batches} batches in a step, which {replicas.count} processes cannot share evenly; "
            f"go on with {began} processes, or remove the folder to begin anew"
        )
    if replicas.first:
        replicas.wait()
    return replace(work, settings=replace(work.settings, accumulate=batches // replicas.count))


def _introduce(name: str, report: TrainingReport, device: torch.device, *, resumed: bool) -> None:
    one, facts = report.data.accounting, report.facts
    how = f"{facts['precision']}{', compiled' if facts['compiled'] else ''}"
    trained = facts["trained_parameters"]
    part = "" if trained == facts["parameters"] else f", {trained:,} of them trained,"
    console.note(
        f"{name}: {facts['parameters']:,} parameters{part} on {device} ({how}), "
        f"{report.steps:,} steps of {report.data.training.places:,} tokens; {one.documents:,} documents, {one.tokens:,} tokens, "
        f"{one.padding:.1%} padding, {one.label_share:.0%} of what is read is learned"
    )
    if one.truncated:
        console.warn(f"{one.truncated:,} documents are longer than the context: their tails are not learned")
    if one.empty:
        console.warn(f"{one.empty:,} documents have nothing to learn: they are left out")
    if one.dropped:
        console.warn(f"{one.dropped:,} documents have a prompt that fills the context: nothing of them is learned")
    if resumed:
        console.note(f"{name}: going on from the last checkpoint of an unfinished run")


Tell = Callable[[Progress, TrainingReport], None]


@contextmanager
def _told(project: Project, task: Task, stage: runs.Stage, work: Prepared, replicas: Replicas) -> Iterator[Tell]:
    """Who is told of each step: the terminal, and the trackers that were asked for."""
    if not replicas.first:
        yield lambda _progress, _report: None
        return
    config = {"seed": project.seed, task.name: task.section.model_dump(mode="json")}
    trackers = open_trackers(
        task.section.track, stage.folder, project=project.name, run=task.name, config=config, warn=console.warn
    )
    with console.progress(task.name, work.settings.steps, "steps") as advance, trackers as track:
        shown = 0

        def tell(progress: Progress, report: TrainingReport) -> None:
            nonlocal shown
            if progress.metrics:
                track(progress.number, {name: value for name, value in progress.metrics.items() if name != "step"})
            last = report.validations[-1][1].loss if report.validations else float("nan")
            advance(progress.number - shown, f"loss {report.last_loss:.3f}, validation {last:.3f}")
            shown = progress.number

        yield tell


def _judge(task: Task, work: Prepared) -> Judge:
    name = getattr(task.section, "task", "language_model")
    most, tokens = getattr(task.section, "answers", 0), getattr(task.section, "answer_tokens", 0)
    return Judge.of(name, work, most=most, tokens=tokens)


def _probe(ask: Ask, work: Prepared, folder: Path, when: str) -> dict[str, Any]:
    """Ask, unless an earlier try did; what was found before training and after it."""
    path = folder / PROBES
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if when not in found:
        console.note(f"probing for toxicity and fairness {when} training")
        prefix = work.codec.prefix if when == "after" else ""
        found[when] = ask(work.learner.model, work.codec, prefix)
        path.write_text(json.dumps(found, ensure_ascii=False), "utf-8")
    return found


def card_facts(project: Project, name: str, report: dict[str, Any], test: dict[str, Any] | None = None) -> CardFacts:
    """What the model card of a stage is made of.

    Args:
        report: the stage's.
        test: that of `aigc evaluate`.
    """
    section = getattr(project, name).model_dump(mode="json")
    return CardFacts(runs.root(project), name, project.seed, section, report, report.get("start"), test)


def _keep(folder: Path, written: Sequence[Mapping[str, str]], step: int) -> None:
    """Add to samples.jsonl what the model wrote at a step, in the place of what an earlier try wrote from there on."""
    path = folder / "samples.jsonl"
    if not written and not path.exists():
        return
    old = [json.dumps(line, ensure_ascii=False) for line in _lines(path) if line["step"] < step]
    new = [json.dumps({"step": step, **one}, ensure_ascii=False) for one in written]
    partial = path.with_name(".samples.partial")
    partial.write_text("".join(f"{line}\n" for line in old + new), "utf-8")
    partial.replace(path)


def _lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines of a file that may not be there; a text in them may have other line breaks within."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line] if path.exists() else []


def _write(project: str, name: str, stage: runs.Stage, report: TrainingReport, device: torch.device) -> None:
    (stage.folder / PROCESSES).unlink()
    (stage.folder / FOUND).unlink()
    (stage.folder / PROBES).unlink(missing_ok=True)
    shutil.rmtree(stage.folder / "tokens")
    shutil.rmtree(stage.folder / "tokenizer", ignore_errors=True)
    stage.write_json("report.json", report.as_json())
    lines = {kind: _lines(stage.folder / kind) for kind in ("metrics.jsonl", "samples.jsonl")}
    html = page.render(report.as_json() | {"name": project, "stage": name}, lines["metrics.jsonl"], lines["samples.jsonl"])
    (stage.folder / "report.html").write_text(html, "utf-8")
    one, seen = report.data.accounting, report.data.validation_accounting
    stage.rows = {"train": one.documents, "validation": seen.documents}
    stage.facts = {"device": str(device), "parameters": report.facts["parameters"], "threads": torch.get_num_threads()}


def _close(name: str, report: TrainingReport) -> None:
    """The evaluations as a table, the first of them being what the run began with."""
    columns = [key for key in SHOWN if any(_shown(value).get(key) is not None for _, value in report.validations)]
    lines = [(step, *(_cell(_shown(value).get(key)) for key in columns)) for step, value in report.validations]
    console.table(f"{name}: validation", ["step", *(SHOWN[key] for key in columns)], lines)
    first, *later = [value.choice for _, value in report.validations]
    if name == "finetune" and later and min(later) > first:
        console.warn("finetune: the checkpoint that it began with tells the validation split better; lower learning_rate")
    if report.ended:
        console.note(f"{name}: stopped early, {report.ended}; the best weights are the result")


def _shown(value: Validation) -> dict[str, float | None]:
    found = value.figures()
    if found.get("sequence_loss") == value.loss:  # nothing but whole documents is told: the one is the other
        found.pop("sequence_loss", None)
        found.pop("sequence_accuracy", None)
    return found


def _cell(value: float | None) -> object:
    return "-" if value is None else value
