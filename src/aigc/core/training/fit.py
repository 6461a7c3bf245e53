"""A whole training run: steps, validation, metrics and snapshots, going on where an earlier try stopped."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from aigc.core.batches.feed import feed
from aigc.core.batches.stream import START
from aigc.core.model.learner import Learner
from aigc.core.training import snapshots
from aigc.core.training.average import Average
from aigc.core.training.corpus import TrainingData
from aigc.core.training.loop import NonFinite, Step, train
from aigc.core.training.optimiser import Schedule, adamw, learning_rate_at
from aigc.core.training.replicas import Replicas, Sharing
from aigc.core.training.snapshots import Keep, State
from aigc.core.training.validation import Validation, validate
from aigc.errors import AigcError

__all__ = ["Measure", "Progress", "Run", "Settings", "fit"]

OF_STEPS = (  # names in metrics.jsonl that are of a step, not of an evaluation
    *("step", "loss", "learning_rate", "gradient_norm", "tokens", "labels", "tokens_per_second", "waited"),
    *("training_sequence_loss", "unlikelihood"),
)


@dataclass(frozen=True)
class Settings:
    """How a run goes; the names are those of the project file."""

    steps: int
    accumulate: int
    learning_rate: float
    schedule: Schedule
    warmup: float
    weight_decay: float
    clip: float
    evaluate_every: int
    checkpoint_every: int
    seed: int
    keep: Keep = Keep()
    patience: int | None = None
    best: bool = False  # the weights with the lowest validation loss are the result, also where nothing stops the run early
    average: float | None = None
    sharing: Sharing = "replicate"


@dataclass(frozen=True)
class Run:
    """Where a run works, and whom it asks and tells."""

    folder: Path  # for metrics.jsonl and checkpoints/; what lies there of an earlier try is gone on with
    stopping: Callable[[int], bool]  # asked after each step; when true, a snapshot is taken and the run ends early
    warn: Callable[[str], None]
    replicas: Replicas = field(default_factory=Replicas)


@dataclass(frozen=True)
class Progress:
    """Where a run is after `number` steps."""

    number: int
    step: Step | None  # None before the first
    validation: Validation | None  # where it was measured at this step
    metrics: dict[str, Any]  # the new line in metrics.jsonl; empty where an earlier try wrote it
    ended: str | None = None  # why the run ends before its last step


Measure = Callable[[Validation], dict[str, float]]
"""Takes an evaluation and gives more figures of it, by their names in metrics.jsonl."""


def fit(
    learner: Learner, data: TrainingData, settings: Settings, run: Run, *, measure: Measure | None = None
) -> Iterator[Progress]:
    """Train, and yield after each step; in the end the learner has the weights that are the result.

    Args:
        measure: called by the first process alone at each evaluation, while the learner has the weights that were evaluated, and
            drops nothing. What it finds is in `Validation.extra` and in metrics.jsonl. Where weights are spread over processes it
            must not run the model.

    Raises:
        AigcError: the loss is not finite; the message names the documents of the batch.
    """
    replicas = run.replicas
    shared = replicas.share(learner, settings.sharing, learner.blocks())
    optimiser = adamw(learner, weight_decay=settings.weight_decay)
    average = None if settings.average is None else Average(learner, settings.average)
    sharded = replicas.count > 1 and settings.sharing == "shard"
    training = snapshots.Training(learner, optimiser, average, sharded)
    checkpoints = run.folder / "checkpoints"
    snapshot = _latest(checkpoints, run)
    state = snapshots.restore(snapshot, training) if snapshot else State(0, START)
    history = _History(run.folder / "metrics.jsonl", state.step, replicas)

    def evaluated() -> Validation:
        with average.applied() if average is not None else nullcontext():
            found = validate(shared, data.validation, byte_lengths=data.byte_lengths, replicas=replicas)
            return replace(found, extra=measure(found)) if measure is not None and replicas.first else found

    if snapshot is None:
        first = evaluated()
        yield Progress(0, None, first, history.add({"step": 0} | first.as_metrics()))
    else:
        for past in history.validations():
            yield replace(past, ended=history.stopped(settings.patience))
    numbers = range(state.step, settings.steps)
    best = history.best
    with feed(data.training, state.behind, accumulate=settings.accumulate, rank=replicas.rank, replicas=replicas.count) as batches:
        try:
            for step in train(
                shared,
                batches,
                optimiser,
                learning_rate=lambda number: _rate(number, settings),
                clip=settings.clip,
                numbers=numbers if history.stopped(settings.patience) is None else range(0),
                seed=settings.seed,
                replicas=replicas,
            ):
                if average is not None:
                    average.update(step.number)
                last = step.number == settings.steps
                measured = evaluated() if last or step.number % settings.evaluate_every == 0 else None
                metrics = history.add(_metrics(step) | (measured.as_metrics() if measured else {}))
                stop = replicas.total([run.stopping(step.number)])[0] > 0
                ended = history.stopped(settings.patience)
                better = measured is not None and measured.choice < best
                best = min(best, measured.choice) if measured else best
                if last or stop or ended or step.number % settings.checkpoint_every == 0 or (better and settings.keep.best):
                    state = State(step.number, step.behind, measured.choice if measured else None)
                    snapshots.take(checkpoints, training, state, keep=settings.keep, replicas=replicas)
                yield Progress(step.number, step, measured, metrics, ended)
                if stop or ended:
                    break
        except NonFinite as error:
            names = ", ".join(data.names(error.documents)[:8])
            raise AigcError(f"{error}; its batch has the documents {names}; lower learning_rate, or look at them") from None
    _settle(shared, training, checkpoints, chosen=settings.best or settings.patience is not None)


def _settle(shared: nn.Module, training: snapshots.Training, checkpoints: Path, *, chosen: bool) -> None:
    """Leave the weights that are the result in the model: the best ones of a run that looked for them, averaged where asked."""
    if chosen and (snapshot := snapshots.best(checkpoints)) is not None:
        snapshots.restore(snapshot, training)
    if training.average is not None:
        training.average.put()
    shared.eval()


def _latest(checkpoints: Path, run: Run) -> Path | None:
    """The snapshot to go on from: the first process looks, for it reads every byte, and the others take the same."""
    found = snapshots.latest(checkpoints, run.warn) if run.replicas.first else None
    step = run.replicas.total([snapshots.read(found).step if found else 0])[0]
    return checkpoints / f"step-{step:.0f}" if step else None


def _rate(number: int, settings: Settings) -> float:
    return learning_rate_at(
        number, steps=settings.steps, highest=settings.learning_rate, warmup=settings.warmup, schedule=settings.schedule
    )


def _metrics(step: Step) -> dict[str, Any]:
    own = (step.number, step.loss, step.learning_rate, step.gradient_norm, step.tokens, step.labels)
    rates = (step.tokens / step.seconds, step.waited / step.seconds)
    line = dict(zip(OF_STEPS, (*own, *rates, step.sequence_loss, step.unlikelihood), strict=True))
    return {name: value for name, value in line.items() if value is not None}


class _History:
    """metrics.jsonl: a line for each step, without those after the snapshot that a run goes on from."""

    def __init__(self, path: Path, step: int, replicas: Replicas) -> None:
        self._path, self._writes = path, replicas.first
        self.lines = [line for line in _read(path) if line["step"] <= step] if step else []
        replicas.wait()  # all have read before one writes
        if self._writes:
            kept = path.with_suffix(".partial")
            kept.write_text("".join(json.dumps(line) + "\n" for line in self.lines), "utf-8")
            kept.replace(path)

    def add(self, line: dict[str, Any]) -> dict[str, Any]:
        self.lines.append(line)
        if self._writes:
            with self._path.open("a", encoding="utf-8") as file:
                print(json.dumps(line), file=file)
        return line

    @property
    def losses(self) -> list[float]:
        return [line["validation_loss"] for line in self.lines if "validation_loss" in line]

    @property
    def best(self) -> float:
        return min(self.losses, default=float("inf"))

    def stopped(self, patience: int | None) -> str | None:
        """Why there is no use in going on: the best validation loss is so many evaluations old."""
        if patience is None or not self.losses:
            return None
        since = len(self.losses) - 1 - int(np.argmin(self.losses))
        return f"the validation loss has not fallen in {since} evaluations" if since >= patience else None

    def validations(self) -> Iterator[Progress]:
        """The evaluations of earlier tries, so that a report made after a resumed run is complete."""
        for line in self.lines:
            if "validation_loss" in line:
                validation = Validation.of({name: value for name, value in line.items() if name not in OF_STEPS})
                yield Progress(line["step"], None, validation, {})


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            yield json.loads(text)
        except ValueError:  # the last line of a run that was killed
            return
