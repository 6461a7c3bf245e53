"""What trials have shown, kept in a SQLite file, into the values that the next one tries; the only module that knows Optuna."""

import json
import math
import random
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aigc.errors import AigcError
from aigc.schema.search import Candidates, Search

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise AigcError(f"aigc tune needs {error.name}: pip install 'aigc[tune]'") from None

__all__ = ["Study", "Trial", "open_study"]

NAME = "aigc"
DIGITS = 4  # of a number from a range that has no steps
BEFORE_PRUNING = 4  # trials that are complete before one is judged by their median
UNJUDGED = 1  # evaluations of each trial that are not judged
ENOUGH = 8  # complete trials, to say which keys matter

State = Literal["running", "complete", "pruned", "failed"]
STATES: dict[TrialState, State] = {
    TrialState.WAITING: "running",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Trial:
    """One trial, as far as it came."""

    number: int
    state: State
    values: dict[str, Any]  # by key of the project file
    metric: float | None = None
    step: int | None = None  # of the evaluation that the metric is of
    error: str | None = None


class Study:
    """Asked for values, and told what came of them; by one process only.

    What it chooses depends on the seed, the trial's number and the trials that have ended before, on nothing else: a search that
    was killed goes on as if it had not been.
    """

    def __init__(self, study: optuna.Study, search: Search, seed: int, usual: Mapping[str, Any]) -> None:
        self._study, self._search, self._seed, self._usual = study, search, seed, dict(usual)
        self._spaces = {key: _Space(candidates) for key, candidates in search.keys.items()}
        self._open: dict[int, optuna.Trial] = {}
        grid = search.grid if search.sampler == "grid" else []
        self._grid = random.Random(seed).sample(grid, len(grid))

    @property
    def size(self) -> int:
        """How many trials there will be."""
        return min(self._search.trials, len(self._grid)) if self._grid else self._search.trials

    def unfinished(self) -> list[Trial]:
        """Trials that a stopped or killed search left behind, to be gone on with."""
        found = []
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.number not in self._open:
                self._choose(frozen.number)
                found.append(self._begun(optuna.Trial(self._study, frozen._trial_id)))
        return found

    def ask(self) -> Trial | None:
        """The next trial; None where all have begun."""
        trials = self._study.get_trials(deepcopy=False)
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        number = len(trials) - waiting
        if number >= self.size:
            return None
        fixed = self._grid[number] if self._grid else self._usual if number == 0 else {}
        if fixed and not waiting:
            self._study.enqueue_trial({key: space.label(fixed[key]) for key, space in self._spaces.items()})
        self._choose(number)
        return self._begun(self._study.ask())

    def report(self, number: int, evaluation: int, metric: float) -> bool:
        """Take note of a trial's evaluation (from 1), and say whether the trial should end here."""
        trial = self._open[number]
        if evaluation not in self._study.get_trials(deepcopy=False)[number].intermediate_values:  # it is told again after a kill
            trial.report(metric, evaluation)
        return trial.should_prune()

    def tell(
        self, number: int, state: State, *, metric: float | None = None, step: int | None = None, error: str | None = None
    ) -> None:
        """A trial has ended. One that failed on the way counts with what it showed, so that its like is avoided."""
        trial = self._open.pop(number)
        if step is not None:
            trial.set_user_attr("step", step)
        if error is not None:
            trial.set_user_attr("error", error)
        if state == "complete":
            self._study.tell(trial, metric)
            return
        shown = self._study.get_trials(deepcopy=False)[number].intermediate_values
        useful = state == "pruned" or any(map(math.isfinite, shown.values()))
        self._study.tell(trial, state=TrialState.PRUNED if useful else TrialState.FAIL)

    def trials(self) -> list[Trial]:
        """All that have begun, by number."""
        return [self._row(frozen) for frozen in self._study.get_trials(deepcopy=False) if frozen.state is not TrialState.WAITING]

    def best(self) -> Trial | None:
        """The complete one with the best metric, of several the first."""
        complete = [trial for trial in self.trials() if trial.state == "complete" and trial.metric is not None]
        sign = 1 if self._search.better == "minimize" else -1
        return min(complete, key=lambda trial: sign * (trial.metric or 0), default=None)

    def importance(self) -> dict[str, float]:
        """How much each key matters to being among the better trials, in shares of 1 (PED-ANOVA, Watanabe et al. 2023).

        Empty where too few trials are complete, or there is but one key.
        """
        if sum(trial.state == "complete" for trial in self.trials()) < ENOUGH or len(self._spaces) < 2:
            return {}
        with _calm():
            found = optuna.importance.get_param_importances(self._study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
        return {key: float(part) for key, part in found.items() if math.isfinite(part)}

    def _choose(self, number: int) -> None:
        """Take a sampler that knows nothing but the seed and the trial's number."""
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with _calm():
            self._study.sampler = (
                optuna.samplers.TPESampler(seed=seed, constant_liar=True)
                if self._search.sampler == "tpe"
                else optuna.samplers.RandomSampler(seed=seed)
            )

    def _begun(self, trial: optuna.Trial) -> Trial:
        self._open[trial.number] = trial
        labels = {key: space.suggest(trial, key) for key, space in self._spaces.items()}
        return Trial(trial.number, "running", self._values(labels))

    def _values(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        return {key: space.value(labels[key]) for key, space in self._spaces.items() if key in labels}

    def _row(self, frozen: FrozenTrial) -> Trial:
        error = frozen.user_attrs.get("error")
        state: State = "failed" if error is not None else STATES[frozen.state]
        metric = frozen.value if frozen.state in (TrialState.COMPLETE, TrialState.PRUNED) else None
        return Trial(frozen.number, state, self._values(frozen.params), metric, frozen.user_attrs.get("step"), error)


class _Space:
    """What a key may be, for Optuna: numbers as they are, choices by themselves or, where it cannot tell them apart, as JSON."""

    def __init__(self, candidates: Candidates) -> None:
        self._of = candidates
        self._labels: list[Any] = list(candidates.choices or ())
        if not all(isinstance(one, str | int | float | None) for one in self._labels) or len(set(self._labels)) < len(self._labels):
            self._labels = [json.dumps(one, sort_keys=True, ensure_ascii=False) for one in self._labels]
        low, high = candidates.ends
        self._space: BaseDistribution
        if self._labels:
            self._space = CategoricalDistribution(self._labels)
        elif candidates.whole:
            self._space = IntDistribution(int(low), int(high), log=candidates.log, step=int(candidates.step or 1))
        else:
            self._space = FloatDistribution(low, high, log=candidates.log, step=candidates.step)

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        space = self._space
        if isinstance(space, CategoricalDistribution):
            return trial.suggest_categorical(key, space.choices)
        assert isinstance(space, IntDistribution | FloatDistribution)
        if isinstance(space, IntDistribution):
            return trial.suggest_int(key, space.low, space.high, log=space.log, step=space.step)
        return trial.suggest_float(key, space.low, space.high, log=space.log, step=space.step)

    def label(self, value: Any) -> Any:
        """What stands for a value."""
        return value if self._of.choices is None else self._labels[self._of.choices.index(value)]

    def value(self, label: Any) -> Any:
        """A value that a person would write: of a range, a number with few digits."""
        if self._of.choices is not None:
            return self._of.choices[next(i for i, one in enumerate(self._labels) if one is label or one == label)]
        if self._of.whole:
            return int(label)
        low, high = self._of.ends
        return min(max(float(f"{label:.{12 if self._of.step else DIGITS}g}"), low), high)


@contextmanager
def open_study(
    path: Path, search: Search, *, seed: int, usual: Mapping[str, Any], begun_with: Mapping[str, Any]
) -> Iterator[Study]:
    """The study in a file, which is made where it is not there.

    Args:
        usual: the values that the project file has; where they are within the search, the first trial takes them.
        begun_with: all that trials depend on, as JSON; a study that was begun with other things is not gone on with. One that is
            new, or has nothing to lose, takes away trials/ beside the file.

    Raises:
        AigcError: the file holds the study of another search.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _calm():
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}".replace("{", "{{").replace("}", "}}"))
    try:
        study = _made(storage, search)
        before: dict[str, Any] = study.user_attrs.get("begun_with", {})
        useful = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        if before != begun_with and useful:
            changed = [key for key in {**before, **begun_with} if before.get(key) != begun_with.get(key)]
            raise AigcError(
                f"{path.parent}: this search was begun with another {', '.join(changed)}; "
                "put that back, remove the folder to begin anew, or set another name="
            )
        if before != begun_with:
            optuna.delete_study(storage=storage, study_name=NAME)
            shutil.rmtree(path.with_name("trials"), ignore_errors=True)
            study = _made(storage, search)
            study.set_user_attr("begun_with", dict(begun_with))
        yield Study(study, search, seed, usual if _within(usual, search) else {})
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _made(storage: optuna.storages.BaseStorage, search: Search) -> optuna.Study:
    pruner, direction = _pruner(search), search.better
    return optuna.create_study(storage=storage, study_name=NAME, direction=direction, pruner=pruner, load_if_exists=True)


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=UNJUDGED + 1)
    return optuna.pruners.HyperbandPruner() if search.pruner == "hyperband" else optuna.pruners.NopPruner()


def _within(values: Mapping[str, Any], search: Search) -> bool:
    """Whether values are some that the search could come upon."""
    return values.keys() >= search.keys.keys() and all(_may_be(values[key], one) for key, one in search.keys.items())


def _may_be(value: Any, candidates: Candidates) -> bool:
    points = candidates.points
    if points is not None and not (candidates.step and not candidates.whole):
        return any(type(value) is type(one) and value == one for one in points)
    low, high = candidates.ends
    number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    return number and (points is None or any(math.isclose(value, one, abs_tol=1e-12) for one in points))


@contextmanager
def _calm() -> Iterator[None]:
    """Optuna warns of what it may change; the range of versions that we allow answers to that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
