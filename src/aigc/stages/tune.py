"""`aigc tune`: trials of a stage with other values, and the project file with the best of them."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aigc import console, runs, signals
from aigc.errors import AigcError, ConfigError
from aigc.pages import tune as page
from aigc.schema import Project, Search
from aigc.search.basis import begun_with, usual
from aigc.search.conduct import Conductor
from aigc.search.crew import Crew, crew
from aigc.search.folders import evaluations
from aigc.search.study import Study, Trial, open_study
from aigc.search.variants import Variants

__all__ = ["run", "search_with"]

SHOWN = 10  # trials in the table


def run(project: Project, *, variants: Variants) -> None:
    """Train the stage of the project's search with other values, trial after trial, and tell which are best.

    Raises:
        ConfigError: the file has no search, or its metric is not measured.
        AigcError: what the stage reads is not there, the folder holds another search, or no trial can be trained.
        Stopped: a signal came; the same command goes on.
    """
    section = _section(project)
    with crew(section.processes) as workers:
        search_with(workers, project, variants)


def search_with(workers: Crew, project: Project, variants: Variants) -> None:
    """The same, with processes that are there."""
    started = time.monotonic()
    section = _section(project)
    folder = runs.root(project) / "tune"
    basis = begun_with(project, section)
    folder.mkdir(parents=True, exist_ok=True)
    known = usual(project, section)
    with (
        _locked(folder),
        open_study(folder / "study.db", section, seed=project.seed, usual=known, begun_with=basis) as study,
        signals.stop_at_safe_point() as stop,
        console.progress("tune", study.size, "trials") as advance,
    ):
        before = sum(trial.state != "running" for trial in study.trials())
        advance(before)
        _introduce(section, study, before)

        def told(trial: Trial) -> None:
            _write_trials(folder, section, study)
            advance(1, _standing(section, study))
            console.note(f"tune: {_sentence(section, trial)}")

        def showed(number: int, step: int, metric: float) -> None:
            standing = _standing(section, study)
            advance(0, f"{standing}; trial {number}: {metric:.4g} at step {step:,}".removeprefix("; "))

        Conductor(section, variants, study, workers, folder, told, showed).run(stop)
        _write(project, folder, section, study, variants)
        _close(folder, section, study)
        console.closing("tune", time.monotonic() - started, folder)


def _section(project: Project) -> Search:
    section = project.search
    if section is None:
        raise ConfigError("there is no section 'search' in the project file; e.g. search: {keys: {finetune.epochs: [1, 2, 4]}}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("aigc tune is no command for torchrun: it starts its own processes; set search.processes")
    return section


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AigcError(f"{folder}: another aigc is at work on this search; wait for it, or use another name=") from None
        yield


def _introduce(section: Search, study: Study, before: int) -> None:
    shared = "" if section.processes == 1 else f", {section.processes} at the same time"
    rest = f"; {before} have ended already" if before else ""
    console.note(f"tune: {study.size} trials of {section.stage}{shared}, to {section.better} {section.metric}{rest}")
    if section.sampler == "grid" and study.size < section.size:
        console.note(f"tune: the grid has {section.size:,} combinations; {study.size:,} of them are tried, drawn by chance")


def _standing(section: Search, study: Study) -> str:
    best = study.best()
    return f"best {section.metric} {best.metric:.4g}, trial {best.number}" if best is not None and best.metric is not None else ""


def _sentence(section: Search, trial: Trial) -> str:
    figure = "" if trial.metric is None else f", {section.metric} {trial.metric:.4g}"
    step = "" if trial.step is None else f" at step {trial.step:,}"
    values = ", ".join(f"{_short(section, key)} {_told(value)}" for key, value in trial.values.items())
    why = "" if trial.error is None else f": {trial.error}"
    return f"trial {trial.number} ({values}) {trial.state}{figure}{step}{why}"


def _short(section: Search, key: str) -> str:
    return key.removeprefix(f"{section.stage}.")


def _told(value: Any) -> str:
    return str(value) if isinstance(value, int | float | str) else json.dumps(value, ensure_ascii=False)


def _ranked(section: Search, trials: list[Trial]) -> list[Trial]:
    """The complete ones from the best on, then those that were pruned, then those that failed."""
    order = ["complete", "pruned", "running", "failed"]
    sign = 1 if section.better == "minimize" else -1
    return sorted(
        trials, key=lambda one: (order.index(one.state), sign * one.metric if one.metric is not None else 0.0, one.number)
    )


def _write_trials(folder: Path, section: Search, study: Study) -> None:
    rows = []
    for trial in study.trials():
        if trial.state != "running":
            measured = evaluations(folder / "trials" / str(trial.number), section.stage)
            rows.append(asdict(trial) | {"evaluations": [[line["step"], line.get(section.metric)] for line in measured]})
    partial = folder / ".trials.partial"
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    partial.replace(folder / "trials.jsonl")


def _write(project: Project, folder: Path, section: Search, study: Study, variants: Variants) -> None:
    _write_trials(folder, section, study)
    trials, best = study.trials(), study.best()
    report = {
        "stage": section.stage,
        "metric": section.metric,
        "direction": section.better,
        "sampler": section.sampler,
        "pruner": section.pruner,
        "seed": project.seed,
        "trials": len(trials),
        "states": {state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")},
        "keys": section.model_dump(mode="json", by_alias=True, exclude_unset=True)["keys"],
        "usual": {key: value for key, value in usual(project, section).items() if _is_plain(value)},
        "best": None if best is None else asdict(best),
        "importance": study.importance(),
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text("utf-8").split("\n") if line]
    (folder / "report.html").write_text(page.render(report | {"name": project.name}, rows), "utf-8")
    if best is not None:
        said = f"{variants.file.name} with the values of trial {best.number}, the best of {len(trials)}: "
        said += f"{section.metric} {best.metric:.6g}"
        (folder / "best.yaml").write_text(f"# {said}\n{variants.text(best.values)}", "utf-8")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | list)


def _close(folder: Path, section: Search, study: Study) -> None:
    ranked = _ranked(section, study.trials())
    rows = [
        [one.number, one.state, _figure(one.metric), _figure(one.step), *map(_figure, one.values.values())]
        for one in ranked[:SHOWN]
    ]
    title = f"tune: the best of {len(ranked)} trials" if len(ranked) > SHOWN else "tune: the trials"
    console.table(title, ["trial", "state", section.metric, "step", *(_short(section, key) for key in section.keys)], rows)
    best = study.best()
    if best is None:
        raise AigcError(f"{folder}: no trial came to its end; trials.jsonl says why")
    weights = folder / "trials" / str(best.number) / section.stage / "model"
    console.note(f"tune: trial {best.number} is the best; its weights are in {weights}")
    console.note(f"tune: its values are in {folder / 'best.yaml'}; to train with them: aigc {section.stage} {folder / 'best.yaml'}")


def _figure(value: Any) -> int | float | str:
    if value is None:
        return "-"
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _told(value)
