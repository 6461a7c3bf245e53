"""Snapshots of a run in progress: all that the next step needs, complete or not there at all."""

import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn

__all__ = ["latest", "restore", "take"]


def take(folder: Path, *, step: int, model: nn.Module, optimiser: torch.optim.Optimizer, keep: int) -> Path:
    """Write step-N beside and rename it, then drop all but the last `keep`."""
    final = folder / f"step-{step}"
    partial = folder / f".step-{step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_model(model, str(partial / "model.safetensors"))
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
    torch.save({"step": step, "optimiser": optimiser.state_dict(), "random": random}, partial / "state.pt")
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in _snapshots(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def latest(folder: Path) -> Path | None:
    """The last complete snapshot."""
    found = _snapshots(folder)
    return found[-1] if found else None


def restore(snapshot: Path, *, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Put a snapshot back into a model and its optimiser.

    Returns:
        the number of steps taken so far.
    """
    load_model(model, str(snapshot / "model.safetensors"))
    state = torch.load(snapshot / "state.pt", weights_only=True)
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"]["cpu"])
    if state["random"]["cuda"]:
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    return int(state["step"])


def _snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
