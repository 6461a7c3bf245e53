"""A section that trains into what `fit` needs: the model with its loss, the data, and how the run goes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from aigc.core.batches.example import Reader
from aigc.core.batches.objectives.objective import Objective
from aigc.core.model import checkpoints, precision
from aigc.core.model.learner import Learner
from aigc.core.model.preference import Preference
from aigc.core.model.sequences import SequenceLoss
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import Advance, Mixture, Recipe, TrainingData, load
from aigc.core.training.fit import Settings
from aigc.core.training.references import refer
from aigc.core.training.snapshots import Keep
from aigc.errors import AigcError
from aigc.schema import Training

__all__ = ["FOUND", "Beginning", "Prepared", "Task", "parameters_of", "prepare", "recipe_of"]

FOUND = "found.json"  # in an unfinished folder: what was counted while documents were read
PAYS = 50.0  # seconds of training for each layer from which on compiling, which takes up to ten for each, is worth it
FLOPS = 2e11  # a second, of two CPU cores: a figure for the decision above only, so that it is the same on every run


@dataclass(frozen=True)
class Beginning:
    """What training begins with."""

    model: PreTrainedModel
    codec: TextCodec
    objective: Objective
    read: Reader  # rows into what is read and what is learned
    whole: bool = False  # whether a document must stay in one piece
    sequence: SequenceLoss | None = None  # of what is told of whole documents
    preference: Preference | None = None
    merge: bool = False  # whether adapters are added into the weights at the end
    facts: dict[str, Any] = field(default_factory=dict)  # for report.json
    found: Callable[[], dict[str, Any]] = dict  # what the reader counted, for report.json too


@dataclass(frozen=True)
class Task:
    """What a stage that trains does in its own way."""

    name: str
    section: Training
    begin: Callable[[Path, Path], Beginning]  # the split's folder and the stage's into what to begin with
    end: Callable[[Path, Path], Beginning]  # the split's folder and the finished model's into the same, as it ended


@dataclass(frozen=True)
class Prepared:
    """All that a run needs."""

    learner: Learner
    data: TrainingData
    settings: Settings
    codec: TextCodec
    facts: dict[str, Any]  # for report.json
    beginning: Beginning


def prepare(
    task: Task,
    split: Path,
    folder: Path,
    *,
    device: torch.device,
    seed: int,
    processes: int = 1,
    scale: float = 1.0,
    advance: Advance = lambda _: None,
) -> Prepared:
    """Build or load the model, tokenise the data, and decide what the section leaves open.

    Args:
        split: where the parts of the split lie.
        folder: where tokens and a new tokenizer go; what lies there is used.
        scale: how many times larger the corpus is than what lies in `split`.
        advance: told how many documents more are tokenised.

    Raises:
        AigcError: the model is too small for the context, nothing can be learned, or too many documents would be truncated.
    """
    section = task.section
    torch.manual_seed(seed)
    beginning = task.begin(split, folder)
    if checkpoints.context_of(beginning.model) < section.context:
        have = checkpoints.context_of(beginning.model)
        raise AigcError(f"{task.name}.context: {section.context} is more than the checkpoint's {have} tokens")
    recipe = recipe_of(task, beginning, seed)
    data = load(split, folder / "tokens", beginning.codec, recipe, advance)
    found = _found(folder / FOUND, beginning)
    _limit(task.name, section, data)
    model = beginning.model.to(device)
    settings = _settings(section, seed, data.accounting.bins * scale / processes)
    whole, trained = parameters_of(model), parameters_of(model, trained=True)
    flops = (
        (4.0 * whole + 2.0 * trained)
        * max(data.training.places, data.training.source_places)
        * settings.steps
        * settings.accumulate
    )
    dtype = precision.choose(device, section.precision)
    compiled = _compiled(section, flops / layers_of(model), device)
    learner = Learner(
        model,
        dtype=dtype,
        compiled=compiled,
        gradient_checkpointing=section.gradient_checkpointing,
        sequence=beginning.sequence,
        preference=beginning.preference,
    )
    if beginning.preference is not None and beginning.preference.referred:
        data = _referred(learner, data, split, folder / "tokens", beginning, recipe)
    facts = {
        "parameters": whole,
        "trained_parameters": trained,
        "family": model.config.model_type,
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
        "compiled": compiled,
        "processes": processes,
    }
    return Prepared(learner, data, settings, beginning.codec, facts | beginning.facts | found, beginning)


def layers_of(model: PreTrainedModel) -> int:
    """Transformer blocks, of both halves where there are two."""
    halves = 2 if model.config.is_encoder_decoder else 1
    return halves * int(model.config.num_hidden_layers)


def recipe_of(task: Task, beginning: Beginning, seed: int, rows: int | None = None) -> Recipe:
    """How documents become batches.

    Args:
        rows: of a batch, instead of the section's.
    """
    section = task.section
    return Recipe(
        read=beginning.read,
        objective=beginning.objective,
        whole=beginning.whole,
        context=section.context,
        rows=rows or section.batch_size,
        seed=seed,
        mixture=None if section.mixture is None else Mixture(section.mixture.by, section.mixture.weights),
    )


def _found(path: Path, beginning: Beginning) -> dict[str, Any]:
    """What the reader counted, now or in the try that made the tokens."""
    if not path.exists():
        path.write_text(json.dumps(beginning.found(), ensure_ascii=False), "utf-8")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _referred(learner: Learner, data: TrainingData, split: Path, work: Path, beginning: Beginning, recipe: Recipe) -> TrainingData:
    """The data with what the model says of it as it is now."""
    for part, stream in (("train", data.training), ("validation", data.validation)):
        if stream.corpora[0].pieces.shards.references is None:
            refer(learner, stream, work / part)
    return load(split, work, beginning.codec, recipe)


def parameters_of(model: torch.nn.Module, *, trained: bool = False) -> int:
    """How many numbers the model has, or how many of them are trained; tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained)


