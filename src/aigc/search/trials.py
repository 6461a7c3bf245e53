"""A project in a folder of its own into a finished training, or one that was ended on the way."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc import learning, lineage, runs
from aigc.adaptation import finetuning
from aigc.errors import Stopped
from aigc.pretraining import pretraining
from aigc.schema import Project
from aigc.search.folders import evaluations

__all__ = ["Watch", "train"]

MAKERS = {"pretrain": pretraining, "finetune": finetuning}

Watch = Callable[[int, dict[str, Any]], bool]
"""Takes a step and what was measured there, and says whether the trial should end."""


def train(project: Project, stage: str, watch: Watch, interrupt: Callable[[int], bool]) -> bool:
    """Train a project that is in a folder of its own, going on from an unfinished try.

    Args:
        watch: told of every evaluation, those of an earlier try included.
        interrupt: asked after each step whether to stop there, to go on later.

    Returns:
        whether it came to its end; else `watch` ended it.

    Raises:
        Stopped: it can go on from here.
        AigcError: it cannot be trained.
    """
    with _alone(runs.root(project)):
        return _train(project, stage, watch, interrupt)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for a process of a search that was killed, which ends behind its next step."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _train(project: Project, stage: str, watch: Watch, interrupt: Callable[[int], bool]) -> bool:
    sources = lineage.sources(project, stage)
    complete = runs.why_not_current(project, stage, sources) is None  # the search was killed before it heard of this
    known = -1
    for line in evaluations(runs.root(project), stage):
        if watch(line["step"], line) and not complete:
            return False
        known = line["step"]
    if complete:
        return True
    ended = False

    def watched(step: int, line: dict[str, Any]) -> bool:
        nonlocal ended
        ended = step > known and watch(step, line)
        return ended

    try:
        learning.train_stage(project, MAKERS[stage](project), sources, interrupt=interrupt, watch=watched)
    except Stopped:
        if not ended:
            raise
        return False
    return True
