"""The sections that train: pretrain and finetune."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from aigc.schema.objectives import FAMILIES, Objective, default_objective, objective_model
from aigc.schema.section import Portion, Section, Share, listed

__all__ = ["Pretrain", "Training"]


Word = Literal["tiny", "small", "base"]
LEAST = 10_000  # parameters of a model


def _size(value: Any) -> Any:
    """`1e8` is a number of parameters too."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if number not in get_args(Word) and (type(number) is not int or number < LEAST):
        raise ValueError(f"expected {', '.join(get_args(Word))} or a number of parameters, {LEAST:,} or more")
    return number


def _switch(value: Any) -> Any:
    if value != "auto" and not isinstance(value, bool):
        raise ValueError("expected auto, true or false")
    return value


class Tokenizer(Section):
    """Text into tokens: trained on the training split, or taken from a checkpoint."""

    kind: Literal["bpe", "wordpiece", "unigram"] = "bpe"
    """byte-level BPE (nothing is unknown to it), WordPiece (each Han character apart) or Unigram"""
    vocabulary: int = Field(8192, ge=300, le=1_000_000)
    """entries, special tokens included"""
    start: str | None = None
    """take the tokenizer of this checkpoint folder or hub name, and train none"""


class Architecture(Section):
    """A Transformer of random weights, built by transformers."""

    family: Literal["gpt2", "llama", "bert", "t5", "bart"] = "gpt2"
    """the kind of Transformer: a decoder (gpt2, llama), an encoder (bert) or an encoder-decoder (t5, bart)"""
    size: Annotated[Word | Annotated[int, Field(ge=LEAST)], BeforeValidator(_size)] | None = None
    """one dial for layers, width and heads: a word, or about so many parameters; `small` is the default"""
    layers: int | None = Field(None, ge=1)
    """Transformer blocks (of each half, where there are two)"""
    width: int | None = Field(None, ge=8)
    """size of the hidden state"""
    heads: int | None = Field(None, ge=1)
    """attention heads; they divide the width"""
    dropout: Share = 0.0
    """share of activations dropped in training (not for llama)"""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = [name for name in ("layers", "width", "heads") if getattr(self, name) is not None]
        if self.size is not None and given:
            raise ValueError(f"size decides layers, width and heads: leave out size or {', '.join(given)}")
        if given and len(given) < 3:
            missing = sorted({"layers", "width", "heads"} - set(given))
            raise ValueError(f"{' and '.join(missing)} must be given as well, or size instead of all")
        if self.width and self.heads:
            if self.width % self.heads:
                raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
            if self.family == "llama" and self.width // self.heads % 2:
                raise ValueError(f"width {self.width} / heads {self.heads} must be even (rotary positions)")
        if self.family == "llama" and self.dropout:
            raise ValueError("llama has no dropout; leave it out")
        return self


class Keep(Section):
    """Which checkpoints stay."""

    last: int = Field(2, ge=1)
    """so many of the last"""
    best: int = Field(1, ge=0)
    """and so many of those with the lowest validation loss"""


class Mixture(Section):
    """Shares of the tokens by class of documents, instead of each document as often as any other."""

    by: str
    """the column that tells the class, such as source"""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """a number for each value of that column; they are set in proportion, 0 leaves a class out"""

    @field_validator("weights", mode="before")
    @classmethod
    def _names_are_text(cls, value: Any) -> Any:
        return {str(name): weight for name, weight in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if not any(self.weights.values()):
            raise ValueError("all weights are 0: nothing is left to train on")
        return self


class Training(Section):
    """What pretrain and finetune share."""

    document: str = "{text}"
    """template that turns a document's fields into the text to learn, e.g. "{title}\\n{text}" """
    context: int = Field(512, ge=8)
    """the most tokens that the model sees at once; documents are not padded to it"""
    batch_size: int = Field(8, ge=1)
    """so many times `context` tokens pass through the model at once"""
    accumulate: int = Field(1, ge=1)
    """batches whose gradients make one step (on each process)"""
    epochs: float = Field(1.0, gt=0)
    """passes over the training split"""
    steps: int | None = Field(None, ge=1)
    """optimiser steps; where they are given, epochs do not count"""
    learning_rate: float = Field(1e-3, gt=0)
    """the highest, after warm-up"""
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """how the learning rate falls after warm-up: to a tenth (cosine), to zero (linear), or to zero in the last fifth (wsd)"""
    warmup: Share = 0.05
    """share of the steps in which the learning rate rises from zero"""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW's, on matrices only"""
    clip: float = Field(1.0, gt=0)
    """largest gradient norm"""
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    """decay of a moving average of the weights (EMA), which is then validated and saved, e.g. 0.999"""
    evaluate_every: int | None = Field(None, ge=1)
    """steps between validation losses (default: ten times a run)"""
    patience: int | None = Field(None, ge=1)
    """stop after so many evaluations without a better validation loss; the best weights are then the result"""
    checkpoint_every: int | None = Field(None, ge=1)
    """steps between checkpoints (default: ten times a run)"""
    keep: Keep = Keep()
    """which checkpoints stay"""
    max_truncated: Portion = 0.01
    """the share of documents that may be truncated or dropped; more of them stop the run before its first step"""
    mixture: Mixture | None = None
    """shares of the tokens by class of documents"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """of the matrix products; auto takes bf16 where the device has instructions for it"""
    compile: Annotated[Literal["auto"] | bool, BeforeValidator(_switch)] = "auto"
    """compile the model with torch; auto does where the run is long enough to pay for it"""
    gradient_checkpointing: bool = False
    """compute activations twice instead of keeping them: less memory, a third more time"""
    sharing: Literal["replicate", "shard"] = "replicate"
    """on several processes: all weights on each (DDP), or a part of them (FSDP)"""
    track: Annotated[list[Literal["tensorboard", "wandb"]], BeforeValidator(listed, json_schema_input_type=str | list[str])] = []
    """who is told the metrics besides metrics.jsonl"""

    @property
    def chooses_best(self) -> bool:
        """Whether the weights with the lowest validation loss are the result, and not the last ones."""
        return self.patience is not None

    @model_validator(mode="after")
    def _best_weights_are_kept(self) -> Self:
        if self.patience is not None and not self.keep.best:
            raise ValueError("patience ends with the best weights: keep.best must be 1 or more")
        return self


class Pretrain(Training):
    """A Transformer from nothing, on the training split."""

    objective: Objective | None = Field(None, validate_default=True)
    """what is learned; by default causal for a decoder, masked for an encoder, span_corruption for t5 and denoising for bart"""
    tokenizer: Tokenizer = Tokenizer()
    """the tokenizer to train"""
    model: Architecture = Architecture()
    """the architecture to build"""

    @model_validator(mode="after")
    def _objective_fits_the_family(self) -> Self:
        family = self.model.family
        if self.objective is not None and family not in FAMILIES[self.objective.name]:
            able = ", ".join(FAMILIES[self.objective.name])
            raise ValueError(f"objective {self.objective.name} is not for {family}; it is for {able}")
        return self

    @property
    def learned(self) -> Any:
        """The objective, given or by default."""
        return self.objective or objective_model(default_objective(self.model.family))
