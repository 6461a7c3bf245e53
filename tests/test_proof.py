"""`aigc pretrain --verify-resume` proves that a killed run goes on to the same weights, and says where it is not so.

That it proves it where it is so is in test_readme.py, which runs the command of docs/training.md.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aigc import proof
from aigc.errors import AigcError
from aigc.schema import Project
from aigc.stages import finetune, pretrain
from projects import SMALL, tiny_project

LONG = SMALL | {"steps": 50, "model": {"layers": 1, "width": 16, "heads": 2, "dropout": 0.1}}


def _lucky(project: Project, interrupt: Callable[[int], bool]) -> None:
    """Training that depends on which process does it."""
    plain = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, closure: None = None) -> None:
        plain(self, closure)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.add_(os.getpid() * 1e-9)

    torch.optim.AdamW.step = step  # type: ignore[assignment, method-assign]
    pretrain._train(project, interrupt)


def _failing(project: Project, interrupt: Callable[[int], bool]) -> None:
    raise AigcError("nothing works")


def test_training_that_depends_on_the_process_has_no_proof(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONG)
    with pytest.raises(
        AigcError, match=r"pretrain: a run that was killed and resumed is not the run at once: .*model\.safetensors"
    ):
        proof.prove_resume(project, "pretrain", _lucky)


def test_training_that_fails_has_no_proof(tmp_path: Path, split_runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONG)
    with pytest.raises(AigcError, match="the proof's run ended with exit code 1; what it said stands above"):
        proof.prove_resume(project, "pretrain", _failing)
    assert "aigc: nothing works" in capfd.readouterr().err


@pytest.mark.parametrize("length", [{"steps": 7}, {"steps": None, "epochs": 0.1}], ids=str)
def test_a_run_that_is_too_short_says_so(length: dict[str, float | None], tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=LONG | length)
    with pytest.raises(
        AigcError, match=r"pretrain: the proof takes 7 steps, and the run has no more; set pretrain\.steps to 8 or more"
    ):
        pretrain.run(project, verify_resume=True)


def test_without_a_split_there_is_nothing_to_prove(tmp_path: Path) -> None:
    project = Project.model_validate(
        {"name": "p", "runs": tmp_path / "runs", "clean": {"input": "x"}, "split": {}, "pretrain": LONG}
    )
    with pytest.raises(AigcError, match="there is no finished split stage"):
        pretrain.run(project, verify_resume=True)


def test_finetuning_with_adapters_goes_on_to_the_same_bytes(
    tmp_path: Path, split_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The proof's own run folders have no pretrained model: it starts from the project's."""
    adapted = {"lora": {"rank": 2, "dropout": 0.1}, "steps": 10, "batch_size": 2, "context": 64}
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=adapted)
    pretrain.run(project)
    finetune.run(project, verify_resume=True)
    said = capsys.readouterr().err
    assert "finetune: 7 steps at once and 7 steps with a kill behind step 5 end in the same bytes (model.safetensors " in said
    assert not (tmp_path / "runs" / "p" / "finetune").exists()
