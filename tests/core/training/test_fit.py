"""A run that was stopped and started again is the run that was never stopped."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.batches.packing import Packed, pack
from aigc.core.batches.shards import Shards
from aigc.core.training import snapshots
from aigc.core.training.fit import Progress, Settings, Validation, fit
from aigc.core.training.loop import evaluate
from aigc.core.training.optimiser import adamw
from conftest import MakeModel

STEPS = 6
SETTINGS = Settings(
    steps=STEPS,
    accumulate=2,
    learning_rate=1e-2,
    schedule="cosine",
    warmup=0.2,
    weight_decay=0.1,
    clip=1.0,
    evaluate_every=2,
    checkpoint_every=2,
    keep_checkpoints=2,
)
Weights = dict[str, torch.Tensor]


@pytest.fixture
def splits() -> tuple[Packed, Packed]:
    """Training rows of which an epoch ends within a step, and validation rows."""
    lengths = [9, 17, 5, 12, 30, 8, 17]
    tokens = np.random.default_rng(0).integers(1, 300, sum(lengths)).astype(np.uint16)
    shards = Shards(tokens, np.cumsum([0, *lengths]), np.ones(len(lengths), np.int64), 100)
    training, _ = pack(shards, context=16, batch_size=2, seed=4, whole=False)
    validation, _ = pack(shards, context=16, batch_size=4, seed=None, whole=False)
    assert training.rows % 4
    return training, validation


@pytest.fixture
def model(tiny_model: MakeModel) -> PreTrainedModel:
    """A model with dropout, so that a resumed run needs the state of the random numbers too."""
    return tiny_model("gpt2", dropout=0.2)


def _run(
    model: PreTrainedModel,
    splits: tuple[Packed, Packed],
    folder: Path,
    *,
    settings: Settings = SETTINGS,
    stop_at: int | None = None,
) -> tuple[list[Progress], Weights]:
    """Go on to the end or, asked politely, to step `stop_at`."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    asked = iter(range(1 + _done(folder), STEPS + 1))
    found = list(
        fit(
            model,
            *splits,
            text_bytes=100,
            settings=settings,
            folder=folder,
            stopping=lambda: next(asked) == stop_at,
        )
    )
    return found, {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _done(folder: Path) -> int:
    snapshot = snapshots.latest(folder / "checkpoints")
    return int(snapshot.name.removeprefix("step-")) if snapshot else 0


def _metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def _without_speed(lines: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "tokens_per_second"} for line in lines]


@pytest.mark.parametrize("stop_at", [1, 3])
def test_stopped_and_resumed_is_the_run_at_once(
    stop_at: int, tiny_model: MakeModel, splits: tuple[Packed, Packed], tmp_path: Path
) -> None:
    whole, expected = _run(tiny_model(dropout=0.2), splits, tmp_path / "whole")
    first, _ = _run(tiny_model(dropout=0.2), splits, tmp_path / "parts", stop_at=stop_at)
    assert first[-1].number == stop_at
    rest, weights = _run(tiny_model(dropout=0.2, seed=99), splits, tmp_path / "parts")
    assert [progress.number for progress in rest if progress.step] == list(range(stop_at + 1, STEPS + 1))
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert _without_speed(_metrics(tmp_path / "parts")) == _without_speed(_metrics(tmp_path / "whole"))
    measured = [[(p.number, p.validation) for p in run if p.validation] for run in (whole, rest)]
    assert measured[0] == measured[1]  # a report made from the resumed run alone is complete


def test_a_killed_run_goes_on_from_its_last_snapshot(tiny_model: MakeModel, splits: tuple[Packed, Packed], tmp_path: Path) -> None:
    _, expected = _run(tiny_model(dropout=0.2), splits, tmp_path / "whole")
    folder, model = tmp_path / "killed", tiny_model(dropout=0.2)
    folder.mkdir()
    torch.manual_seed(0)
    steps = fit(model, *splits, text_bytes=100, settings=SETTINGS, folder=folder, stopping=lambda: False)
    while next(steps).number < 3:
        pass
    steps.close()  # after step 3, with a snapshot of step 2
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    (folder / "checkpoints" / ".step-4.partial").mkdir()
    (folder / "checkpoints" / ".step-4.partial" / "state.pt").write_bytes(b"half")
    _, weights = _run(tiny_model(dropout=0.2, seed=99), splits, folder)
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert [line["step"] for line in _metrics(folder)] == list(range(STEPS + 1))
    assert _without_speed(_metrics(folder)) == _without_speed(_metrics(tmp_path / "whole"))
    assert not list((folder / "checkpoints").glob("*.partial"))


