"""`aigc finetune`: a checkpoint adapted to the training split."""

from collections.abc import Callable

from aigc import lineage, proof
from aigc.adaptation import finetuning
from aigc.learning import train_stage
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project, *, verify_resume: bool = False) -> None:
    """Go on from a checkpoint, towards the task of the section.

    Args:
        verify_resume: instead prove, on a few steps, that a run that was killed goes on to the same weights.
    """
    if verify_resume:
        proof.prove_resume(project, "finetune", _train)
    else:
        _train(project, lambda _: False)


def _train(project: Project, interrupt: Callable[[int], bool]) -> None:
    train_stage(project, finetuning(project), lineage.sources(project, "finetune"), interrupt=interrupt)
