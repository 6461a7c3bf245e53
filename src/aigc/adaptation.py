"""The finetune section into its task: a checkpoint, what is read of the documents, and what is learned of that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import PreTrainedModel

from aigc import console, runs
from aigc.core.batches.objectives import table as objectives
from aigc.core.model import adapters, checkpoints, vocabulary
from aigc.core.model.checkpoints import Head
from aigc.core.model.families import Kind
from aigc.core.model.preference import Preference
from aigc.core.model.sequences import Classes, SequenceLoss, Values
from aigc.core.model.verification import verify
from aigc.core.rules.control import Control, ControlTally, controlled
from aigc.core.rules.flags import Condition
from aigc.core.rules.penalties import Penalty, Tally, penalised
from aigc.core.tokens.chat import Chat, chat_of
from aigc.core.tokens.text import PREFIX, TextCodec
from aigc.core.training.corpus import texts
from aigc.core.training.formats import Format, format_of
from aigc.core.training.labels import classes_of
from aigc.core.training.rows import Asked
from aigc.preparation import Beginning, Task
from aigc.schema import Finetune, Project
from aigc.schema.objectives import default_objective

__all__ = ["finetuning"]

MEASURED = 2000  # documents that bytes per token are measured on
KINDS: Mapping[str, Sequence[Kind]] = {  # of checkpoints that a task can adapt; any kind where it is not named
    "instruct": ("decoder",),
    "classify": ("encoder", "decoder"),
    "regress": ("encoder", "decoder"),
    "seq2seq": ("encoder_decoder",),
    "preference": ("decoder",),
    "infill": ("decoder",),
}
ANY: Sequence[Kind] = ("decoder", "encoder", "encoder_decoder")
OBJECTIVES = {  # what a task makes of documents; a language model learns what its family is pretrained on
    "instruct": "causal",
    "classify": "sequences",
    "regress": "sequences",
    "seq2seq": "source_target",
    "preference": "preferred",
    "infill": "fill_in_middle",
}


def finetuning(project: Project) -> Task:
    """A checkpoint adapted to the documents.

    Raises:
        AigcError: it starts from this project's pretrained model, and there is none yet.
    """
    section = project.finetune
    assert section is not None
    start = section.start or str(runs.stage_folder(project, "pretrain") / "model")

    def begin(split: Path, _folder: Path) -> Beginning:
        model, codec, classes = _loaded(section, start, split)
        codec, facts = _extended(section, model, codec, sorted(split.glob("train-*.parquet")))
        verify(model, context=section.context)
        if section.lora is not None:
            wanted = section.lora.model_dump()
            adapters.add(model, adapters.Lora(**wanted), seed=project.seed)
        adapters.freeze(model, embeddings=section.freeze.embeddings, layers=section.freeze.layers)
        return _beginning(section, model, codec, split, classes, {"start": start} | facts)

    def end(split: Path, folder: Path) -> Beginning:
        model, codec, classes = _loaded(section, str(folder), split)
        return _beginning(section, model, codec, split, classes, {})

    return Task("finetune", section, begin, end)


def _loaded(section: Finetune, start: str, split: Path) -> tuple[PreTrainedModel, TextCodec, Mapping[str, int]]:
    """A checkpoint with the head of the task, and how many training documents each class has."""
    classes: Mapping[str, int] = {}
    head = Head() if section.task == "regress" else None
    if section.task == "classify":
        assert section.label is not None
        classes = classes_of(sorted(split.glob("train-*.parquet")), section.label)
        head = Head(tuple(classes))
    model, codec = checkpoints.load(start, kinds=KINDS.get(section.task, ANY), head=head)
    return model, codec, classes


def _extended(section: Finetune, model: PreTrainedModel, codec: TextCodec, tables: list[Path]) -> tuple[TextCodec, dict[str, Any]]:
    """With the tokens that the section adds."""
    facts: dict[str, Any] = {}
    if section.vocabulary is not None:
        wanted = section.vocabulary
        words = vocabulary.missing_words(codec, texts(tables, section.document or "{text}"), most=wanted.extend, least=wanted.least)
        some = list(islice(texts(tables, section.document or "{text}"), MEASURED))
        before = vocabulary.bytes_per_token(codec, some)
        codec = vocabulary.extend(model, codec, words)
        after = vocabulary.bytes_per_token(codec, some)
        facts["vocabulary"] = {"added": len(words), "bytes_per_token_before": before, "bytes_per_token": after}
        console.note(f"finetune: {len(words):,} tokens added, such as {' '.join(words[:8])}")
    if section.control is not None:
        codec = vocabulary.extend(model, codec, [section.control.safe, section.control.unsafe])
        codec.tokenizer.init_kwargs[PREFIX] = section.control.safe
    if section.task == "infill" and codec.infill is None:
        codec = vocabulary.with_infill(model, codec)
    return codec, facts


@dataclass(frozen=True)
class _Read:
    """How documents are read, and what is counted on the way."""

    format: Format
    penalties: Tally
    control: ControlTally
    rows: Counter[str]

    def facts(self) -> dict[str, Any]:
        """What was found on the way, of the training and the validation split."""
        found: dict[str, Any] = {"format": self.format.name, **self.rows}
        if self.format.chat is not None:
            found["chat"] = self.format.chat.source
        if self.penalties.penalties:
            found["penalties"] = self.penalties.told()
        if self.control.safe or self.control.unsafe:  # documents that got a token
            found["control"] = self.control.told()
        return found


def _beginning(
    section: Finetune,
    model: PreTrainedModel,
    codec: TextCodec,
    split: Path,
    classes: Mapping[str, int],
    facts: dict[str, Any],
) -> Beginning:
    schema = pl.read_parquet_schema(sorted(split.glob("train-*.parquet"))[0])
    read = _read(section, codec, schema, classes)
    if read.format.chat is not None:
        _stops(model, codec, read.format.chat)
    objective = OBJECTIVES.get(section.task) or default_objective(model.config.model_type)
    loss = section.preference
    facts = {"task": section.task, "objective": objective} | facts
    return Beginning(
        model,
        codec,
        objectives.build(objective, codec, section.context),
        read.format.read,
        whole=section.task not in ("language_model", "infill"),
        sequence=_sequence(section, classes),
        preference=Preference(loss.loss, loss.beta, loss.label_smoothing) if section.task == "preference" else None,
        facts=facts | ({"classes": list(classes)} if classes else {}),
        found=read.facts,
        merge=section.merge,
    )


def _read(section: Finetune, codec: TextCodec, schema: Mapping[str, pl.DataType], classes: Mapping[str, int]) -> _Read:
    rows: Counter[str] = Counter()
    asked = Asked(
        task=section.task,
        document=section.document or None,
        prompt=section.prompt,
        completion=section.completion,
        label=section.label,
        classes=list(classes),
        turns=section.turns,
        chat=lambda: chat_of(codec, section.chat),
        chatty=section.chat not in ("auto", "plain"),
        tally=rows,
    )
    form = format_of(schema, asked)
    tally = Tally([Penalty(Condition(one.condition, one.place), one.learned) for one in section.penalise])
    control = ControlTally()
    read, structure = form.read, _structure(form.chat)
    if section.penalise:
        read = penalised(read, tally.penalties, tally, structure=structure)
    if section.control is not None:
        marks = section.control
        conditions = [Condition(one.condition) for one in marks.by]
        start = "".join(codec.tokenizer.convert_ids_to_tokens(codec.start))
        read = controlled(read, Control(conditions, marks.safe, marks.unsafe), control, start=start, structure=structure)
    return _Read(Format(form.name, read, form.chat), tally, control, rows)


def _stops(model: PreTrainedModel, codec: TextCodec, chat: Chat) -> None:
    """Let whoever generates with plain transformers render as it was trained, and stop where a turn ends."""
    codec.tokenizer.chat_template = chat.template
    end = codec.tokenizer.convert_tokens_to_ids(chat.end)
    if model.generation_config is not None and end != codec.end:
        model.generation_config.eos_token_id = [codec.end, end]


def _structure(chat: Chat | None) -> Any:
    return None if chat is None else chat.control


def _sequence(section: Finetune, classes: Mapping[str, int]) -> SequenceLoss | None:
    if section.task == "regress":
        return Values()
    if section.task != "classify":
        return None
    if section.class_weights == "none":
        return Classes()
    total = sum(classes.values())
    return Classes(torch.tensor([total / (len(classes) * count) for count in classes.values()]))
