"""A stage that trains: what pretrain and finetune share around `fit`."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel

from aigc import console, runs, signals
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import load_corpus, parameters_of
from aigc.core.training.fit import Settings, fit
from aigc.core.training.report import TrainingReport
from aigc.errors import AigcError, Stopped
from aigc.schema import Project, Training

__all__ = ["train_stage"]

Build = Callable[[Path, torch.device], tuple[PreTrainedModel, TextCodec]]


def train_stage(
    project: Project,
    name: str,
    section: Training,
    sources: runs.Sources,
    *,
    build: Build,
    templates: tuple[str, str],
    whole: bool,
) -> None:
    """Train in runs/<name>/<stage>, going on from an unfinished try of the same config and data.

    Args:
        build: the split's folder and a device into the model to begin with, and its codec.
        templates: of what is learned, and of the prompt before it.
        whole: whether prompt and completion must stay together.
    """
    started = time.monotonic()
    device = checkpoints.device_of(project.device)
    split = runs.stage_folder(project, "split")
    with runs.stage(project, name, sources, resume=True) as stage, signals.stop_at_safe_point() as stop:
        torch.manual_seed(project.seed)
        model, codec = build(split, device)
        if checkpoints.context_of(model) < section.context:
            raise AigcError(
                f"{name}.context: {section.context} is more than the checkpoint's {checkpoints.context_of(model)} tokens"
            )
        corpus = load_corpus(
            split,
            stage.folder / "tokens",
            codec,
            templates=templates,
            whole=whole,
            context=section.context,
            batch_size=section.batch_size,
            seed=project.seed,
        )
        settings = _settings(section, corpus.training.rows)
        report = TrainingReport(corpus, parameters_of(model), settings.steps)
        _introduce(name, report, device, resumed=stage.resumed and (stage.folder / "checkpoints").exists())
        stage.keep = True
        with console.progress(name, settings.steps, "steps") as advance:
            seen = 0
            for progress in fit(
                model,
                corpus.training,
                corpus.validation,
                text_bytes=corpus.validation_bytes,
                settings=settings,
                folder=stage.folder,
                stopping=lambda: stop.signal_number is not None,
            ):
                report.add(progress)
                last = report.validations[-1][1].loss if report.validations else float("nan")
                advance(progress.number - seen, f"loss {report.last_loss:.3f}, validation {last:.3f}")
                seen = progress.number
        if seen < settings.steps:
            assert stop.signal_number is not None
            raise Stopped(
                f"stopped after step {seen} of {settings.steps}; run the same command again to go on from there",
                stop.signal_number,
            )
        checkpoints.save(model, codec, stage.folder / "model")
        shutil.rmtree(stage.folder / "tokens")
        stage.write_json("report.json", report.as_json())
        stage.rows = {"train": corpus.accounting.documents, "validation": corpus.validation_accounting.documents}
        stage.facts = {"device": str(device), "parameters": report.parameters, "threads": torch.get_num_threads()}
    _close(name, report)
    console.closing(name, time.monotonic() - started, runs.stage_folder(project, name))
    if stop.signal_number is not None:  # it came during the last step: `aigc run` must not go on to the next stage
        raise Stopped(f"stopped after {name}, which is complete", stop.signal_number)


def _settings(section: Training, rows: int) -> Settings:
    steps = section.steps or max(round(section.epochs * rows / (section.batch_size * section.accumulate)), 1)
    tenth = max(steps // 10, 1)
    return Settings(
        steps=steps,
        accumulate=section.accumulate,
        learning_rate=section.learning_rate,
        schedule=section.schedule,
        warmup=section.warmup,
        weight_decay=section.weight_decay,
        clip=section.clip,
        evaluate_every=section.evaluate_every or tenth,
        checkpoint_every=section.checkpoint_every or tenth,
        keep_checkpoints=section.keep_checkpoints,
    )


def _introduce(name: str, report: TrainingReport, device: torch.device, *, resumed: bool) -> None:
    one = report.corpus.accounting
    console.note(
        f"{name}: {report.parameters:,} parameters on {device}, {report.steps:,} steps; {one.documents:,} documents, "
        f"{one.tokens:,} tokens in {one.rows:,} rows, {one.padding:.1%} padding, {one.label_tokens:,} tokens to learn"
    )
    if one.truncated:
        console.warn(f"{one.truncated:,} documents are longer than the context: their tails are not learned")
    if one.dropped:
        console.warn(f"{one.dropped:,} documents have a prompt that fills the context: nothing of them is learned")
    if resumed:
        console.note(f"{name}: going on from the last checkpoint of an unfinished run")


def _close(name: str, report: TrainingReport) -> None:
    lines = [(step, value.loss, "-" if value.bits_per_byte is None else value.bits_per_byte) for step, value in report.validations]
    console.table(f"{name}: validation loss", ["step", "nats per token", "bits per byte"], lines)
