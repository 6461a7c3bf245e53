"""Every knob of every command: one pydantic model per section of the project file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from aigc.core.rules.table import Rules

__all__ = ["FOREIGN_KEYS", "SECTIONS", "Clean", "Finetune", "Generate", "Pretrain", "Project", "Split", "Training"]


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
    """files to read: paths, globs, `samples:*` for the bundled corpus, or `-` for JSON lines on stdin"""
    text_field: str = "text"
    """the column or JSON field that holds the text"""
    id_field: str = "id"
    """the field that names a document; where it is missing, the id is made from the content"""
    max_failed: Share = 0.01
    """the share of broken rows above which the run stops"""
    rules: Rules = []
    """edits, measures with bounds, and duplicates, applied in this order"""


class Split(Section):
    """Documents into train, validation and test, by a stable hash of their content."""

    validation: Share = 0.05
    """share of documents for validation"""
    test: Share = 0.05
    """share of documents for the test split"""

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} + test {self.test:g} leaves nothing to train on")
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

FOREIGN_KEYS = {  # what other tools call our keys
    "lr": "learning_rate",
    "max_lr": "learning_rate",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "max_steps": "steps",
    "train_steps": "steps",
    "per_device_train_batch_size": "batch_size",
    "micro_batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "per_device_eval_batch_size": "batch_size",
    "gradient_accumulation_steps": "accumulate",
    "accumulation_steps": "accumulate",
    "block_size": "context",
    "cutoff_len": "context",
    "max_length": "context",
    "max_seq_length": "context",
    "sequence_len": "context",
    "seq_len": "context",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
    "lr_scheduler_type": "schedule",
    "lr_scheduler": "schedule",
    "max_grad_norm": "clip",
    "gradient_clip_val": "clip",
    "eval_steps": "evaluate_every",
    "save_steps": "checkpoint_every",
    "save_total_limit": "keep_checkpoints",
    "model_name_or_path": "start",
    "base_model": "start",
    "checkpoint_dir": "start",
    "stage": "task",
    "output_dir": "runs",
    "run_name": "name",
    "random_seed": "seed",
    "dataset": "input",
    "datasets": "input",
    "data_files": "input",
    "train_file": "input",
    "dataset_path": "input",
    "text_column": "text_field",
    "text_key": "text_field",
    "val_set_size": "validation",
    "val_size": "validation",
    "test_size": "test",
    "vocab_size": "vocabulary",
    "n_layer": "layers",
    "num_hidden_layers": "layers",
    "n_embd": "width",
    "hidden_size": "width",
    "n_head": "heads",
    "num_attention_heads": "heads",
    "max_new_tokens": "max_tokens",
    "num_return_sequences": "count",
    "n_samples": "count",
    "process": "rules",
    "filters": "rules",
}
