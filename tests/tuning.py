"""Projects that finetune tiny checkpoints, in the test's own process."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from aigc import runs
from aigc.schema import Project
from aigc.stages import clean, finetune, pretrain, split
from projects import NOUNS, SMALL, tiny_project

__all__ = ["LONGER", "STEPS", "bases_in", "losses", "project_of", "rewritten", "tabled_in", "tuned"]

STEPS = {"steps": 8, "batch_size": 4, "context": 64, "learning_rate": 1e-2, "evaluate_every": 4, "max_truncated": "60%"}
LONGER = {"steps": 150, "learning_rate": 3e-3, "evaluate_every": 50}


def bases_in(folder: Path, split_runs: Path) -> dict[str, Path]:
    """A decoder, an encoder and an encoder-decoder, pretrained for two steps."""
    found = {}
    for family in ("gpt2", "bert", "t5"):
        section = SMALL | {"model": {"family": family, "layers": 2, "width": 32, "heads": 2}, "context": 128}
        if family == "bert":
            section |= {"tokenizer": {"kind": "wordpiece", "vocabulary": 400}}
        project = tiny_project(folder / family, split_runs, pretrain=section)
        pretrain.run(project)
        found[family] = runs.stage_folder(project, "pretrain") / "model"
    return found


def tabled_in(folder: Path) -> Path:
    """Run folders of documents with a topic, a number, chats, and pairs of a good and a bad answer."""
    rows = []
    for number in range(160):
        noun, other = NOUNS[number % 4], NOUNS[number // 4 % 10]
        good, bad = f"The {noun} is near the {other}.", f"No idea about {other}, {number} times no."
        rows.append(
            {
                "text": f"Number {number}: we saw the {noun}, as on day {number % 7}. It was a {noun}.",
                "topic": noun,
                "length": number % 10 / 10,
                "prompt": f"Where is the {noun} of day {number}?",
                "chosen": good,
                "rejected": bad,
                "messages": [
                    {"role": "user", "content": f"Where is the {noun} {number}?"},
                    {"role": "assistant", "content": good},
                ],
            }
        )
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    project = Project.model_validate({"name": "p", "runs": folder / "runs", **_data(folder)})
    clean.run(project)
    split.run(project)
    return folder


def _data(folder: Path) -> dict[str, Any]:
    return {
        "clean": {"input": str(folder / "a.jsonl"), "rules": []},
        "split": {"validation": 0.2, "test": 0.2, "similarity": None, "max_leak": 0.9},
    }


def project_of(folder: Path, data: Path, **section: Any) -> Project:
    """A project with a copy of the data's run folders, whose finetune section has these keys."""
    shutil.copytree(data / "runs", folder / "runs")
    sections = {"finetune": STEPS | {"answers": 4, "answer_tokens": 8} | section}
    return Project.model_validate({"name": "p", "runs": folder / "runs", "device": "cpu", **_data(data), **sections})


def tuned(folder: Path, data: Path, **section: Any) -> tuple[Path, dict[str, Any]]:
    """The finished stage's folder and its report."""
    project = project_of(folder, data, **section)
    finetune.run(project)
    found = runs.stage_folder(project, "finetune")
    return found, json.loads((found / "report.json").read_text("utf-8"))


def losses(report: dict[str, Any], name: str = "loss") -> list[float]:
    return [line[name] for line in report["validation_losses"]]


def rewritten(data: Path, folder: Path, part: str, **columns: Sequence[Any] | pl.Expr) -> Path:
    """The data with other columns in a part of its split."""
    shutil.copytree(data, folder)
    for path in (folder / "runs" / "p" / "split").glob(f"{part}-*.parquet"):
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)
    return folder
