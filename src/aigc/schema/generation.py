"""The section that generates."""

from typing import Any

from pydantic import Field, field_validator

from aigc.core.rules.table import Rules, name_of
from aigc.schema.section import Section

__all__ = ["Generate"]


class Generate(Section):
    """Prompts in, checked samples out."""

    checkpoint: str | None = None
    """a checkpoint folder or hub name (default: this project's finetuned, else pretrained model)"""
    prompts: str | list[str | dict[str, Any]] | None = None
    """a file (jsonl, csv, txt, parquet), `-` for stdin, or a list of texts or rows; by default one row with no fields"""
    prompt: str = "{prompt}"
    """template filled from each row's fields, e.g. "{title}\\n" """
    output: str | None = None
    """where accepted rows go instead of the run folder: a file, or `-` for stdout"""
    count: int = Field(1, ge=1)
    """samples per prompt"""
    max_tokens: int = Field(128, ge=1)
    """most new tokens per sample"""
    temperature: float = Field(0.8, ge=0)
    """0 takes the likeliest token each time"""
    top_k: int = Field(50, ge=0)
    """draw from the k likeliest tokens; 0 for all"""
    top_p: float = Field(0.95, gt=0, le=1)
    """draw from the likeliest tokens that together reach this probability"""
    batch_size: int = Field(16, ge=1)
    """samples drawn at once"""
    rules: Rules = []
    """the same rules as clean's, applied to each sample"""

    @field_validator("rules")
    @classmethod
    def _can_judge_a_sample(cls, rules: Any) -> Any:
        for rule in rules:
            if not rule.on_samples:
                raise ValueError(f"{name_of(rule)} must have seen a whole corpus: it is a rule for clean")
        return rules
