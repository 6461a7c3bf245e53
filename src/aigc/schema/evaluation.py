"""The section that measures a trained model on documents that it never saw."""

from typing import Literal

from pydantic import Field

from aigc.schema.section import Section

__all__ = ["Evaluate"]


class Evaluate(Section):
    """The test split's figures, with intervals, beside those of the checkpoint that training began with."""

    model: Literal["finetune", "pretrain"] | None = None
    """of which stage (default: finetune, else pretrain)"""
    part: Literal["test", "validation"] = "test"
    """of the split"""
    answers: int = Field(200, ge=0)
    """the most prompts that are answered, for ROUGE, BLEU, chrF and exact match"""
    answer_tokens: int = Field(64, ge=1)
    """the most tokens of an answer"""
    resamples: int = Field(1000, ge=100)
    """bootstrap samples that the 95 % intervals are taken from"""
    batch_size: int = Field(8, ge=1)
    """so many times `context` tokens pass through the model at once"""
