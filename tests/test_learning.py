"""A stage that trains stops at a safe point, goes on as if it had never stopped, and ends early when that was asked for."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aigc import learning, lineage, runs
from aigc.core.model import checkpoints
from aigc.errors import AigcError, Stopped
from aigc.pretraining import pretraining
from aigc.schema import Project
from aigc.stages import finetune, pretrain
from projects import SMALL, tiny_project

LONGER = SMALL | {
    "model": {"layers": 1, "width": 16, "heads": 2, "dropout": 0.2},
    "steps": 6,
    "evaluate_every": 2,
    "checkpoint_every": 3,
    "learning_rate": 1e-2,
}
WRITTEN = ("model/model.safetensors", "model/tokenizer.json", "report.json", "samples.jsonl")


def train(project: Project, interrupt: Callable[[int], bool] = lambda _: False) -> Path:
    learning.train_stage(project, pretraining(project), lineage.sources(project, "pretrain"), interrupt=interrupt)
    return runs.stage_folder(project, "pretrain")


def written(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in WRITTEN]


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("step", [1, 4, 5])
def test_a_stage_that_was_stopped_goes_on_to_the_same_files(step: int, tmp_path: Path, split_runs: Path) -> None:
    at_once, parts = (tiny_project(tmp_path / name, split_runs, pretrain=LONGER) for name in ("at once", "parts"))
    with pytest.raises(Stopped, match=f"stopped after step {step} of 6; run the same command again to go on from there"):
        train(parts, lambda number: number == step)
    run = tmp_path / "parts" / "runs" / "p"
    assert not (run / "pretrain").exists()
    assert (run / ".pretrain.partial" / "checkpoints" / f"step-{step}").exists()
    assert written(train(parts)) == written(train(at_once))
    assert not (run / ".pretrain.partial").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_behind_the_step(number: signal.Signals, code: int, tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONGER)
    before = signal.getsignal(number)

    def once(step: int) -> bool:
        if step == 2:
            os.kill(os.getpid(), number)
        return False

    with pytest.raises(Stopped, match=r"stopped after step [23] of 6") as caught:
        train(project, once)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_a_signal_in_the_last_step_leaves_a_complete_stage(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONGER)
    with pytest.raises(Stopped, match="stopped after pretrain, which is complete") as caught:
        train(project, lambda step: step == 6 and os.kill(os.getpid(), signal.SIGTERM) is not None)
    assert caught.value.exit_code == 143
    assert runs.why_not_current(project, "pretrain", lineage.sources(project, "pretrain")) is None


def test_another_config_begins_anew(tmp_path: Path, split_runs: Path) -> None:
    with pytest.raises(Stopped):
        train(tiny_project(tmp_path, split_runs, pretrain=LONGER), lambda step: step == 3)
    changed = Project.model_validate(
        {"name": "p", "runs": tmp_path / "runs", "split": {}, "pretrain": LONGER | {"weight_decay": 0}}
    )
    other = tiny_project(tmp_path / "other", split_runs, pretrain=LONGER | {"weight_decay": 0})
    assert written(train(changed)) == written(train(other))


def test_a_run_that_has_no_patience_left_ends_early_and_well(
    tmp_path: Path, split_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = LONGER | {"steps": 200, "patience": 2, "evaluate_every": 1, "learning_rate": 3.0, "keep": {"last": 1, "best": 1}}
    folder = train(tiny_project(tmp_path, split_runs, pretrain=section))
    report = report_of(folder)
    losses = {line["step"]: line["loss"] for line in report["validation_losses"]}
    assert max(losses) < 200
    assert report["stopped_early"] == "the validation loss has not fallen in 2 evaluations"
    assert "pretrain: stopped early, the validation loss has not fallen in 2 evaluations" in capsys.readouterr().err


def test_a_run_that_ended_early_and_was_killed_behind_it_is_completed(
    tmp_path: Path, split_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = LONGER | {"steps": 200, "patience": 2, "evaluate_every": 1, "learning_rate": 3.0}
    project = tiny_project(tmp_path / "killed", split_runs, pretrain=section)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_shared", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(project)
    at_once = train(tiny_project(tmp_path / "at once", split_runs, pretrain=section))
    assert written(train(project)) == written(at_once)


def test_what_will_not_be_learned_is_said(tmp_path: Path, split_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = {"task": "instruct", "prompt": "{title}\n", "batch_size": 2, "steps": 2, "context": 44, "max_truncated": "99%"}
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=short)
    pretrain.run(project)
    assert "tails" not in capsys.readouterr().err
    finetune.run(project)
    said = capsys.readouterr().err
    assert "documents are longer than the context: their tails are not learned" in said
    assert "finetune: done in" in said


def test_a_loss_that_is_no_number_keeps_the_checkpoints(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONGER | {"learning_rate": 1e30, "warmup": 0, "checkpoint_every": 1})
    with pytest.raises(AigcError, match=r"step \d: the loss is .*; its batch has the documents .*; lower learning_rate"):
        train(project)
    assert not (tmp_path / "runs" / "p" / "pretrain").exists()
    assert list((tmp_path / "runs" / "p" / ".pretrain.partial" / "checkpoints").glob("step-*"))


def test_two_runs_of_one_stage_do_not_meet(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL)
    with runs.stage(project, "pretrain", lineage.sources(project, "pretrain")):
        with pytest.raises(AigcError, match="another aigc is writing this stage"):
            train(project)