def test_a_finished_run_has_nothing_left_to_do(tiny_model: MakeModel, splits: tuple[Packed, Packed], tmp_path: Path) -> None:
    _, expected = _run(tiny_model(dropout=0.2), splits, tmp_path / "run")
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    again, weights = _run(tiny_model(seed=99, dropout=0.2), splits, tmp_path / "run")
    assert all(progress.step is None for progress in again)
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_validation_is_measured_first_last_and_between(
    model: PreTrainedModel, splits: tuple[Packed, Packed], tmp_path: Path
) -> None:
    total, tokens = evaluate(model, splits[1])
    settings = replace(SETTINGS, evaluate_every=4)
    found, _ = _run(model, splits, tmp_path, settings=settings)
    measured = {progress.number: progress.validation for progress in found if progress.validation}
    assert list(measured) == [0, 4, STEPS]
    assert measured[0] == Validation(pytest.approx(total / tokens), pytest.approx(total / math.log(2) / 100))
    total, tokens = evaluate(model, splits[1])
    assert measured[STEPS].loss == pytest.approx(total / tokens)
    assert measured[STEPS].loss < measured[0].loss
    lines = {line["step"]: line for line in _metrics(tmp_path)}
    assert list(lines) == list(range(STEPS + 1))
    assert [step for step, line in lines.items() if "validation_loss" in line] == [0, 4, STEPS]


def test_metrics_are_what_the_steps_were(model: PreTrainedModel, splits: tuple[Packed, Packed], tmp_path: Path) -> None:
    found, _ = _run(model, splits, tmp_path)
    for progress, line in zip(found, _metrics(tmp_path), strict=True):
        assert line["step"] == progress.number
        if progress.step:
            names = ("loss", "learning_rate", "gradient_norm", "tokens")
            assert [line[name] for name in names] == [getattr(progress.step, name) for name in names]


@pytest.mark.parametrize(("every", "keep", "left"), [(2, 2, [4, 6]), (1, 3, [4, 5, 6]), (4, 1, [6]), (100, 2, [6])])
def test_the_last_snapshots_are_kept(
    every: int, keep: int, left: list[int], model: PreTrainedModel, splits: tuple[Packed, Packed], tmp_path: Path
) -> None:
    settings = replace(SETTINGS, checkpoint_every=every, keep_checkpoints=keep, evaluate_every=100)
    _run(model, splits, tmp_path, settings=settings)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [f"step-{step}" for step in left]


def test_snapshots_are_ordered_by_number(model: PreTrainedModel, tmp_path: Path) -> None:
    optimiser = adamw(model, weight_decay=0.0)
    assert snapshots.latest(tmp_path / "nowhere") is None
    for step in (9, 10, 100):
        snapshots.take(tmp_path, step=step, model=model, optimiser=optimiser, keep=5)
    (tmp_path / ".step-200.partial").mkdir()
    latest = snapshots.latest(tmp_path)
    assert latest == tmp_path / "step-100"
    assert snapshots.restore(latest, model=model, optimiser=optimiser) == 100


def test_restoring_brings_the_random_numbers_back(model: PreTrainedModel, tmp_path: Path) -> None:
    optimiser = adamw(model, weight_decay=0.0)
    torch.manual_seed(7)
    snapshot = snapshots.take(tmp_path, step=1, model=model, optimiser=optimiser, keep=1)
    expected = torch.rand(3)
    snapshots.restore(snapshot, model=model, optimiser=optimiser)
    assert torch.equal(torch.rand(3), expected)
