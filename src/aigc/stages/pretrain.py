"""`aigc pretrain`: a tokenizer and a Transformer from nothing, on the training split."""

from collections.abc import Callable

from aigc import lineage, proof
from aigc.learning import train_stage
from aigc.pretraining import pretraining
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project, *, verify_resume: bool = False) -> None:
    """Train on the project's training split.

    Args:
        verify_resume: instead prove, on a few steps, that a run that was killed goes on to the same weights.
    """
    if verify_resume:
        proof.prove_resume(project, "pretrain", _train)
    else:
        _train(project, lambda _: False)


def _train(project: Project, interrupt: Callable[[int], bool]) -> None:
    train_stage(project, pretraining(project), lineage.sources(project, "pretrain"), interrupt=interrupt)
