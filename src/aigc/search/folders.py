"""A trial's folder: a run folder of its own, with what the stage reads linked into it, and without weights that did not win."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aigc import lineage, runs
from aigc.schema import Project

__all__ = ["evaluations", "in_own_folder", "lighten"]

METRICS = "metrics.jsonl"
WEIGHTS = ("model", "checkpoints")


def in_own_folder(project: Project, stage: str, folder: Path) -> Project:
    """The project with `folder` for its run folder; what the stage reads is linked there, and no tracker is told."""
    sources = lineage.sources(project, stage)
    folder.mkdir(parents=True, exist_ok=True)
    for name in sources.stages:
        link, there = folder / name, runs.stage_folder(project, name)
        if not link.is_symlink():
            link.symlink_to(there.resolve(), target_is_directory=True)
    section = getattr(project, stage).model_copy(update={"track": []})
    return project.model_copy(update={"runs": folder.parent, "name": folder.name, stage: section, "search": None})


def evaluations(folder: Path, stage: str) -> list[dict[str, Any]]:
    """The lines of a trial's metrics.jsonl that have something measured on the validation split."""
    places = (folder / stage / METRICS, folder / METRICS, folder / f".{stage}.partial" / METRICS)
    path = next((place for place in places if place.exists()), None)
    return [line for line in _lines(path) if "validation_loss" in line] if path else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text("utf-8").split("\n"):
        try:
            yield json.loads(text)
        except ValueError:  # the last line of a run that was killed
            return


def lighten(folder: Path, stage: str, *, model: bool) -> None:
    """Remove what a trial that has ended needs no more: checkpoints, and its weights unless it is the best."""
    partial = folder / f".{stage}.partial"
    if (partial / METRICS).exists():
        (partial / METRICS).replace(folder / METRICS)
    shutil.rmtree(partial, ignore_errors=True)
    for name in WEIGHTS[1:] if model else WEIGHTS:
        shutil.rmtree(folder / stage / name, ignore_errors=True)