def _limit(name: str, section: Training, data: TrainingData) -> None:
    for part, one in (("training", data.accounting), ("validation", data.validation_accounting)):
        lost = one.truncated + one.dropped
        if lost > section.max_truncated * one.documents:
            raise AigcError(
                f"{name}: {lost:,} of {one.documents:,} {part} documents are longer than the context of {section.context} tokens "
                f"and would be truncated or dropped, more than {name}.max_truncated ({section.max_truncated:.1%}) allows; "
                f"raise {name}.context, or allow them"
            )


def _compiled(section: Training, flops: float, device: torch.device) -> bool:
    """Args:
    flops: of the whole run, for each layer.
    """
    able = device.type == "cuda" or any(map(shutil.which, ("c++", "g++", "clang++")))
    if section.compile is True and not able:
        raise AigcError("compile: torch needs a C++ compiler (g++) for it on the CPU, and there is none")
    if section.compile != "auto":
        return section.compile
    return able and (device.type == "cuda" or flops > FLOPS * PAYS)


def _settings(section: Training, seed: int, batches: float) -> Settings:
    """Args:
    batches: in an epoch, for each process.
    """
    steps = section.steps or max(round(section.epochs * batches / section.accumulate), 1)
    tenth = max(steps // 10, 1)
    return Settings(
        steps=steps,
        accumulate=section.accumulate,
        learning_rate=section.learning_rate,
        schedule=section.schedule,
        warmup=section.warmup,
        weight_decay=section.weight_decay,
        clip=section.clip,
        evaluate_every=section.evaluate_every or tenth,
        checkpoint_every=section.checkpoint_every or tenth,
        seed=seed,
        keep=Keep(section.keep.last, section.keep.best),
        patience=section.patience,
        best=section.chooses_best,
        average=section.average,
        sharing=section.sharing,
    )
