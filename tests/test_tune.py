"""A search tries what it was told to, goes on where it stopped, keeps only the best weights, and writes a file that trains them."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from aigc import config, console, runs
from aigc.errors import AigcError, ConfigError, Stopped
from aigc.schema import Project
from aigc.search import trials, variants
from aigc.search.crew import Crew, crew
from aigc.search.folders import evaluations, in_own_folder, lighten
from aigc.search.revision import revised
from aigc.search.study import Study, open_study
from aigc.stages import pretrain, tune
from projects import SMALL, tiny_project

SEARCH = {
    "stage": "pretrain",
    "trials": 3,
    "sampler": "random",
    "pruner": "none",
    "keys": {"pretrain.learning_rate": {"log": [1e-4, 1e-1]}, "pretrain.accumulate": [1, 2]},
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Crew]:
    """A process for the trials of all tests: each would import torch anew."""
    with crew(1) as found:
        yield found


def written(folder: Path, split_runs: Path, **search: Any) -> variants.Variants:
    """A project file, with a copy of the split."""
    folder.mkdir(exist_ok=True)
    if not (folder / "runs").exists():
        tiny_project(folder, split_runs)
    section = SMALL | {"steps": 4, "evaluate_every": 2}
    data = {"name": "p", "runs": str(folder / "runs"), "device": "cpu", "split": {}, "pretrain": section, "search": SEARCH | search}
    (folder / "p.yaml").write_text(f"# mine\n{json.dumps(data, indent=1)}\n", "utf-8")
    return variants.read(folder / "p.yaml")


def searched(workers: Crew, found: variants.Variants) -> list[dict[str, Any]]:
    tune.search_with(workers, found.project({}), found)
    return rows(found)


def folder_of(found: variants.Variants) -> Path:
    return runs.root(found.project({})) / "tune"


def rows(found: variants.Variants) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder_of(found) / "trials.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def three(workers: Crew, tmp_path_factory: pytest.TempPathFactory, split_runs: Path) -> tuple[variants.Variants, str]:
    """A whole search, and what it said."""
    found = written(tmp_path_factory.mktemp("three"), split_runs)
    said = io.StringIO()
    with redirect_stderr(said):
        searched(workers, found)
    return found, said.getvalue()


def test_a_search_from_the_first_trial_to_the_best_file(three: tuple[variants.Variants, str]) -> None:
    found, said = three
    lines, folder = rows(found), folder_of(found)
    assert [line["state"] for line in lines] == ["complete"] * 3
    assert lines[0]["values"] == {"pretrain.learning_rate": 1e-3, "pretrain.accumulate": 1}, "those of the file come first"
    assert [step for step, _ in lines[1]["evaluations"]] == [0, 2, 4]
    best = min(lines, key=lambda line: line["metric"])
    assert [path.parts[-3] for path in folder.glob("trials/*/pretrain/model")] == [str(best["number"])], "only the best has weights"
    assert not list(folder.glob("trials/*/*/copies"))
    assert not list(folder.glob("trials/*/*/checkpoints")) and (folder / "report.html").exists()
    assert json.loads((folder / "report.json").read_text("utf-8"))["best"]["number"] == best["number"]
    assert {line.split(":")[0] for line in said.splitlines() if ":" in line} == {"tune"}, "Optuna and the trials say nothing"
    assert f"to train with them: aigc pretrain {folder / 'best.yaml'}" in said


def test_the_best_file_trains_the_best_trial_again(three: tuple[variants.Variants, str]) -> None:
    found, _ = three
    best = min(rows(found), key=lambda line: line["metric"])
    text = (folder_of(found) / "best.yaml").read_text("utf-8")
    assert (
        text.startswith(f"# p.yaml with the values of trial {best['number']}, the best of 3: validation_loss ") and "# mine" in text
    )
    project = config.load(folder_of(found) / "best.yaml")
    pretrain.run(project)
    report = json.loads((runs.stage_folder(project, "pretrain") / "report.json").read_text("utf-8"))
    assert report["validation_losses"][-1]["loss"] == pytest.approx(best["metric"], rel=1e-6)


def test_more_trials_go_on_to_the_same_search(
    workers: Crew, tmp_path: Path, split_runs: Path, three: tuple[variants.Variants, str]
) -> None:
    searched(workers, written(tmp_path, split_runs, trials=1))
    assert searched(workers, written(tmp_path, split_runs)) == rows(three[0])


def test_a_signal_leaves_what_is_done(workers: Crew, tmp_path: Path, split_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = written(tmp_path, split_runs)
    with monkeypatch.context() as patched:
        patched.setattr(console, "note", lambda text: os.kill(os.getpid(), signal.SIGTERM) if "trial 0" in text else None)
        with pytest.raises(Stopped, match=r"stopped; [12] of 3 trials have ended: run the same command again to go on") as caught:
            searched(workers, found)
    assert caught.value.exit_code == 143
    assert [line["number"] for line in searched(workers, found)] == [0, 1, 2]


def test_a_search_that_was_killed_goes_on_to_the_same_trials(
    workers: Crew, tmp_path: Path, split_runs: Path, three: tuple[variants.Variants, str]
) -> None:
    found = written(tmp_path / "killed", split_runs, processes=2)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "aigc", "tune", str(found.file)], stderr=log)
    deadline = time.monotonic() + 120
    while len(list(folder_of(found).glob("trials/*/.pretrain.partial/metrics.jsonl"))) < 2:  # both processes are at work
        assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text("utf-8")
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (folder_of(found) / "best.yaml").exists()
    assert searched(workers, found) == rows(three[0])


def test_a_metric_that_is_not_measured_is_told_and_can_be_mended(workers: Crew, tmp_path: Path, split_runs: Path) -> None:
    with pytest.raises(ConfigError, match=r"search.metric: 'exact_match' is not measured by pretrain; measured: validation_loss, "):
        searched(workers, written(tmp_path, split_runs, metric="exact_match"))
    lines = searched(workers, written(tmp_path, split_runs, metric="validation_accuracy", trials=1))
    assert [line["state"] for line in lines] == ["complete"]


def test_values_that_do_not_go_together_fail_alone(workers: Crew, tmp_path: Path, split_runs: Path) -> None:
    keys = {"pretrain.model.width": [16, 24], "pretrain.model.heads": [2, 3]}
    lines = searched(workers, written(tmp_path, split_runs, keys=keys, sampler="grid", trials=9))
    assert len(lines) == 4
    assert {json.dumps(list(line["values"].values())): line["state"] for line in lines} == {
        "[16, 2]": "complete", "[16, 3]": "failed", "[24, 2]": "complete", "[24, 3]": "complete"
    }  # fmt: skip
    assert "width 16 is not a multiple of heads 3" in next(line["error"] for line in lines if line["error"])


def test_what_befalls_every_trial_ends_the_search(workers: Crew, tmp_path: Path, split_runs: Path) -> None:
    with pytest.raises(AigcError, match=r"trial 0 \(pretrain.document .*\): .*no_such_column"):
        searched(workers, written(tmp_path, split_runs, keys={"pretrain.document": ["{no_such_column}", "{no_such_column}!"]}))


def test_the_search_of_another_file_is_not_gone_on_with(workers: Crew, tmp_path: Path, split_runs: Path) -> None:
    searched(workers, written(tmp_path, split_runs, trials=1))
    with pytest.raises(AigcError, match=r"this search was begun with another search.keys.*; put that back, remove the folder"):
        searched(workers, written(tmp_path, split_runs, keys={"pretrain.accumulate": [1, 2]}))


def test_a_trial_that_is_ended_keeps_its_figures_only(tmp_path: Path, split_runs: Path) -> None:
    found = written(tmp_path, split_runs)
    own = in_own_folder(found.project({}), "pretrain", tmp_path / "trials" / "0")
    assert not trials.train(own, "pretrain", lambda step, _: step == 2, lambda _: False)
    lighten(tmp_path / "trials" / "0", "pretrain", model=False)
    assert [line["step"] for line in evaluations(tmp_path / "trials" / "0", "pretrain")] == [0, 2]
    assert not list(tmp_path.glob("trials/0/**/*.safetensors"))
    told: list[int] = []
    assert not trials.train(own, "pretrain", lambda step, _: told.append(step) or step == 2, lambda _: False), (
        "nor does it begin anew"
    )
    assert told == [0, 2]


def study_of(path: Path, **search: Any) -> Any:
    section = Project.model_validate({"name": "p", "pretrain": {}, "search": SEARCH | {"trials": 8} | search}).search
    assert section is not None
    return open_study(path, section, seed=3, usual={}, begun_with={"seed": 3})


def run_trial(study: Study, worth: list[float]) -> str:
    trial = study.ask()
    assert trial is not None
    for evaluation, metric in enumerate(worth, start=1):
        if study.report(trial.number, evaluation, metric):
            study.tell(trial.number, "pruned", step=evaluation)
            return f"pruned at {evaluation}"
    study.tell(trial.number, "complete", metric=worth[-1], step=len(worth))
    return "complete"


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_a_trial_that_lags_behind_is_ended(pruner: str, tmp_path: Path) -> None:
    with study_of(tmp_path / "study.db", pruner=pruner) as study:
        first = [run_trial(study, [3.0, 2.0, 1.0 + i / 10]) for i in range(4)]
        late = [run_trial(study, [9.0, 9.0, 9.0]) for _ in range(4)]
        if pruner == "median":
            assert first == ["complete"] * 4 and late == ["pruned at 2"] * 4
        assert pruner == "none" or any(one != "complete" for one in late)
        assert pruner != "none" or set(late) == {"complete"}
        assert study.best().number == 0 and study.ask() is None


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_that_is_opened_again_chooses_the_same(sampler: str, tmp_path: Path) -> None:
    def values(path: Path, pieces: list[int]) -> list[dict[str, Any]]:
        for piece in pieces:
            with study_of(path, sampler=sampler, trials=13) as study:
                for _ in range(piece):
                    trial = study.ask()
                    study.tell(trial.number, "complete", metric=trial.values["pretrain.learning_rate"], step=1)
                found = [trial.values for trial in study.trials()]
        return found

    assert values(tmp_path / "a.db", [13]) == values(tmp_path / "b.db", [5, 1, 7])


def test_a_trial_that_broke_off_is_handed_out_again(tmp_path: Path) -> None:
    with study_of(tmp_path / "study.db") as study:
        begun = study.ask()
        assert not study.report(begun.number, 1, 5.0)
    with study_of(tmp_path / "study.db") as study:
        [again] = study.unfinished()
        assert again == begun
        assert not study.report(begun.number, 1, 5.0), "told twice is no fault"
        study.tell(begun.number, "failed", step=1, error="the loss is nan")
        assert [(one.state, one.error) for one in study.trials()] == [("failed", "the loss is nan")]
        assert study.best() is None and study.unfinished() == []


def test_importance_names_the_key_that_matters(tmp_path: Path) -> None:
    with study_of(tmp_path / "study.db", trials=14) as study:
        while (trial := study.ask()) is not None:
            study.tell(trial.number, "complete", metric=trial.values["pretrain.learning_rate"], step=1)
        found = study.importance()
    assert max(found, key=found.__getitem__) == "pretrain.learning_rate" and sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a: 1  # one\nb:\n  # two\n  c: x\n", ("b", "c"), "no"),
        ("a: {b: 1, c: [1, 2]} # one\n", ("a", "c"), [3]),
        ("a: {b: 1} # one\n", ("a", "d", "e"), {"f": None}),
        ("a: {} # one\n", ("a", "b"), 1e-5),
        ("a: 1 # one\n", ("b",), {"c": {"d": "no"}, "e": [None, 1e-5, {"f": 1}]}),
        ("b: # one\nc: 1\n", ("b", "d"), True),
        ("b:\n  # one\n  c: 1\n", ("b", "d", "e"), "x: y"),
        ("# one\nb: 1\n", ("d",), 2.5),
    ],
)
def test_a_file_gets_a_value_and_keeps_its_comments(text: str, key: tuple[str, ...], value: Any) -> None:
    data = config.parse_scalar(text)
    here = data
    for part in key[:-1]:
        if here.get(part) is None:
            here[part] = {}
        here = here[part]
    here[key[-1]] = value
    new = revised(text, data)
    assert config.parse_scalar(new) == data
    assert [line.split("#")[1] for line in new.splitlines() if "#" in line] == [
        line.split("#")[1] for line in text.splitlines() if "#" in line
    ]


@pytest.mark.parametrize("text", ["a: &x {b: 1}\nc: *x\n", "a: |\n  long\n", "a: {b: 1}\nc: {<<: {b: 2}}\n"])
def test_a_file_that_is_too_clever_is_written_anew(text: str) -> None:
    data = config.parse_scalar(text) | {"a": {"b": 5}}
    assert config.parse_scalar(revised(text, data)) == data
