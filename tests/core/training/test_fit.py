"""A run that was stopped and started again is the run that was never stopped."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made import data_of, stream_of
from transformers import PreTrainedModel

from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training import snapshots
from aigc.core.training.corpus import TrainingData
from aigc.core.training.fit import Progress, Run, Settings, fit
from aigc.core.training.replicas import Replicas
from aigc.core.training.snapshots import Keep
from aigc.core.training.validation import validate
from aigc.errors import AigcError
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
    seed=3,
    keep=Keep(last=2, best=0),
    average=0.9,
)
Weights = dict[str, torch.Tensor]


@pytest.fixture
def data(codec: TextCodec) -> TrainingData:
    """Training data of which an epoch ends within a step, and validation data."""
    documents = [(1, n) for n in (8, 16, 4, 11, 29, 7, 16)]
    return data_of(
        codec,
        stream_of(codec, documents, whole=False, rows=1),
        stream_of(codec, documents[:4], whole=False, rows=2, seed=5),
    )


def _run(
    model: PreTrainedModel, data: TrainingData, folder: Path, *, settings: Settings = SETTINGS, stop_at: int | None = None
) -> tuple[list[Progress], Weights, list[str]]:
    """Go on to the end or, asked politely, to step `stop_at`."""
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    run = Run(folder, lambda step: step == stop_at, said.append)
    found = list(fit(Learner(model), data, settings, run))
    return found, {name: tensor.clone() for name, tensor in model.state_dict().items()}, said


def _metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def _without_time(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name not in ("tokens_per_second", "waited")} for line in lines]


def _same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], tensor) for name, tensor in other.items())


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
def test_stopped_and_resumed_is_the_run_at_once(stop_at: int, tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    whole, expected, _ = _run(tiny_model(dropout=0.2), data, tmp_path / "whole")
    first, _, _ = _run(tiny_model(dropout=0.2), data, tmp_path / "parts", stop_at=stop_at)
    assert first[-1].number == stop_at
    rest, weights, _ = _run(tiny_model(dropout=0.2, seed=99), data, tmp_path / "parts")
    assert [progress.number for progress in rest if progress.step] == list(range(stop_at + 1, STEPS + 1))
    assert _same(weights, expected)
    assert _without_time(_metrics(tmp_path / "parts")) == _without_time(_metrics(tmp_path / "whole"))
    measured = [[(p.number, p.validation) for p in run if p.validation] for run in (whole, rest)]
    assert measured[0] == measured[1]  # a report made from the resumed run alone is complete
    for name in ("model.safetensors", "optimiser.pt", "average.safetensors"):
        last = [tmp_path / folder / "checkpoints" / f"step-{STEPS}" / name for folder in ("whole", "parts")]
        assert last[0].read_bytes() == last[1].read_bytes()


def test_a_killed_run_goes_on_from_its_last_snapshot(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    _, expected, _ = _run(tiny_model(dropout=0.2), data, tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    steps = fit(Learner(tiny_model(dropout=0.2)), data, SETTINGS, Run(folder, lambda _: False, print))
    while next(steps).number < 3:
        pass
    steps.close()  # after step 3, with a snapshot of step 2
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    (folder / "checkpoints" / ".step-4.partial").mkdir()
    (folder / "checkpoints" / ".step-4.partial" / "optimiser.pt").write_bytes(b"half")
    _, weights, said = _run(tiny_model(dropout=0.2, seed=99), data, folder)
    assert _same(weights, expected)
    assert [line["step"] for line in _metrics(folder)] == list(range(STEPS + 1))
    assert _without_time(_metrics(folder)) == _without_time(_metrics(tmp_path / "whole"))
    assert not list((folder / "checkpoints").glob(".*.partial"))
    assert said == []


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "no marker"])
def test_a_damaged_snapshot_is_passed_over_with_a_message(
    damage: str, tiny_model: MakeModel, data: TrainingData, tmp_path: Path
) -> None:
    _, expected, _ = _run(tiny_model(dropout=0.2), data, tmp_path / "whole")
    folder = tmp_path / "run"
    _run(tiny_model(dropout=0.2), data, folder, stop_at=4)
    weights = folder / "checkpoints" / "step-4" / "model.safetensors"
    content = weights.read_bytes()
    match damage:
        case "cut":
            weights.write_bytes(content[:-9])
        case "changed":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "missing":
            weights.unlink()
        case _:
            (weights.parent / "complete.json").unlink()
    found, resumed, said = _run(tiny_model(dropout=0.2, seed=99), data, folder)
    assert [progress.number for progress in found if progress.step] == [3, 4, 5, 6]
    assert _same(resumed, expected)
    assert len(said) == 1
    assert "step-4: passed over" in said[0]


def test_a_finished_run_has_nothing_left_to_do(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    _, expected, _ = _run(tiny_model(dropout=0.2), data, tmp_path / "run")
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    again, weights, _ = _run(tiny_model(seed=99, dropout=0.2), data, tmp_path / "run")
    assert all(progress.step is None for progress in again)
    assert _same(weights, expected)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_validation_is_measured_first_last_and_between(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    model = tiny_model(dropout=0.2)
    first = validate(Learner(model), data.validation, byte_lengths=data.byte_lengths, replicas=Replicas())
    found, _, _ = _run(model, data, tmp_path, settings=replace(SETTINGS, evaluate_every=4))
    measured = {progress.number: progress.validation for progress in found if progress.validation}
    assert list(measured) == [0, 4, STEPS]
    assert measured[0] == first
    lines = {line["step"]: line for line in _metrics(tmp_path)}
    assert list(lines) == list(range(STEPS + 1))
    assert [step for step, line in lines.items() if "validation_loss" in line] == [0, 4, STEPS]


def test_the_average_is_what_is_validated_and_saved(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    by_hand: Weights = {}
    model = tiny_model()
    plain = replace(SETTINGS, average=None, evaluate_every=1)
    (tmp_path / "plain").mkdir()
    for progress in fit(Learner(model), data, plain, Run(tmp_path / "plain", lambda _: False, print)):
        decay = min(0.9, (1 + progress.number) / (10 + progress.number))
        now = {name: p.detach().clone() for name, p in model.named_parameters()}
        by_hand = {n: decay * by_hand[n] + (1 - decay) * now[n] for n in now} if progress.number else now
    averaged = tiny_model()
    found, _, _ = _run(averaged, data, tmp_path / "averaged", settings=replace(plain, average=0.9))
    for name, parameter in averaged.named_parameters():
        torch.testing.assert_close(parameter.detach(), by_hand[name], atol=1e-6, rtol=1e-5)
    loss = validate(Learner(averaged), data.validation, byte_lengths=data.byte_lengths, replicas=Replicas()).loss
    assert found[-1].validation is not None
    assert found[-1].validation.loss == pytest.approx(loss, rel=1e-6)


def test_a_run_without_patience_for_more_ends_with_its_best_weights(
    tiny_model: MakeModel, data: TrainingData, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, steps=60, evaluate_every=1, patience=3, learning_rate=0.1, average=None, keep=Keep(last=1, best=1))
    model = tiny_model()
    found, weights, _ = _run(model, data, tmp_path, settings=settings)
    losses = [progress.validation.loss for progress in found if progress.validation]
    best = losses.index(min(losses))
    assert len(losses) == best + 4 < 60
    assert found[-1].ended is not None
    assert "3 evaluations" in found[-1].ended
    loss = validate(Learner(model), data.validation, byte_lengths=data.byte_lengths, replicas=Replicas()).loss
    assert loss == pytest.approx(min(losses), rel=1e-6) if best else True
    again, resumed, _ = _run(tiny_model(seed=9), data, tmp_path, settings=settings)
    assert all(progress.step is None for progress in again)
    assert _same(resumed, weights)


@pytest.mark.parametrize(
    ("every", "keep", "left"),
    [(2, Keep(2, 0), [4, 6]), (1, Keep(3, 0), [4, 5, 6]), (4, Keep(1, 0), [6]), (100, Keep(2, 0), [6])],
)
def test_the_last_snapshots_are_kept(
    every: int, keep: Keep, left: list[int], tiny_model: MakeModel, data: TrainingData, tmp_path: Path
) -> None:
    _run(tiny_model(), data, tmp_path, settings=replace(SETTINGS, checkpoint_every=every, keep=keep, evaluate_every=100))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [f"step-{step}" for step in left]


def test_the_best_snapshots_are_kept(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=8, checkpoint_every=100, evaluate_every=1, keep=Keep(1, 2), learning_rate=0.1)
    _run(tiny_model(), data, tmp_path, settings=settings)
    losses = {line["step"]: line["validation_loss"] for line in _metrics(tmp_path) if line["step"]}
    best = min(losses, key=lambda step: losses[step])
    left = {int(path.name.removeprefix("step-")) for path in (tmp_path / "checkpoints").iterdir()}
    assert {best, 8} <= left
    assert snapshots.best(tmp_path / "checkpoints") == tmp_path / "checkpoints" / f"step-{best}"


def test_a_loss_that_is_no_number_names_the_documents(tiny_model: MakeModel, data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"its batch has the documents doc-\d, .*lower learning_rate"):
        _run(tiny_model(), data, tmp_path, settings=replace(SETTINGS, learning_rate=1e30))
