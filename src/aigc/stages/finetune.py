"""`aigc finetune`: a checkpoint adapted to the training split."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from aigc import lineage, runs
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.learning import train_stage
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Go on from a checkpoint, on whole documents or on completions after prompts."""
    sources = lineage.sources(project, "finetune")
    section = project.finetune
    assert section is not None
    start = section.start or str(runs.stage_folder(project, "pretrain") / "model")
    instruct = section.task == "instruct"

    def build(_split: Path, device: torch.device) -> tuple[PreTrainedModel, TextCodec]:
        return checkpoints.load(start, device)

    templates = (section.completion, section.prompt) if instruct else (section.document, "")
    train_stage(project, "finetune", section, sources, build=build, templates=templates, whole=instruct)
