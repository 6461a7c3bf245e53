"""Every knob of every command: one pydantic model per section of the project file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from aigc.core.rules.table import Rules, name_of

__all__ = ["SECTIONS", "Clean", "Finetune", "Generate", "Pretrain", "Project", "Split", "Training"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, lt=1)]
Files = Annotated[
    list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str]), Field(min_length=1)
]  # one pattern or several


class Section(BaseModel):
    """Unknown keys are errors; values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Clean(Section):
    """Raw files into documents, with a ledger of every decision."""

    input: Files
    """files to read: paths, globs, folders, `samples:*` for the bundled corpus, `hub:owner/name`, or `-` for JSON lines on stdin"""
    text_field: str = "text"
    """the column or JSON field that holds the text"""
    id_field: str = "id"
    """the field that names a document; where it is missing, the id is made from the content"""
    encoding: str | None = None
    """of txt, csv, tsv, html and md files; by default it is found, file by file"""
    txt_documents: Literal["file", "paragraph", "line"] = "file"
    """what is a document in a txt file"""
    max_failed: Share = 0.01
    """the share of broken rows above which the run stops"""
    rules: Rules = Field(default=[{"preset": "default"}], validate_default=True)
    """edits, measures with bounds, duplicates and presets, applied in this order; [] for none"""
    warn_share: Share = 0.5
    """a preset that drops more than this share of a language is warned of"""
    engine: Literal["local", "ray"] = "local"
    """who carries the batches: this machine's cores, or a Ray cluster (RAY_ADDRESS, else one that is started here)"""


class Split(Section):
    """Documents into train, validation and test, by a stable hash of their content; what repeats is never separated."""

    validation: Annotated[float, Field(ge=0)] = 0.05
    """documents for validation: a share below 1, or a number of documents"""
    test: Annotated[float, Field(ge=0)] = 0.05
    """documents for the test split: a share below 1, or a number of documents"""
    similarity: Annotated[float, Field(ge=0.5, le=1)] | None = 0.7
    """documents whose 5-grams are this similar (Jaccard) stay together; null looks for copies only"""
    cluster_field: str | None = "cluster"
    """a column that names clusters of near-duplicates; where it is there, no others are searched for; null always searches"""
    group_by: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = []
    """columns whose value must not be in two parts, such as an author; each column by itself; an empty value groups nothing"""
    stratify: str | None = None
    """a column of classes: each has its share in every part, within 1 % or one cluster; a little less stable as a corpus grows"""
    by: str | None = None
    """a column of dates or numbers: the oldest documents are train, the newest test"""
    folds: int | None = Field(None, ge=2, le=100)
    """k-fold: a column `fold` is added, and one fold takes the place of validation, whose own size is not used then"""
    fold: int = Field(0, ge=0)
    """which fold is validation, from 0; run the others with split.fold=1 name=... and so on"""
    keep: Path | None = None
    """the folder of an earlier split: its documents, by id, keep their part"""
    max_leak: Share = 0.0
    """the share of held-out documents with a copy or near-duplicate in train above which the stage fails"""

    @field_validator("validation", "test")
    @classmethod
    def _is_share_or_number(cls, value: float) -> float:
        if value >= 1 and (value == 1 or value != int(value)):
            raise ValueError("a share is less than 1, and a number of documents is whole and 2 or more")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        share = sum(value for value in (self.validation, self.test) if value < 1)
        if share >= 1:
            raise ValueError(f"validation {self.validation:g} + test {self.test:g} leaves nothing to train on")
        for other in ("stratify", "folds", "keep"):
            if self.by is not None and getattr(self, other) is not None:
                raise ValueError(f"by cuts in time, so {other} cannot be had as well; leave one out")
        if self.fold and self.fold >= (self.folds or 0):
            raise ValueError(f"fold {self.fold} needs folds of {self.fold + 1} or more (they are counted from 0)")
        return self


class Tokenizer(Section):
    """A byte-level BPE tokenizer, trained on the training split."""

    vocabulary: int = Field(8192, ge=300, le=1_000_000)
    """entries, the 256 bytes and the end-of-text token included"""


class Architecture(Section):
    """A decoder built by transformers."""

    family: Literal["gpt2", "llama"] = "gpt2"
    """the kind of Transformer"""
    layers: int = Field(6, ge=1)
    """Transformer blocks"""
    width: int = Field(384, ge=8)
    """size of the hidden state"""
    heads: int = Field(6, ge=1)
    """attention heads; they divide the width"""
    dropout: Share = 0.0
    """share of activations dropped in training (gpt2)"""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.family == "llama" and self.width // self.heads % 2:
            raise ValueError(f"width {self.width} / heads {self.heads} must be even (rotary positions)")
        return self


class Training(Section):
    """What pretrain and finetune share."""

    document: str = "{text}"
    """template that turns a document's fields into the text to learn, e.g. "{title}\\n{text}" """
    context: int = Field(512, ge=8)
    """tokens in a row, and the most that the model sees at once"""
    batch_size: int = Field(8, ge=1)
    """rows of `context` tokens that pass through the model at once"""
    accumulate: int = Field(1, ge=1)
    """batches whose gradients make one step"""
    epochs: float = Field(1.0, gt=0)
    """passes over the training split"""
    steps: int | None = Field(None, ge=1)
    """optimiser steps; where they are given, epochs do not count"""
    learning_rate: float = Field(1e-3, gt=0)
    """the highest, after warm-up"""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the learning rate falls after warm-up, to a tenth (cosine) or zero (linear)"""
    warmup: Share = 0.05
    """share of the steps in which the learning rate rises from zero"""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW's, on matrices only"""
    clip: float = Field(1.0, gt=0)
    """largest gradient norm"""
    evaluate_every: int | None = Field(None, ge=1)
    """steps between validation losses (default: ten times a run)"""
    checkpoint_every: int | None = Field(None, ge=1)
    """steps between checkpoints (default: ten times a run)"""
    keep_checkpoints: int = Field(2, ge=1)
    """how many of the last checkpoints stay"""


class Pretrain(Training):
    """A Transformer from nothing, on the training split."""

    tokenizer: Tokenizer = Tokenizer()
    """the tokenizer to train"""
    model: Architecture = Architecture()
    """the architecture to build"""


class Finetune(Training):
    """A checkpoint adapted to the training split."""

    start: str | None = None
    """a checkpoint folder or a hub name (default: this project's pretrained model)"""
    task: Literal["language_model", "instruct"] = "language_model"
    """learn whole documents, or only completions after their prompts"""
    prompt: str = "{prompt}\n"
    """instruct: template of the prompt, which is read but not learned"""
    completion: str = "{text}"
    """instruct: template of the completion, which is learned"""
    learning_rate: float = Field(5e-5, gt=0)
    """the highest, after warm-up"""


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
    generate: Generate | None = None
    """prompts into checked samples"""

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
    "generate": Generate,
}
