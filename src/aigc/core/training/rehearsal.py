"""A few timed steps into how long a whole run will take."""

import time
from dataclasses import dataclass
from statistics import median

from torch import nn

from aigc.core.batches.feed import feed
from aigc.core.batches.stream import START
from aigc.core.training.corpus import TrainingData
from aigc.core.training.fit import Settings
from aigc.core.training.loop import train
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas
from aigc.core.training.validation import validate

__all__ = ["Rehearsal", "rehearse"]

STEPS = 6  # that are timed, behind the first two
BATCHES = 3  # of validation


@dataclass(frozen=True)
class Rehearsal:
    """What was timed, in seconds."""

    start: float  # what the first two steps took longer than others: compiling, and memory that is touched for the first time
    step: float  # median
    validation: float  # of one batch
    tokens: float  # that are read in a step

    def whole(self, settings: Settings, validation_batches: float) -> float:
        """Seconds that the run will take, from its first step to its last."""
        evaluations = 1 + -(-settings.steps // settings.evaluate_every)
        return self.start + self.step * settings.steps + evaluations * validation_batches * self.validation


def rehearse(learner: nn.Module, data: TrainingData, settings: Settings) -> Rehearsal:
    """Take a few steps; the learner's weights are changed by it."""
    optimiser = adamw(learner, weight_decay=settings.weight_decay)
    with feed(data.training, START, accumulate=settings.accumulate) as batches:
        steps = list(
            train(
                learner,
                batches,
                optimiser,
                learning_rate=lambda _: settings.learning_rate / 10,
                clip=settings.clip,
                numbers=range(2 + STEPS),
                seed=settings.seed,
                replicas=Replicas(),
            )
        )
    once = median(step.seconds for step in steps[2:])
    started = time.perf_counter()
    many = min(sum(1 for _ in data.validation.once()), BATCHES)
    for _ in range(2):  # the first compiles
        started = time.perf_counter()
        validate(learner, data.validation, byte_lengths=data.byte_lengths, replicas=Replicas(), most=many)
    return Rehearsal(
        start=max(steps[0].seconds + steps[1].seconds - 2 * once, 0.0),
        step=once,
        validation=(time.perf_counter() - started) / max(many, 1),
        tokens=sum(step.tokens for step in steps[2:]) / STEPS,
    )
