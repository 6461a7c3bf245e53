"""A run on several processes is the run on one: whatever they share, and wherever it was stopped."""

import json
import multiprocessing
import os
import socket
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import data_of, stream_of, targets_of
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from aigc.core.model import checkpoints, families
from aigc.core.model.learner import Learner
from aigc.core.model.sequences import Classes
from aigc.core.tokens.training import train
from aigc.core.training.fit import Run, Settings, fit
from aigc.core.training.replicas import Replicas, joined
from aigc.core.training.snapshots import Keep
from aigc.core.training.validation import Validation
from aigc.errors import AigcError

TEXTS = [f"The {number} quick brown foxes jump over {number * 7} lazy dogs; 春天来了，花园里的花都开了。" for number in range(99)]
CONTEXT = 64
STEPS, STOP, BINS = 4, 2, 6  # of a run; where one is stopped; bins in a step, over all processes
SETTINGS = Settings(
    steps=STEPS,
    accumulate=BINS,
    learning_rate=1e-3,
    schedule="cosine",
    warmup=0.2,
    weight_decay=0.1,
    clip=0.5,
    evaluate_every=2,
    checkpoint_every=100,
    seed=3,
    keep=Keep(last=9, best=0),
    average=0.9,
)
HANGING = 30.0  # seconds after which a process that should have ended is said to hang
Job = Callable[[Path, Replicas], None]


