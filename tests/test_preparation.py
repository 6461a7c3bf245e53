"""What a section leaves open is decided from the data and the device alone, and what cannot work is told before the first step."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from aigc import lineage, runs
from aigc.adaptation import finetuning
from aigc.core.model import checkpoints
from aigc.errors import AigcError
from aigc.preparation import Prepared, prepare
from aigc.pretraining import pretraining
from aigc.schema import Project
from aigc.stages import finetune, pretrain
from projects import SMALL, tiny_project

INSTRUCT = {"task": "instruct", "prompt": "{title}\n", "batch_size": 2, "steps": 2}


def prepared(project: Project, name: str, folder: Path, **options: Any) -> Prepared:
    task = {"pretrain": pretraining, "finetune": finetuning}[name](project)
    split = runs.stage_folder(project, "split")
    return prepare(task, split, folder, device=torch.device("cpu"), seed=project.seed, **options)


def test_documents_that_would_be_truncated_stop_the_run_unless_allowed(tmp_path: Path, split_runs: Path) -> None:
    short = INSTRUCT | {"context": 44}
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=short)
    pretrain.run(project)
    with pytest.raises(AigcError) as caught:
        finetune.run(project)
    message = str(caught.value)
    assert "documents are longer than the context of 44 tokens and would be truncated or dropped" in message
    assert message.endswith("more than finetune.max_truncated (1.0%) allows; raise finetune.context, or allow them")
    assert not (tmp_path / "runs" / "p" / "finetune").exists()
    allowed = tiny_project(
        tmp_path / "allowed", split_runs, finetune=short | {"max_truncated": "99%", "start": str(_model_of(project))}
    )
    one = prepared(allowed, "finetune", tmp_path / "work").data.accounting
    assert one.truncated + one.dropped > 0.01 * one.documents
    assert 0 < one.label_share < 1


def _model_of(project: Project) -> Path:
    return runs.stage_folder(project, "pretrain") / "model"


def test_documents_that_are_cut_into_pieces_lose_nothing(tmp_path: Path, split_runs: Path) -> None:
    work = prepared(
        tiny_project(tmp_path, split_runs, pretrain=SMALL | {"context": 16, "max_truncated": 0}), "pretrain", tmp_path / "w"
    )
    assert work.data.accounting.cut > 0
    assert (work.data.accounting.truncated, work.data.accounting.dropped) == (0, 0)


def test_a_context_that_the_checkpoint_does_not_have(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=INSTRUCT | {"context": 65})
    pretrain.run(project)
    with pytest.raises(AigcError, match=r"finetune\.context: 65 is more than the checkpoint's 64 tokens"):
        finetune.run(project)


def test_only_a_decoder_is_finetuned(tmp_path: Path, split_runs: Path) -> None:
    bert = SMALL | {"model": {"family": "bert", "layers": 1, "width": 16, "heads": 2}}
    project = tiny_project(tmp_path, split_runs, pretrain=bert, finetune=INSTRUCT | {"context": 64})
    pretrain.run(project)
    with pytest.raises(AigcError, match=r"bert .*this needs a decoder"):
        finetune.run(project)


def test_steps_come_from_epochs_batches_and_processes(tmp_path: Path, split_runs: Path) -> None:
    section = SMALL | {"steps": None, "epochs": 4, "accumulate": 2}
    project = tiny_project(tmp_path, split_runs, pretrain=section)
    one = prepared(project, "pretrain", tmp_path / "work")
    assert one.settings.steps == round(4 * one.data.accounting.bins / 2)
    assert one.settings.evaluate_every == one.settings.checkpoint_every == one.settings.steps // 10
    two = prepared(project, "pretrain", tmp_path / "work", processes=2)
    assert two.settings.steps == round(4 * one.data.accounting.bins / 2 / 2)
    large = prepared(project, "pretrain", tmp_path / "work", scale=10)
    assert large.settings.steps == round(10 * 4 * one.data.accounting.bins / 2)


def test_compiling_is_for_runs_that_are_long_enough(tmp_path: Path, split_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert not prepared(tiny_project(tmp_path, split_runs, pretrain=SMALL), "pretrain", tmp_path / "w").facts["compiled"]
    long = tiny_project(tmp_path / "long", split_runs, pretrain=SMALL | {"steps": 10_000_000})
    assert prepared(long, "pretrain", tmp_path / "w").facts["compiled"]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not prepared(long, "pretrain", tmp_path / "w").facts["compiled"]
    asked = tiny_project(tmp_path / "asked", split_runs, pretrain=SMALL | {"compile": True})
    with pytest.raises(AigcError, match=r"compile: torch needs a C\+\+ compiler"):
        prepared(asked, "pretrain", tmp_path / "w")


def test_the_tokenizer_of_a_checkpoint_is_taken_and_its_files_are_inputs(tmp_path: Path, split_runs: Path) -> None:
    first = tiny_project(tmp_path, split_runs, pretrain=SMALL)
    pretrain.run(first)
    folder = tmp_path / "tokenizer"
    shutil.copytree(_model_of(first), folder)
    project = tiny_project(tmp_path / "second", split_runs, pretrain=SMALL | {"tokenizer": {"start": str(folder)}})
    work = prepared(project, "pretrain", tmp_path / "w")
    assert work.codec.encode(["The river"]) == checkpoints.codec_of(str(folder)).encode(["The river"])
    assert not (tmp_path / "w" / "tokenizer").exists()
    pretrain.run(project)
    sources = lineage.sources(project, "pretrain")
    assert runs.why_not_current(project, "pretrain", sources) is None
    text = (folder / "tokenizer.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text(text + "\n", "utf-8")
    assert runs.why_not_current(project, "pretrain", lineage.sources(project, "pretrain")) == "changed: input files"


@pytest.mark.parametrize("start", ["./nowhere", "a/b/c"])
def test_a_tokenizer_that_is_not_there(start: str, tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL | {"tokenizer": {"start": start}})
    with pytest.raises(AigcError, match=f"{start}: no such checkpoint folder"):
        pretrain.run(project)


@pytest.mark.parametrize(
    ("name", "objective", "message"),
    [
        ("gpt2", "fill_in_middle", "fill in the middle needs three ids of its own, and the tokenizer has none"),
        ("t5", "span_corruption", "span corruption needs sentinels, and the tokenizer has none"),
        ("bert", "masked", "this objective hides tokens, and the tokenizer has no mask token"),
    ],
)
def test_a_tokenizer_without_the_tokens_that_an_objective_needs(
    name: str, objective: str, message: str, tmp_path: Path, split_runs: Path
) -> None:
    first = tiny_project(tmp_path, split_runs, pretrain=SMALL)
    pretrain.run(first)
    section = SMALL | {
        "tokenizer": {"start": str(_model_of(first))},
        "objective": objective,
        "model": {"family": name, "layers": 1, "width": 16, "heads": 2},
    }
    with pytest.raises(AigcError, match=message):
        pretrain.run(tiny_project(tmp_path / "second", split_runs, pretrain=section))
