"""What adapts a checkpoint: the task, which weights are trained, and what is kept from being learned."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from aigc.schema.ethics import Control, Penalty, Probes
from aigc.schema.section import Section, Share
from aigc.schema.training import Training

__all__ = ["Finetune", "Freeze", "Lora", "Preference", "Vocabulary"]

Task = Literal["language_model", "instruct", "classify", "regress", "seq2seq", "preference", "infill"]
PROMPTED = ("instruct", "seq2seq", "preference")
LABELLED = ("classify", "regress")


class Lora(Section):
    """Low-rank adapters instead of all weights (Hu et al. 2021)."""

    rank: int = Field(8, ge=1)
    """of the two matrices beside each weight matrix"""
    alpha: float | None = Field(None, gt=0)
    """their product is scaled by alpha / rank (default: alpha is twice the rank)"""
    dropout: Share = 0.0
    """share of the adapters' inputs dropped in training"""
    targets: list[str] | None = Field(None, min_length=1)
    """names of the layers that get adapters (default: all linear layers of the blocks)"""
    dora: bool = False
    """train a magnitude for each output as well (DoRA, Liu et al. 2024)"""
    rslora: bool = False
    """scale by alpha / sqrt(rank) (rank-stabilised LoRA, Kalajdzievski 2023)"""
    bits: Literal[4] | None = None
    """keep the frozen weights in 4 bits (QLoRA, Dettmers et al. 2023); needs a CUDA device and bitsandbytes"""


class Freeze(Section):
    """Weights that stay as they are."""

    embeddings: bool = False
    """of tokens and positions"""
    layers: int = Field(0, ge=0)
    """so many of the first blocks"""


class Preference(Section):
    """How a preference becomes a loss."""

    loss: Literal["dpo", "ipo", "kto", "orpo"] = "dpo"
    """DPO (Rafailov et al. 2023), IPO (Azar et al. 2023), KTO (Ethayarajh et al. 2024), ORPO (Hong et al. 2024)"""
    beta: float = Field(0.1, gt=0)
    """how closely the model stays with what it was; for ORPO the weight of the odds ratio"""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """dpo: the share of the pairs that are held to be the wrong way round"""


class Vocabulary(Section):
    """Tokens for a language that the checkpoint's tokenizer cuts to pieces."""

    extend: int = Field(ge=1, le=100_000)
    """the most tokens that are added: words and characters of the training split that take many pieces"""
    least: int = Field(10, ge=1)
    """how often one must occur"""


def _named(value: Any) -> Any:
    """`lora: true` and `preference: ipo` are short for sections."""
    return {} if value is True else None if value is False else value


def _loss(value: Any) -> Any:
    return {"loss": value} if isinstance(value, str) else value


class Finetune(Training):
    """A checkpoint adapted to the training split. The weights with the lowest validation loss are the result."""

    start: str | None = None
    """a checkpoint folder, a .gguf file, an adapter's folder or a hub name (default: this project's pretrained model)"""
    task: Task = "language_model"
    """whole documents (language_model, infill), completions after prompts (instruct, seq2seq), a label (classify, regress), or
    chosen before rejected completions (preference)"""
    document: str = ""
    """template that turns a document's fields into a text (default: "{text}", or the messages of documents that have them)"""
    prompt: str | None = None
    """template of what is read but not learned (default: by the columns that the documents have)"""
    completion: str | None = None
    """template of what is learned after the prompt (default: by the columns; with a prompt template, "{text}")"""
    chat: str = "auto"
    """the template for messages: auto takes the checkpoint's own, or plain where it has none; or checkpoint, chatml, llama3,
    alpaca, plain; where one is named, prompts and completions become messages too"""
    turns: Literal["all", "last"] = "all"
    """which of the assistant's turns are learned"""
    label: str | None = None
    """classify, regress: the column to tell"""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more, in inverse proportion to how many documents they have"""
    preference: Annotated[Preference, BeforeValidator(_loss)] = Preference()
    """preference: the loss"""
    lora: Annotated[Lora | None, BeforeValidator(_named)] = None
    """train adapters, and leave the weights as they are"""
    merge: bool = False
    """write a plain checkpoint with the adapters added in, instead of the adapters alone"""
    freeze: Freeze = Freeze()
    """which weights stay as they are"""
    vocabulary: Vocabulary | None = None
    """add tokens of the training split to the checkpoint's"""
    penalise: list[Penalty] = []
    """what is flagged by a rule is learned less, not at all, or pushed down"""
    control: Control | None = None
    """begin each document with a token that tells whether it is safe"""
    probes: Probes | None = None
    """measure toxicity and fairness on a fixed set of prompts, before and after"""
    answers: int = Field(16, ge=0)
    """validation prompts that are answered at each evaluation, for ROUGE, BLEU, chrF and exact match"""
    answer_tokens: int = Field(64, ge=1)
    """the most tokens of such an answer"""
    learning_rate: float = Field(5e-5, gt=0)
    """the highest, after warm-up"""

    @property
    def chooses_best(self) -> bool:
        """Whether the weights with the lowest validation loss are the result, and not the last ones."""
        return self.keep.best > 0

    @model_validator(mode="after")
    def _keys_belong_to_the_task(self) -> Self:
        if self.task in LABELLED and self.label is None:
            raise ValueError(f"task {self.task} needs label: the name of the column to tell")
        owners = {"label": LABELLED, "class_weights": ("classify",), "preference": ("preference",), "prompt": PROMPTED}
        owners |= {"completion": PROMPTED, "turns": PROMPTED}
        for key, tasks in owners.items():
            given = getattr(self, key) != type(self).model_fields[key].default
            if given and self.task not in tasks:
                raise ValueError(f"{key} is for the task {' or '.join(tasks)}, and the task is {self.task}")
        if self.merge and self.lora is None:
            raise ValueError("merge adds adapters in, and there are none: give lora as well")
        if self.task == "preference" and self.preference.loss != "kto" and self.batch_size < 2:
            raise ValueError("task preference needs a batch_size of 2 or more: a pair stays together")
        if self.task == "preference" and self.mixture is not None:
            raise ValueError("mixture is for other tasks than preference, whose pairs are measured as one corpus")
        if self.vocabulary is not None and self.freeze.embeddings:
            raise ValueError("vocabulary adds tokens that freeze.embeddings would keep as they are: leave out one of them")
        if self.task in (*LABELLED, "preference") and (self.penalise or self.control):
            raise ValueError(f"penalise and control are for tasks that learn text, and the task is {self.task}")
        return self
