"""Snapshots of a run in progress: all that the next step needs, complete or not there at all."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from aigc.core.batches.stream import Position
from aigc.core.model.learner import Learner
from aigc.core.training.average import Average
from aigc.core.training.replicas import Replicas
from aigc.errors import AigcError

__all__ = ["Keep", "State", "Training", "all_in", "best", "latest", "read", "restore", "take"]

COMPLETE = "complete.json"
PARTS = ".metadata"  # torch.distributed.checkpoint's: lies in a snapshot that was written in parts


@dataclass(frozen=True)
class Training:
    """What a snapshot is taken of."""

    learner: Learner
    optimiser: torch.optim.Optimizer
    average: Average | None
    sharded: bool = False  # the weights are spread over the processes


@dataclass(frozen=True)
class State:
    """Where the run was."""

    step: int
    behind: Position
    validation_loss: float | None = None  # where it was measured at this step


@dataclass(frozen=True)
class Keep:
    """Which snapshots stay."""

    last: int = 2
    best: int = 1  # by validation loss


def take(folder: Path, training: Training, state: State, *, keep: Keep, replicas: Replicas) -> None:
    """Write step-N beside and rename it, with a marker that has every file's hash; then drop what is not to be kept."""
    final, partial = folder / f"step-{state.step}", folder / f".step-{state.step}.partial"
    if replicas.first:
        for old in folder.glob(".step-*.partial"):
            shutil.rmtree(old)
        partial.mkdir(parents=True)
    replicas.wait()
    if training.sharded:
        _save_shards(partial, training)
    elif replicas.first:
        save_file(_written(training.learner.model), partial / "model.safetensors")
        torch.save(training.optimiser.state_dict(), partial / "optimiser.pt")
        if training.average is not None:
            save_file(training.average.weights, partial / "average.safetensors")
    replicas.wait()
    if replicas.first:
        files = {path.name: _signed(path) for path in sorted(partial.iterdir())}
        marker = asdict(state) | {"files": files}
        (partial / COMPLETE).write_text(json.dumps(marker, indent=1), "utf-8")
        _flushed(partial / COMPLETE)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _prune(folder, keep)
    replicas.wait()


def latest(folder: Path, warn: Callable[[str], None]) -> Path | None:
    """The last snapshot that is whole; one that is not is named in a warning and passed over."""
    for path in reversed(all_in(folder)):
        fault = _fault(path)
        if fault is None:
            return path
        warn(f"{path}: passed over: {fault}")
    return None


def best(folder: Path) -> Path | None:
    """The snapshot with the lowest validation loss, the earlier of two."""
    losses = [(loss, path) for path in all_in(folder) if (loss := read(path).validation_loss) is not None]
    return min(losses, key=lambda pair: pair[0])[1] if losses else None


def all_in(folder: Path) -> list[Path]:
    """The snapshots of a run, earliest first."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def read(snapshot: Path) -> State:
    """Where the run was when a snapshot was taken."""
    marker = json.loads((snapshot / COMPLETE).read_text("utf-8"))
    return State(marker["step"], Position(**marker["behind"]), marker["validation_loss"])


def restore(snapshot: Path, training: Training) -> State:
    """Put a snapshot back into a model, its optimiser and its average, however many processes wrote it and read it.

    Weights that are not trained lie in no snapshot: the model has to come from where it came from before.

    Raises:
        AigcError: the snapshot is of a model of which other weights are trained, as with other adapters.
    """
    (_load_shards if (snapshot / PARTS).exists() else _load_whole)(snapshot, training)
    return read(snapshot)


@torch.no_grad()
def _load_whole(snapshot: Path, training: Training) -> None:
    """Of weights that are spread over the processes, each takes its part."""
    model, optimiser = training.learner.model, training.optimiser
    weights = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    found = load_file(snapshot / "model.safetensors")
    lost = {id(tensor) for tensor in _trained(model).values()} - {id(weights.get(name)) for name in found}
    names = [name for name, tensor in _trained(model).items() if id(tensor) in lost]
    names += [name for name, tensor in found.items() if name not in weights or weights[name].shape != tensor.shape]
    if names:
        raise AigcError(_strange(snapshot, names[0]))
    for name, tensor in found.items():
        weights[name].copy_(_part(tensor, weights[name]))
    state = torch.load(snapshot / "optimiser.pt", weights_only=True)
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, moments in state["state"].items():
        for name in moments.keys() - {"step"}:
            moments[name] = _part(moments[name], parameters[number])
    optimiser.load_state_dict(state)
    if training.average is not None:
        for name, tensor in load_file(snapshot / "average.safetensors").items():
            training.average.weights[name].copy_(_part(tensor, training.average.weights[name]))


def _trained(model: nn.Module) -> dict[str, torch.Tensor]:
    """What takes a gradient; what is tied is there once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _written(model: nn.Module) -> dict[str, torch.Tensor]:
    """What a snapshot holds of a model: what is trained, and the buffers that are saved with it."""
    kept = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in kept}
    return {name: tensor.detach().contiguous() for name, tensor in (_trained(model) | buffers).items()}


