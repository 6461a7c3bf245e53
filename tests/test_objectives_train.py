"""Every objective with every family that it is for, through `aigc pretrain` and into plain transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

from aigc import runs
from aigc.schema import Project
from aigc.schema.objectives import FAMILIES
from aigc.stages import finetune, pretrain
from projects import SMALL, tiny_project

PAIRS = [(name, family) for name, families in FAMILIES.items() for family in families]
MODEL = SMALL["model"]
KINDS = {"gpt2": "bpe", "llama": "unigram", "bert": "wordpiece", "t5": "unigram", "bart": "bpe"}
AUTO: dict[str, Any] = {
    "gpt2": AutoModelForCausalLM,
    "llama": AutoModelForCausalLM,
    "bert": AutoModelForMaskedLM,
    "t5": AutoModelForSeq2SeqLM,
    "bart": AutoModelForSeq2SeqLM,
}
TEXT = "The river of day 3 is high. 春天来了。"


def trained(project: Project) -> Path:
    pretrain.run(project)
    return runs.stage_folder(project, "pretrain")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def loaded(folder: Path, auto: Any) -> Any:
    model, info = auto.from_pretrained(folder / "model", output_loading_info=True)
    assert not info["missing_keys"]
    return model.eval()


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_it_is_trained_and_loads_in_plain_transformers(name: str, family: str, tmp_path: Path, split_runs: Path) -> None:
    section = SMALL | {
        "objective": name,
        "model": {**MODEL, "family": family},
        "tokenizer": {"kind": KINDS[family], "vocabulary": 500},
    }
    folder = trained(tiny_project(tmp_path, split_runs, pretrain=section))
    lines = metrics(folder)
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert all(np.isfinite(line["loss"]) for line in lines[1:])
    assert ("sequence_accuracy" in lines[-1]) == name.startswith("masked+")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert (report["objective"], report["family"]) == (name, family)
    assert 0 < report["training"]["label_share"] <= 1
    assert (folder / "report.html").stat().st_size > 1000
    assert not (folder / "tokens").exists()
    assert (folder / "samples.jsonl").exists() == (family in ("gpt2", "llama"))

    model, tokenizer = loaded(folder, AUTO[family]), AutoTokenizer.from_pretrained(folder / "model")
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        if family in ("t5", "bart"):
            start = model.config.decoder_start_token_id
            assert start == model.generation_config.decoder_start_token_id
            out = model(**inputs, decoder_input_ids=torch.tensor([[start]]))
        else:
            out = model(**inputs)
    assert out.logits.shape[-1] >= len(tokenizer)
    assert torch.isfinite(out.logits).all()
    if family != "bert":
        said = model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
        assert said.shape[1] >= 3
    if name.startswith("masked+"):
        pairs = loaded(folder, AutoModelForPreTraining)
        assert pairs(**inputs).seq_relationship_logits.shape == (1, 2)


def test_all_that_can_be_asked_for_at_once(tmp_path: Path, split_runs: Path) -> None:
    section = SMALL | {
        "model": {**MODEL, "dropout": 0.2},
        "document": "{title}\n{text}",
        "mixture": {"by": "source", "weights": {"en": 1, "zh": 3}},
        "accumulate": 2,
        "steps": 12,
        "average": 0.9,
        "schedule": "wsd",
        "warmup": "25%",
        "patience": 10,
        "evaluate_every": 3,
        "checkpoint_every": 5,
        "keep": {"last": 1, "best": 2},
        "track": "tensorboard",
        "learning_rate": 1e-2,
        "gradient_checkpointing": True,
    }
    folder = trained(tiny_project(tmp_path, split_runs, pretrain=section))
    lines = metrics(folder)
    assert [line["step"] for line in lines if "validation_loss" in line] == [0, 3, 6, 9, 12]
    rates = [line["learning_rate"] for line in lines[1:]]
    assert rates[:3] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    assert rates[3:10] == pytest.approx([1e-2] * 7)
    assert rates[-1] < rates[-2] < 1e-2
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    kept = sorted(int(path.name.removeprefix("step-")) for path in (folder / "checkpoints").iterdir())
    losses = {line["step"]: line["validation_loss"] for line in lines if line.get("validation_loss") and line["step"]}
    assert set(sorted(losses, key=lambda step: losses[step])[:2]) <= set(kept)
    assert 12 in kept
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["stopped_early"] is None
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [sample["step"] for sample in samples] == [step for step in (0, 3, 6, 9, 12) for _ in range(3)]


def test_the_validation_loss_is_that_of_the_model_which_was_written(tmp_path: Path, split_runs: Path) -> None:
    import polars as pl

    section = SMALL | {"model": {**MODEL, "dropout": 0.1}, "steps": 6, "average": 0.5, "learning_rate": 1e-2}
    project = tiny_project(tmp_path, split_runs, pretrain=section)
    folder = trained(project)
    model, tokenizer = loaded(folder, AutoModelForCausalLM), AutoTokenizer.from_pretrained(folder / "model")
    nats, labels = 0.0, 0
    split = runs.stage_folder(project, "split")
    for text in pl.read_parquet(split / "validation-*.parquet")["text"]:
        ids = [*tokenizer(text).input_ids, tokenizer.eos_token_id]
        assert ids[0] == tokenizer.bos_token_id
        for first in range(0, max(len(ids) - 1, 1), 64):  # in pieces of the context, each read by itself
            piece = torch.tensor([ids[first : first + 65]])
            with torch.no_grad():
                logits = model(input_ids=piece[:, :-1]).logits[0]
            nats += torch.nn.functional.cross_entropy(logits, piece[0, 1:], reduction="sum").item()
            labels += piece.shape[1] - 1
    last = metrics(folder)[-1]
    assert last["validation_loss"] == pytest.approx(nats / labels, rel=1e-4)


def test_a_finetune_goes_on_from_it_and_learns_completions_alone(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(
        tmp_path,
        split_runs,
        pretrain=SMALL,
        finetune={"task": "instruct", "prompt": "{title}\n", "context": 64, "batch_size": 2, "steps": 2, "max_truncated": "50%"},
    )
    base = trained(project)
    finetune.run(project)
    folder = runs.stage_folder(project, "finetune")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert 0.5 < report["training"]["label_share"] < 1
    assert (
        report["validation_losses"][0]["loss"]
        != json.loads((base / "report.json").read_text("utf-8"))["validation_losses"][0]["loss"]
    )
    before, after = loaded(base, AutoModelForCausalLM), loaded(folder, AutoModelForCausalLM)
    assert any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


def test_the_same_project_gives_the_same_bytes(tmp_path: Path, split_runs: Path) -> None:
    written = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        section = SMALL | {"model": {**MODEL, "dropout": 0.2}}
        folder = trained(tiny_project(tmp_path / place, split_runs, pretrain=section))
        names = ("model/model.safetensors", "model/tokenizer.json", "report.json", "samples.jsonl")
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]
