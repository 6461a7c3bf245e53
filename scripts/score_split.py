"""A finished split into the documents that leaked between its parts, and those that moved when the corpus grew."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from bench_corpus import alike

__all__ = ["PARTS", "leaks", "moved", "parts_of", "random_parts", "run_aigc"]

PARTS = ("train", "validation", "test")


def parts_of(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """A finished split stage: the text and the part of each document."""
    texts: dict[str, str] = {}
    part_of: dict[str, str] = {}
    for part in PARTS:
        for path in sorted(folder.glob(f"{part}-*.parquet")):
            frame = pl.read_parquet(path, columns=["id", "text"])
            texts.update(frame.iter_rows())
            part_of.update(dict.fromkeys(frame["id"], part))
    return texts, part_of


def leaks(texts: Mapping[str, str], part_of: Mapping[str, str]) -> list[str]:
    """Held-out documents that have a copy (Jaccard of unit-5-grams >= 0.7) in another part."""
    pairs = [pair for pair in alike(texts, 0.7) if part_of[pair[0]] != part_of[pair[1]]]
    return sorted({name for pair in pairs for name in pair if part_of[name] != "train"})


def random_parts(ids: Sequence[str], like: Mapping[str, str], seed: int = 0) -> dict[str, str]:
    """A seeded random split with the shares of another one; what scikit-learn's train_test_split(shuffle=True) does."""
    counts = Counter(like.values())
    order = list(ids)
    random.Random(seed).shuffle(order)
    ends = [round(len(order) * sum(counts[part] for part in PARTS[: i + 1]) / len(like)) for i in range(len(PARTS))]
    return {name: part for start, end, part in zip([0, *ends], ends, PARTS, strict=False) for name in order[start:end]}


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Documents in both splits that are in another part now."""
    return [name for name, part in before.items() if after.get(name, part) != part]


def run_aigc(folder: Path, source: Path, clean: Mapping[str, Any], *stages: str) -> Path:
    """Run stages of aigc on a file into `folder`, and return it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    project = {"name": folder.name, "seed": 1, "runs": str(folder.parent), "clean": {**clean, "input": str(source)}, "split": {}}
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump(project, allow_unicode=True), "utf-8")
    for stage in stages:
        if subprocess.run([sys.executable, "-m", "aigc", stage, str(path)], check=False).returncode:
            raise SystemExit(f"aigc {stage} failed on {path}")
    return folder
