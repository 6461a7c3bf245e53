"""The section that generates."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from aigc.core.rules.table import Rules, name_of
from aigc.schema.decoding import BestOf, Constrain, Discourage, Draft, Plan, Texts, Watermark
from aigc.schema.labels import Label
from aigc.schema.section import Section

__all__ = ["Generate"]


class Generate(Section):
    """Prompts in, checked samples out."""

    checkpoint: str | None = None
    """a checkpoint folder or hub name (default: this project's finetuned, else pretrained model)"""
    prompts: str | list[str | dict[str, Any]] | None = None
    """a file (jsonl, csv, txt, parquet), `-` for stdin, or a list of texts or rows; by default one row with no fields"""
    prompt: str = "{prompt}"
    """template filled from each row's fields, e.g. "{title}\\n"; `{tone|calm}` is calm where the row has no tone """
    chat: bool = False
    """ask by the checkpoint's chat template: the prompt is what a user says, and the text is the answer"""
    begin: str = ""
    """template of the first words of each text, which the model goes on from: they are part of it, and the bounds below do not
    count them"""
    plan: Plan | None = None
    """write a long text part by part: a title, an outline, the sections"""
    output: str | None = None
    """where accepted rows go instead of the run folder: a file, or `-` for stdout"""
    ordered: bool = False
    """write rows in the order of their prompts, instead of as they are finished"""
    count: int = Field(1, ge=1)
    """samples per prompt"""
    engine: Literal["auto", "torch", "openvino", "vllm"] = "auto"
    """who runs the model; auto takes vllm on GPUs and openvino on CPUs, where they are installed and the model is worth it"""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """of the weights: fp32 on CPUs and bf16 on GPUs by default; int8 is for openvino, where it does no harm to the model"""
    workers: int | None = Field(None, ge=1)
    """so many workers of a Ray cluster, each with an engine of its own"""
    batch_size: int = Field(16, ge=1)
    """samples drawn at once"""
    max_tokens: int = Field(128, ge=1)
    """most new tokens per sample"""
    min_tokens: int = Field(0, ge=0)
    """new tokens before which no sample ends"""
    max_characters: int | None = Field(None, ge=1)
    """most characters per sample"""
    max_sentences: int | None = Field(None, ge=1)
    """most sentences per sample"""
    stop: Texts = []
    """texts that end a sample; they are not part of it"""
    temperature: float = Field(0.8, ge=0)
    """0 takes the likeliest token each time"""
    top_k: int = Field(50, ge=0)
    """draw from the k likeliest tokens; 0 for all"""
    top_p: float = Field(0.95, gt=0, le=1)
    """draw from the likeliest tokens that together reach this probability"""
    min_p: float = Field(0, ge=0, lt=1)
    """draw from tokens with at least this share of the likeliest one's probability"""
    typical_p: float = Field(1, gt=0, le=1)
    """draw from the tokens nearest to the expected information that together reach this probability"""
    repetition_penalty: float = Field(1, gt=0)
    """divides the scores of tokens that were there before; 1 for none"""
    no_repeat_ngram: int = Field(0, ge=0)
    """no run of so many tokens comes twice; 0 allows all"""
    beams: int = Field(1, ge=1, le=64)
    """beam search, instead of drawing"""
    contrastive: float = Field(0, ge=0, lt=1)
    """contrastive search among the top_k tokens with this penalty for what resembles the text so far, instead of drawing"""
    banned: list[str] | Path = []
    """texts that are never written, or a file with one in each line"""
    discourage: Discourage | None = None
    """texts that are written less often"""
    constrain: Constrain | None = None
    """the form that each sample must have"""
    draft: Draft | None = None
    """a small checkpoint that guesses ahead"""
    best_of: BestOf | None = None
    """several candidates for each sample"""
    watermark: Watermark | None = None
    """a statistical mark in the choice of tokens"""
    rules: Rules = []
    """the same rules as clean's, applied to each sample"""
    retries: int = Field(0, ge=0, le=100)
    """draw a rejected sample again, at most so often"""
    label: Label | None = None
    """labels that say the content is generated, for `aigc export`"""

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        given = [name for name, is_set in (("beams", self.beams > 1), ("contrastive", self.contrastive > 0)) if is_set]
        if len(given) > 1:
            raise ValueError("beams and contrastive are two ways to choose tokens: use one of them")
        if self.contrastive and self.top_k < 2:
            raise ValueError("contrastive search chooses among top_k tokens: top_k must be 2 or more")
        if given and (self.count > 1 or self.retries or self.best_of is not None):
            raise ValueError(f"{given[0]} finds the same text each time: leave out count, retries and best_of")
        if self.watermark is not None and self.watermark.kind == "synthid" and (self.temperature == 0 or given):
            raise ValueError("a synthid watermark lies in how tokens are drawn: with the likeliest ones use kind: greenlist")
        if self.plan is not None:
            others = ("begin", "max_characters", "max_sentences", "min_tokens", "constrain", "best_of")
            if found := [name for name in others if getattr(self, name)]:
                raise ValueError(f"plan says how long its parts are and what they look like: leave out {', '.join(found)}")
        if self.begin and self.constrain is not None:
            raise ValueError("constrain is the form of a whole text, and begin its first words: use one of them")
        if self.precision == "int8" and self.engine not in ("auto", "openvino"):
            raise ValueError("precision int8 is for engine openvino")
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens is above max_tokens")
        return self

    def reads(self) -> list[Path]:
        """Files beside the prompts and the checkpoint that decide what a sample says."""
        given: list[Any] = [self.banned]
        given += [self.discourage.phrases] if self.discourage is not None else []
        given += [self.constrain.json_schema] if self.constrain is not None else []
        own = [one.expanduser() for one in given if isinstance(one, Path)]
        return [*own, *sorted({path for rule in self.rules for path in rule.reads()})]

    @field_validator("rules")
    @classmethod
    def _can_judge_a_sample(cls, rules: Any) -> Any:
        for rule in rules:
            if not rule.on_samples:
                raise ValueError(f"{name_of(rule)} must have seen a whole corpus: it is a rule for clean")
        return rules
