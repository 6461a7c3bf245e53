"""A section that trains into what `fit` needs: the model with its loss, the data, and how the run goes."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from aigc.core.batches.objectives.objective import Objective
from aigc.core.model import checkpoints, precision
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import Advance, Mixture, Recipe, TrainingData, load
from aigc.core.training.fit import Settings
from aigc.core.training.snapshots import Keep
from aigc.errors import AigcError
from aigc.schema import Training

__all__ = ["Beginning", "Prepared", "Task", "parameters_of", "prepare"]

PAYS = 300.0  # seconds of training from which on compiling, which takes up to a minute, is worth it
FLOPS = 2e11  # a second, of two CPU cores: a figure for the decision above only, so that it is the same on every run


@dataclass(frozen=True)
class Beginning:
    """What training begins with."""

    model: PreTrainedModel
    codec: TextCodec
    objective: Objective
    facts: dict[str, Any] = field(default_factory=dict)  # for report.json


@dataclass(frozen=True)
class Task:
    """What a stage that trains does in its own way."""

    name: str
    section: Training
    begin: Callable[[Path, Path], Beginning]  # the split's folder and the stage's into what to begin with
    completion: str  # template of what is learned
    prompt: str = ""  # template of what is read before it
    whole: bool = False  # whether prompt and completion must stay together


@dataclass(frozen=True)
class Prepared:
    """All that a run needs."""

    learner: Learner
    data: TrainingData
    settings: Settings
    codec: TextCodec
    facts: dict[str, Any]  # for report.json


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
    recipe = Recipe(
        completion=task.completion,
        prompt=task.prompt,
        objective=beginning.objective,
        whole=task.whole,
        context=section.context,
        rows=section.batch_size,
        seed=seed,
        mixture=None if section.mixture is None else Mixture(section.mixture.by, section.mixture.weights),
    )
    data = load(split, folder / "tokens", beginning.codec, recipe, advance)
    _limit(task.name, section, data)
    model = beginning.model.to(device)
    settings = _settings(section, seed, data.accounting.bins * scale / processes)
    flops = 6.0 * parameters_of(model) * data.training.places * settings.steps * settings.accumulate
    dtype = precision.choose(device, section.precision)
    compiled = _compiled(section, flops, device)
    learner = Learner(model, dtype=dtype, compiled=compiled, gradient_checkpointing=section.gradient_checkpointing)
    facts = {
        "parameters": parameters_of(model),
        "family": model.config.model_type,
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
        "compiled": compiled,
        "processes": processes,
    }
    return Prepared(learner, data, settings, beginning.codec, facts | beginning.facts)


def parameters_of(model: torch.nn.Module) -> int:
    """How many numbers are trained; tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


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
        average=section.average,
        sharing=section.sharing,
    )