def _strange(snapshot: Path, name: str) -> str:
    why = "adapters, frozen layers or the checkpoint to start from are not what they were"
    return f"{snapshot}: it is of a run that trained other weights ({name} differs): {why}; remove the folder to begin anew"


def _part(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if isinstance(like, DTensor):
        return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return tensor


def _signed(path: Path) -> dict[str, Any]:
    _flushed(path)
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _flushed(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _fault(snapshot: Path) -> str | None:
    try:
        marker = json.loads((snapshot / COMPLETE).read_text("utf-8"))
    except (OSError, ValueError):
        return f"it has no readable {COMPLETE}"
    for name, signed in marker["files"].items():
        path = snapshot / name
        if not path.exists():
            return f"{name} is missing"
        if _signed(path) != signed:
            return f"{name} is not what was written"
    return None


def _prune(folder: Path, keep: Keep) -> None:
    found = all_in(folder)
    losses = sorted((loss, place) for place, path in enumerate(found) if (loss := read(path).validation_loss) is not None)
    staying = {found[place] for _, place in losses[: keep.best]} | set(found[-keep.last :])
    for path in found:
        if path not in staying:
            shutil.rmtree(path)


def _sharded_state(training: Training) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    trained = StateDictOptions(ignore_frozen_params=True)
    model, optimiser = get_state_dict(training.learner, training.optimiser, options=trained)
    frozen = {name for name, one in training.learner.named_parameters(remove_duplicate=False) if not one.requires_grad}
    model = {name: tensor for name, tensor in model.items() if name not in frozen}  # torch leaves one that is tied
    average = {} if training.average is None else training.average.weights
    return {"model": model, "optimiser": optimiser, "average": average}


def _save_shards(folder: Path, training: Training) -> None:
    from torch.distributed.checkpoint.state_dict_saver import save

    save(_sharded_state(training), checkpoint_id=folder)


def _load_shards(folder: Path, training: Training) -> None:
    """Each process takes its part, or the whole where the weights are not spread."""
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    state = _sharded_state(training)
    there = {
        name: one.size for name, one in FileSystemReader(folder).read_metadata().state_dict_metadata.items() if hasattr(one, "size")
    }
    there = {name.removeprefix("model."): size for name, size in there.items() if name.startswith("model.")}
    here = {name: tensor.shape for name, tensor in state["model"].items()}
    if strange := sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name)):
        raise AigcError(_strange(folder, strange[0].removeprefix("model.")))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as it is meant on one process
        load(state, checkpoint_id=folder, no_dist=not torch.distributed.is_initialized())
    set_state_dict(
        training.learner,
        training.optimiser,
        model_state_dict=state["model"],
        optim_state_dict=state["optimiser"],
        options=StateDictOptions(ignore_frozen_params=True, strict=False),
    )
