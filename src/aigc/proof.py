"""A proof that a run which was killed goes on to the same weights: a few steps of the user's own config, three times."""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from aigc import console, runs
from aigc.core.training import snapshots
from aigc.errors import AigcError, Stopped
from aigc.schema import Project

__all__ = ["prove_resume"]

STEPS, KILLED, EVERY = 7, 5, 2  # steps in all; where it is killed; steps between checkpoints

Train = Callable[[Project, Callable[[int], bool]], None]


def prove_resume(project: Project, name: str, train: Train) -> None:
    """Train a few steps at once, then again with a `kill -9` among them, and compare every byte of the two last checkpoints.

    Args:
        train: a function of a module (it is run in a process of its own) that trains a project, and asks after each step whether
            to stop.

    Raises:
        AigcError: the two differ, a run failed, or it has too few steps.
    """
    section = getattr(project, name)
    short = AigcError(f"{name}: the proof takes {STEPS} steps, and the run has no more; set {name}.steps to {STEPS + 1} or more")
    if section.steps is not None and section.steps <= STEPS:
        raise short
    changed = section.model_copy(update={"checkpoint_every": EVERY, "evaluate_every": EVERY, "patience": None, "track": []})
    ends = []
    with tempfile.TemporaryDirectory(prefix="aigc-proof-") as folder:
        for way in ("at once", "killed"):
            copy = project.model_copy(update={"runs": Path(folder) / way, name: changed})
            shutil.copytree(runs.stage_folder(project, "split"), runs.root(copy) / "split")
            if way == "killed":
                _start(train, copy, KILLED, kill=True)
                console.note(f"{name}: killed behind step {KILLED} of {STEPS}; going on from the checkpoint before")
            _start(train, copy, STEPS, kill=False)
            if runs.manifest_of(runs.root(copy) / name) is not None:  # it came to its end
                raise short
            found = snapshots.latest(runs.follow(copy, name).folder / "checkpoints", console.warn)
            if found is None or found.name != f"step-{STEPS}":
                raise AigcError(f"{name}: the proof did not come to step {STEPS}")
            ends.append({path.name: runs.sha256(path) for path in sorted(found.iterdir()) if path.name != "complete.json"})
    differ = [file for file in ends[0] if ends[0][file] != ends[1].get(file)]
    if differ or ends[0].keys() != ends[1].keys():
        raise AigcError(f"{name}: a run that was killed and resumed is not the run at once: {', '.join(differ)} differ")
    console.note(
        f"{name}: {STEPS} steps at once and {STEPS} steps with a kill behind step {KILLED} end in the same bytes "
        f"({', '.join(f'{file} {digest[:12]}' for file, digest in ends[0].items())})"
    )


def _start(train: Train, project: Project, last: int, *, kill: bool) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(train, project, last, kill))
    child.start()
    child.join()
    wanted = -signal.SIGKILL if kill else 0
    if child.exitcode != wanted:
        raise AigcError(f"the proof's run ended with exit code {child.exitcode}; what it said stands above")


def _run(train: Train, project: Project, last: int, kill: bool) -> None:
    def interrupt(step: int) -> bool:
        if step == last and kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return step == last

    try:
        train(project, interrupt)
    except Stopped:
        return
    except AigcError as error:
        print(f"aigc: {error}", file=sys.stderr)
        sys.exit(1)
