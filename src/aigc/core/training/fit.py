"""A whole training run: steps, validation, metrics and snapshots, going on where an earlier try stopped."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from aigc.core.batches.packing import Packed
from aigc.core.training import snapshots
from aigc.core.training.loop import Step, evaluate, train
from aigc.core.training.optimiser import Schedule, adamw, learning_rate_at

__all__ = ["Progress", "Settings", "Validation", "fit"]


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
    keep_checkpoints: int


@dataclass(frozen=True)
class Validation:
    """The validation split's loss."""

    loss: float  # nats per token
    bits_per_byte: float | None  # of UTF-8 text, so that tokenizers can be compared; None where texts were truncated

    @classmethod
    def of(cls, total: float, tokens: int, text_bytes: int | None) -> "Validation":
        """From the summed loss in nats, its label tokens, and the bytes of text that they stand for, where that is known."""
        return cls(total / max(tokens, 1), total / math.log(2) / text_bytes if text_bytes else None)


@dataclass(frozen=True)
class Progress:
    """Where a run is after `number` steps."""

    number: int
    step: Step | None  # None before the first
    validation: Validation | None  # where it was measured at this step


def fit(
    model: PreTrainedModel,
    training: Packed,
    validation: Packed,
    *,
    text_bytes: int | None,
    settings: Settings,
    folder: Path,
    stopping: Callable[[], bool],
) -> Iterator[Progress]:
    """Train, and yield after each step.

    Args:
        text_bytes: UTF-8 bytes of the validation texts, None where they are not learned whole.
        folder: for metrics.jsonl and checkpoints/; what lies there of an earlier try is gone on with.
        stopping: asked after each step; when true, a snapshot is taken and the run ends early.
    """
    optimiser = adamw(model, weight_decay=settings.weight_decay)
    checkpoints, metrics = folder / "checkpoints", folder / "metrics.jsonl"
    snapshot = snapshots.latest(checkpoints)
    done = snapshots.restore(snapshot, model=model, optimiser=optimiser) if snapshot else 0
    earlier = _lines_up_to(metrics, done) if snapshot else []

    def rate(step: int) -> float:
        return learning_rate_at(
            step,
            steps=settings.steps,
            highest=settings.learning_rate,
            warmup=settings.warmup,
            schedule=settings.schedule,
        )

    def validate() -> Validation:
        return Validation.of(*evaluate(model, validation), text_bytes)

    kept = metrics.with_suffix(".partial")
    kept.write_text("".join(json.dumps(old) + "\n" for old in earlier), "utf-8")
    kept.replace(metrics)
    with metrics.open("a", encoding="utf-8") as file:
        if snapshot is None:
            first = validate()
            _record(file, {"step": 0, "validation_loss": first.loss, "bits_per_byte": first.bits_per_byte})
            yield Progress(0, None, first)
        else:
            for old in earlier:
                if "validation_loss" in old:
                    yield Progress(int(old["step"]), None, Validation(old["validation_loss"], old["bits_per_byte"]))
        for step in train(
            model,
            training,
            optimiser,
            learning_rate=rate,
            accumulate=settings.accumulate,
            clip=settings.clip,
            steps=range(done, settings.steps),
        ):
            last = step.number == settings.steps
            measured = validate() if last or step.number % settings.evaluate_every == 0 else None
            line: dict[str, float | None] = {
                "step": step.number,
                "loss": step.loss,
                "learning_rate": step.learning_rate,
                "gradient_norm": step.gradient_norm,
                "tokens": step.tokens,
                "tokens_per_second": step.tokens / step.seconds,
            }
            if measured is not None:
                line |= {"validation_loss": measured.loss, "bits_per_byte": measured.bits_per_byte}
            _record(file, line)
            stop = stopping()
            if last or stop or step.number % settings.checkpoint_every == 0:
                snapshots.take(checkpoints, step=step.number, model=model, optimiser=optimiser, keep=settings.keep_checkpoints)
            yield Progress(step.number, step, measured)
            if stop:
                return


def _record(file: object, line: dict[str, float | None]) -> None:
    print(json.dumps(line), file=file, flush=True)  # type: ignore[call-overload]


def _lines_up_to(metrics: Path, step: int) -> list[dict[str, Any]]:
    lines = []
    for text in metrics.read_text("utf-8").splitlines() if metrics.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:  # the last line of a run that was killed
            break
        if line["step"] <= step:
            lines.append(line)
    return lines
