"""A study and a crew into trials that have ended: who tries what, which of them end early, and what each has come to."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.errors import AigcError, ConfigError, Stopped
from aigc.schema import Search, Training
from aigc.search.crew import Crew, Ended, Evaluated, Order
from aigc.search.folders import in_own_folder, lighten
from aigc.search.study import State, Study, Trial
from aigc.search.variants import Variants
from aigc.signals import Stop

__all__ = ["Conductor"]

SECONDS = 0.5  # between two looks at whether to stop

Told = Callable[[Trial], None]
Showed = Callable[[int, int, float], None]
"""Takes the number of a trial, a step, and the metric there."""


@dataclass
class _Course:
    """What a trial at work has shown."""

    trial: Trial
    chosen: bool  # whether its result are the weights with the lowest validation loss, and not the last
    lines: list[dict[str, Any]] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """The evaluation of the weights that are the result."""
        measured = self.lines[1:] or self.lines
        return min(measured, key=lambda line: float(line["validation_loss"])) if self.chosen else measured[-1]


@dataclass
class Conductor:
    """Runs trials until all of a study have ended."""

    search: Search
    variants: Variants
    study: Study
    crew: Crew
    folder: Path  # gets trials/<number>/
    told: Told  # hears of every trial that has ended
    showed: Showed = lambda _number, _step, _metric: None  # hears of every evaluation
    _courses: dict[int, _Course] = field(default_factory=dict)
    _fault: AigcError | None = None  # what would befall every trial

    def run(self, stop: Stop) -> None:
        """Train what is left of the study.

        Raises:
            Stopped: a signal came; every trial at work ended behind a step, to be gone on with.
            AigcError: trials fail before any has measured itself, or the metric is not among what is measured.
        """
        waiting = self.study.unfinished()
        leaving = False
        while True:
            while self.crew.free and not leaving and (trial := waiting.pop(0) if waiting else self.study.ask()):
                self._begin(trial)
                leaving = self._fault is not None
            if not self.crew.busy:
                break
            for said in self.crew.listen(SECONDS):
                if isinstance(said, Evaluated):
                    self.crew.answer(said.number, end=self._measured(said))
                else:
                    leaving |= self._ended(said)
            if not leaving and (stop.signal_number is not None or self._fault is not None):
                leaving = True
                self.crew.stop()
        if self._fault is not None:
            raise self._fault
        if leaving or stop.signal_number is not None:
            ended = sum(trial.state != "running" for trial in self.study.trials())
            raise Stopped(
                f"stopped; {ended} of {self.study.size} trials have ended: run the same command again to go on",
                stop.signal_number or 15,
            )

    def path(self, number: int) -> Path:
        """A trial's folder."""
        return self.folder / "trials" / str(number)

    def _begin(self, trial: Trial) -> None:
        try:
            project = self.variants.project(trial.values)
        except ConfigError as error:
            self._close(trial, "failed", error=_shortened(str(error)))
            return
        section: Training = getattr(project, self.search.stage)
        self._courses[trial.number] = _Course(trial, section.chooses_best)
        own = in_own_folder(project, self.search.stage, self.path(trial.number))
        self.crew.give(Order(trial.number, own, self.search.stage, self.path(trial.number) / "log.txt"))

    def _measured(self, said: Evaluated) -> bool:
        """Take note of an evaluation, and say whether the trial should end."""
        lines = self._courses[said.number].lines
        lines.append(said.line)
        value = said.line.get(self.search.metric)
        if not isinstance(value, int | float):
            known = [name for name, one in said.line.items() if isinstance(one, int | float) and name != "step"]
            self._fault = ConfigError(
                f"search.metric: {self.search.metric!r} is not measured by {self.search.stage}; measured: {', '.join(known)}"
            )
            return False
        self.showed(said.number, said.step, float(value))
        evaluation = len(lines) - 1  # the first is of the weights that training begins with: no one's merit
        return evaluation > 0 and self.study.report(said.number, evaluation, float(value))

    def _ended(self, said: Ended) -> bool:
        """Take note of the end of a trial, and say whether the search must end as well."""
        course = self._courses.pop(said.number)
        if said.outcome == "stopped":
            return True
        if self._fault is not None:
            return True
        none_came_far = not any(trial.step is not None for trial in self.study.trials())
        if said.outcome == "failed" and none_came_far and not any(one.lines for one in (course, *self._courses.values())):
            self._fault = AigcError(f"trial {said.number} ({_shown(course.trial)}): {said.remark}")
        value = float("nan")
        step = None
        if course.lines:
            line = course.result()
            value, step = float(line[self.search.metric]), int(line["step"])
        if said.outcome == "complete" and not math.isfinite(value):
            self._close(course.trial, "failed", step=step, error=f"its {self.search.metric} is {value}")
        elif said.outcome == "complete":
            self._close(course.trial, "complete", metric=value, step=step)
        elif said.outcome == "pruned":
            self._close(course.trial, "pruned", step=step)
        else:
            self._close(course.trial, "failed", step=step, error=_shortened(said.remark))
        return self._fault is not None

    def _close(
        self, trial: Trial, state: State, *, metric: float | None = None, step: int | None = None, error: str | None = None
    ) -> None:
        number = trial.number
        self.study.tell(number, state, metric=metric, step=step, error=error)
        self.tidy()
        self.told(next(one for one in self.study.trials() if one.number == number))

    def tidy(self) -> None:
        """Of the trials that have ended, only the best keeps its weights."""
        best = self.study.best()
        for trial in self.study.trials():
            if trial.state != "running" and self.path(trial.number).exists():
                lighten(self.path(trial.number), self.search.stage, model=best is not None and trial.number == best.number)


def _shown(trial: Trial) -> str:
    return ", ".join(f"{key} {value}" for key, value in trial.values.items())


def _shortened(remark: str) -> str:
    line = remark.splitlines()[0] if remark else ""
    return line if len(line) <= 300 else line[:299] + "…"
