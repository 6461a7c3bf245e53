"""Every knob of every command: one pydantic model per section of the project file."""

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from aigc.schema.documents import Clean, Split
from aigc.schema.evaluation import Evaluate
from aigc.schema.finetuning import Finetune
from aigc.schema.generation import Generate
from aigc.schema.search import Search
from aigc.schema.section import Section
from aigc.schema.training import Pretrain, Training

__all__ = ["SECTIONS", "Clean", "Evaluate", "Finetune", "Generate", "Pretrain", "Project", "Search", "Split", "Training"]


class Project(Section):
    """The whole project file."""

    name: str
    """the run's name: results go to <runs>/<name>/"""
    seed: int = Field(0, ge=0, lt=2**32)
    """the same seed, config and machine give the same bytes"""
    runs: Path = Path("runs")
    """where run folders lie"""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto takes a GPU where there is one"""
    clean: Clean | None = None
    """raw files into documents"""
    split: Split | None = None
    """documents into train, validation and test"""
    pretrain: Pretrain | None = None
    """a Transformer from nothing"""
    finetune: Finetune | None = None
    """a checkpoint adapted to the documents"""
    evaluate: Evaluate | None = None
    """the trained model on the test split"""
    generate: Generate | None = None
    """prompts into checked samples"""
    search: Search | None = None
    """values that a stage is best trained with"""

    @model_validator(mode="before")
    @classmethod
    def _empty_section_has_defaults(cls, data: Any) -> Any:
        """`split:` with nothing behind it asks for the stage with its defaults."""
        if not isinstance(data, dict):
            return data
        return {key: {} if value is None and key in SECTIONS else value for key, value in data.items()}

    @field_validator("name", mode="before")
    @classmethod
    def _names_a_folder(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and not re.fullmatch(r"\w[\w.-]{0,99}", value):
            raise ValueError("a name is letters, digits, '_', '-' and '.', for it names the run folder")
        return value


SECTIONS: dict[str, type[Section]] = {
    "clean": Clean,
    "split": Split,
    "pretrain": Pretrain,
    "finetune": Finetune,
    "evaluate": Evaluate,
    "generate": Generate,
}