def _fit(
    folder: Path,
    replicas: Replicas = Replicas(),  # noqa: B008
    *,
    stop_at: int | None = None,
    dtype: torch.dtype | None = None,
    **changed: Any,
) -> None:
    """Train in a folder, with steps of the same bins on any number of processes, and save the model."""
    codec = train(TEXTS, kind="bpe", family="decoder", vocabulary=320, context=CONTEXT)
    torch.manual_seed(0)
    shape = families.Shape(layers=2, width=32, heads=2, dropout=0.2)
    ids = families.SpecialIds.of(codec)
    learner = Learner(families.build("gpt2", shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT), dtype=dtype)
    documents = [(1, n) for n in (8, 16, 4, 11, 29, 7, 16, 3, 12)]
    training = stream_of(codec, documents, whole=False, rows=1)
    validation = stream_of(codec, documents[:5], whole=False, rows=1, seed=5)
    settings = replace(SETTINGS, accumulate=BINS // replicas.count, **changed)
    folder.mkdir(exist_ok=True)
    run = Run(folder, lambda step: step == stop_at, print, replicas)
    for _ in fit(learner, data_of(codec, training, validation), settings, run):
        pass
    checkpoints.save_shared(learner, codec, folder / "model", writes=replicas.first)
    replicas.wait()


def _classify(folder: Path, replicas: Replicas = Replicas(), *, stop_at: int | None = None, **changed: Any) -> None:  # noqa: B008
    """The same of classes, by a model whose embeddings are frozen; what it says at last is written down."""
    codec = train(TEXTS, kind="bpe", family="decoder", vocabulary=320, context=CONTEXT)
    torch.manual_seed(0)
    shape, ids = families.Shape(layers=2, width=32, heads=2, dropout=0.2), families.SpecialIds.of(codec)
    model = families.build("gpt2", shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT, classes=3)
    model.transformer.wte.requires_grad_(False)
    streams = (targets_of(codec, [9, 16, 4, 11, 5, 7, 16, 3, 12], rows=1, seed=seed) for seed in (1, 5))
    settings = replace(SETTINGS, accumulate=BINS // replicas.count, **changed)
    folder.mkdir(exist_ok=True)
    run = Run(folder, lambda step: step == stop_at, print, replicas)
    for progress in fit(Learner(model, sequence=Classes()), data_of(codec, *streams), settings, run, measure=_guessed):
        if progress.number == STEPS and replicas.first:
            assert progress.validation is not None and progress.validation.predictions is not None
            np.savez(folder / "said.npz", **vars(progress.validation.predictions))


def _guessed(found: Validation) -> dict[str, float]:
    assert found.predictions is not None
    return {"guessed": float(found.predictions.scores.argmax(1).mean())}


def on_two(folder: Path, replicas: Replicas) -> None:
    """All that two processes do."""
    _fit(folder / "two", replicas)
    _fit(folder / "two-parts", replicas, stop_at=STOP)
    _fit(folder / "two-parts", replicas)
    _fit(folder / "one-two", replicas)
    _fit(folder / "shard", replicas, sharing="shard")
    _fit(folder / "shard-parts", replicas, stop_at=STOP, sharing="shard")
    _fit(folder / "shard-parts", replicas, sharing="shard")
    _fit(folder / "shard-one", replicas, stop_at=STOP, sharing="shard")
    _fit(folder / "shard-two", replicas, stop_at=STOP, sharing="shard")
    _fit(folder / "shard-two", replicas)
    _fit(folder / "one-shard", replicas, sharing="shard")
    _fit(folder / "bf16-shard", replicas, dtype=torch.bfloat16, sharing="shard")
    _classify(folder / "classes-two", replicas)
    _classify(folder / "classes-two-parts", replicas, stop_at=STOP)
    _classify(folder / "classes-two-parts", replicas)
    _classify(folder / "classes-shard", replicas, sharing="shard")
    with pytest.raises(AigcError) as caught:
        _fit(folder / "broken", replicas, learning_rate=1e30)
    (folder / f"said-{replicas.rank}").write_text(str(caught.value), "utf-8")


def on_three(folder: Path, replicas: Replicas) -> None:
    """All that three processes do: the first number at which the order of a sum matters, and at which parts are uneven."""
    _fit(folder / "three", replicas)
    _fit(folder / "three-parts", replicas, stop_at=STOP)
    _fit(folder / "three-parts", replicas)
    _fit(folder / "three-shard", replicas, sharing="shard")


def broken_on_one(folder: Path, replicas: Replicas) -> None:
    """The second process cannot go on, and the first waits for it."""
    if not replicas.first:
        raise AigcError("the disk of this one is full")
    replicas.wait()


def _work(job: Job, folder: Path, rank: int, count: int, port: int) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with (folder / f"stderr-{rank}").open("w") as file:
        os.dup2(file.fileno(), 2)
    with joined() as replicas:
        job(folder, replicas)


def _together(count: int, job: Job, folder: Path) -> list[int | None]:
    """Do a job on several processes; their exit codes, None for one that hangs."""
    context = multiprocessing.get_context("forkserver")  # imports once what all processes need
    context.set_forkserver_preload(["transformers", "aigc.core.model.checkpoints", "aigc.core.training.fit"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [context.Process(target=_work, args=(job, folder, rank, count, port)) for rank in range(count)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + 4 * HANGING
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all runs; those that go on with another number of processes are begun and ended here."""
    folder = tmp_path_factory.mktemp("runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("one-two", "one-shard"):
        _fit(folder / name, stop_at=STOP)
    _fit(folder / "one")
    _fit(folder / "one-bf16", dtype=torch.bfloat16)
    _classify(folder / "classes-one")
    for count, job in ((2, on_two), (3, on_three)):
        codes = _together(count, job, folder)
        said = [(folder / f"stderr-{rank}").read_text("utf-8") for rank in range(count)]
        assert codes == [0] * count, said
        assert said == [""] * count
    _fit(folder / "shard-one", sharing="shard")
    torch.set_num_threads(threads)
    return folder


def _lines(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: line[name] for name in line if name not in ("tokens_per_second", "waited")} for line in lines]


def _close(found: Path, wanted: Path, relative: float) -> None:
    for one, other in zip(_lines(found), _lines(wanted), strict=True):
        assert one == pytest.approx(other, rel=relative)


@pytest.mark.parametrize(
    "name",
    ["two", "two-parts", "one-two", "shard", "shard-parts", "shard-one", "shard-two", "one-shard", "three", "three-shard"],
)
def test_any_number_of_processes_takes_the_steps_of_one(name: str, runs: Path) -> None:
    _close(runs / name, runs / "one", 1e-5)
    weights, wanted = (AutoModelForCausalLM.from_pretrained(runs / one / "model").state_dict() for one in (name, "one"))
    for key, tensor in wanted.items():
        torch.testing.assert_close(weights[key], tensor, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["two", "shard", "three"])
def test_stopped_and_resumed_is_the_run_at_once_to_the_bit(name: str, runs: Path) -> None:
    assert _lines(runs / f"{name}-parts") == _lines(runs / name)
    weights, wanted = (load_file(runs / one / "model" / "model.safetensors") for one in (f"{name}-parts", name))
    assert all(torch.equal(weights[key], tensor) for key, tensor in wanted.items())
    for file in (runs / name / "checkpoints" / f"step-{STEPS}").glob("*.safetensors"):
        assert (runs / f"{name}-parts" / "checkpoints" / f"step-{STEPS}" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["classes-two", "classes-two-parts", "classes-shard"])
def test_classes_are_told_in_the_order_of_the_split_by_any_number_of_processes(name: str, runs: Path) -> None:
    _close(runs / name, runs / "classes-one", 1e-4)
    said, wanted = (np.load(runs / one / "said.npz") for one in (name, "classes-one"))
    assert said["documents"].tolist() == list(range(9))
    np.testing.assert_array_equal(said["targets"], wanted["targets"])
    np.testing.assert_allclose(said["scores"], wanted["scores"], atol=1e-4)
    assert _lines(runs / name)[-1]["guessed"] == said["scores"].argmax(1).mean()
    if name == "classes-two-parts":
        assert _lines(runs / name) == _lines(runs / "classes-two")


def test_products_in_bf16_come_close(runs: Path) -> None:
    _close(runs / "bf16-shard", runs / "one-bf16", 1e-2)


def test_checkpoints_of_shards_are_written_in_parts(runs: Path) -> None:
    files = {path.name for path in (runs / "shard" / "checkpoints" / f"step-{STEPS}").iterdir()}
    assert files == {".metadata", "__0_0.distcp", "__1_0.distcp", "complete.json"}
    files = {path.name for path in (runs / "two" / "checkpoints" / f"step-{STEPS}").iterdir()}
    assert files == {"average.safetensors", "model.safetensors", "optimiser.pt", "complete.json"}


def test_a_loss_that_is_no_number_names_the_documents_of_all_processes(runs: Path) -> None:
    said = [(runs / f"said-{rank}").read_text("utf-8") for rank in range(2)]
    assert said[0] == said[1]
    assert "its batch has the documents doc-" in said[0]


def test_the_others_do_not_wait_for_a_process_that_failed(tmp_path: Path) -> None:
    began = time.monotonic()
    assert _together(2, broken_on_one, tmp_path) == [1, 1]
    assert time.monotonic() - began < HANGING
    assert "another process of this run ended" in (tmp_path / "stderr-0").read_text("utf-8")
    assert (tmp_path / "stderr-1").read_text("utf-8") == "aigc: process 1 of 2: the disk of this one is full\n"
