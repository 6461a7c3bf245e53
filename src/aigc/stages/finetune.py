"""`aigc finetune`: a checkpoint adapted to the training split."""

from aigc import lineage, tasks
from aigc.learning import train_stage
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Go on from a checkpoint, on whole documents or on completions after prompts."""
    sources = lineage.sources(project, "finetune")
    train_stage(project, tasks.finetuning(project), sources)
