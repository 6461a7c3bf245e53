"""Tiny projects for tests of the stages that train, in the test's own process."""

import json
import shutil
from pathlib import Path
from typing import Any

from aigc.schema import Project
from aigc.stages import clean, split

__all__ = ["SMALL", "split_once", "tiny_project"]

SMALL = {
    "tokenizer": {"vocabulary": 400},
    "model": {"layers": 1, "width": 16, "heads": 2},
    "context": 64,
    "batch_size": 2,
    "steps": 2,
}
NOUNS = ["river", "stone", "cloud", "paper", "window", "garden", "letter", "market", "winter", "doctor"]
VERBS = ["is high", "was old", "fell down", "came late", "grew dark"]
WORDS = ["春天", "花园", "雨声", "散步", "窗户", "天气", "生活", "语言", "早市", "灯塔"]


def _document(number: int) -> dict[str, str]:
    noun, other, verb = NOUNS[number % 10], NOUNS[number // 10 % 10], VERBS[number % 5]
    if number % 3:
        parts = [
            f"The {noun} of day {number} {verb}. We saw the {other}.",
            f"Then the {noun} and the {other} were gone. It rained.",
        ]
    else:
        word, more = WORDS[number % 10], WORDS[number // 10 % 10]
        parts = [f"{word}来了，{number}天以后是{more}。我们去看{more}。", f"他说{word}很好。她也说{more}很好。"]
    return {"title": f"{noun} {number}", "source": "en" if number % 3 else "zh", "text": "\n\n".join(parts)}


def split_once(folder: Path) -> Path:
    """A folder of run folders, of which `p` has clean and split, of 120 documents."""
    (folder / "a.jsonl").write_text("".join(json.dumps(_document(i), ensure_ascii=False) + "\n" for i in range(120)), "utf-8")
    project = Project.model_validate(
        {
            "name": "p",
            "runs": folder / "runs",
            "clean": {"input": str(folder / "a.jsonl"), "rules": []},
            "split": {"validation": 0.2, "test": 0.1, "similarity": None},
        }
    )
    clean.run(project)
    split.run(project)
    return folder / "runs"


def tiny_project(folder: Path, runs: Path, **sections: Any) -> Project:
    """A project with a copy of those run folders in a folder of its own."""
    shutil.copytree(runs, folder / "runs", symlinks=True)
    source = str(runs.parent / "a.jsonl")
    sections = {"clean": {"input": source, "rules": []}, "split": {"validation": 0.2, "test": 0.1, "similarity": None}} | sections
    return Project.model_validate({"name": "p", "runs": folder / "runs", "device": "cpu"} | sections)
