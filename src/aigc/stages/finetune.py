"""`aigc finetune`: a checkpoint adapted to the training split."""

from collections.abc import Callable

from aigc import lineage, proof, runs
from aigc.adaptation import finetuning
from aigc.learning import train_stage
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project, *, verify_resume: bool = False) -> None:
    """Go on from a checkpoint, towards the task of the section.

    Args:
        verify_resume: instead prove, on a few steps, that a run that was killed goes on to the same weights.
    """
    section = project.finetune
    if verify_resume and section is not None:
        start = section.start or str(runs.stage_folder(project, "pretrain") / "model")  # the proof's run folder has no pretrain
        whole = section.model_copy(update={"start": start})
        proof.prove_resume(project.model_copy(update={"finetune": whole}), "finetune", _train)
    else:
        _train(project, lambda _: False)


def _train(project: Project, interrupt: Callable[[int], bool]) -> None:
    train_stage(project, finetuning(project), lineage.sources(project, "finetune"), interrupt=interrupt)
