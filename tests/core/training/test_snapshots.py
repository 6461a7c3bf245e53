"""A run with frozen weights: what it trains is all that it writes, averages and decays, and it goes on from its start."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from made import data_of, stream_of
from safetensors.torch import load_file
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from aigc.core.batches.stream import START
from aigc.core.model import adapters
from aigc.core.model.adapters import Lora
from aigc.core.model.layers import freeze
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training import snapshots
from aigc.core.training.average import Average
from aigc.core.training.corpus import TrainingData
from aigc.core.training.fit import Run, Settings, fit
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas
from aigc.core.training.snapshots import Keep, State, Training
from aigc.errors import AigcError
from conftest import MakeModel

STEPS = 4
SETTINGS = Settings(
    steps=STEPS,
    accumulate=1,
    learning_rate=1e-2,
    schedule="cosine",
    warmup=0.2,
    weight_decay=0.1,
    clip=1.0,
    evaluate_every=2,
    checkpoint_every=2,
    seed=3,
    keep=Keep(last=9, best=0),
    average=0.9,
)
Make = Callable[[MakeModel], PreTrainedModel]


def lora(make: MakeModel) -> PreTrainedModel:
    """The same start always, with the same adapters."""
    return adapters.add(make("llama"), Lora(rank=2), seed=0)


def frozen(make: MakeModel) -> PreTrainedModel:
    """The upper half is trained."""
    model = make("gpt2")
    freeze(model, embeddings=True, layers=1)
    return model


@pytest.fixture
def data(codec: TextCodec) -> TrainingData:
    """Some documents."""
    documents = [(1, n) for n in (8, 16, 4, 11, 29, 7, 16)]
    return data_of(codec, stream_of(codec, documents, whole=False, rows=1), stream_of(codec, documents[:4], whole=False, rows=2))


def run(model: PreTrainedModel, data: TrainingData, folder: Path, stop_at: int | None = None) -> dict[str, torch.Tensor]:
    folder.mkdir(exist_ok=True)
    for _ in fit(Learner(model), data, SETTINGS, Run(folder, lambda step: step == stop_at, print)):
        pass
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("make", [lora, frozen])
def test_stopped_and_resumed_from_the_start_is_the_run_at_once(
    make: Make, tiny_model: MakeModel, data: TrainingData, tmp_path: Path
) -> None:
    wanted = run(make(tiny_model), data, tmp_path / "whole")
    run(make(tiny_model), data, tmp_path / "parts", stop_at=2)
    found = run(make(tiny_model), data, tmp_path / "parts")
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    files = [tmp_path / name / "checkpoints" / f"step-{STEPS}" / "model.safetensors" for name in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("make", [lora, frozen])
def test_what_is_trained_is_all_that_is_written_averaged_and_stepped(
    make: Make, tiny_model: MakeModel, data: TrainingData, tmp_path: Path
) -> None:
    model = make(tiny_model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert 0 < len(trained) < len(list(model.parameters()))
    after = run(model, data, tmp_path)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == trained
    written = tmp_path / "checkpoints" / f"step-{STEPS}"
    assert load_file(written / "model.safetensors").keys() == trained
    assert {name.removeprefix("model.") for name in load_file(written / "average.safetensors")} == trained
    assert len(torch.load(written / "optimiser.pt", weights_only=True)["state"]) == len(trained)


def training_of(model: PreTrainedModel) -> Training:
    learner = Learner(model)
    return Training(learner, adamw(learner, weight_decay=0.1), Average(learner, 0.9))


OTHERS: dict[str, Make] = {
    "another rank": lambda make: adapters.add(make("llama"), Lora(rank=4), seed=0),
    "other targets": lambda make: adapters.add(make("llama"), Lora(rank=2, targets=["q_proj"]), seed=0),
    "more targets": lambda make: adapters.add(make("llama"), Lora(rank=2, dora=True), seed=0),
    "no adapters": lambda make: make("llama"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("sharded", [True, False])
def test_a_snapshot_of_other_adapters_is_refused(name: str, sharded: bool, tiny_model: MakeModel, tmp_path: Path) -> None:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        made = []
        for model in (lora(tiny_model), OTHERS[name](tiny_model)):
            learner = Learner(model)
            if sharded:
                mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
                for block in [*learner.blocks(), learner]:
                    fully_shard(block, mesh=mesh)
            made.append(Training(learner, adamw(learner, weight_decay=0.1), None, sharded))
        snapshots.take(tmp_path, made[0], State(1, START), keep=Keep(), replicas=Replicas())
        snapshots.restore(tmp_path / "step-1", made[0])
        with pytest.raises(AigcError, match=r"step-1: it is of a run that trained other weights \(.*weight differs\)"):
            snapshots.restore(tmp_path / "step-1", made[1])
    finally:
        dist.destroy_process_group()


def test_shards_with_frozen_weights_come_back(tiny_model: MakeModel, tmp_path: Path) -> None:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        made = []
        for _ in range(2):
            learner = Learner(lora(tiny_model))
            mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
            for block in [*learner.blocks(), learner]:
                fully_shard(block, mesh=mesh)
            made.append(Training(learner, adamw(learner, weight_decay=0.1), Average(learner, 0.9), sharded=True))
        with torch.no_grad():
            for parameter in made[0].learner.parameters():
                parameter.add_(1.0)
        snapshots.take(tmp_path, made[0], State(1, START), keep=Keep(), replicas=Replicas())
        snapshots.restore(tmp_path / "step-1", made[1])
        for ours, theirs in zip(made[0].learner.parameters(), made[1].learner.parameters(), strict=True):
            same = torch.equal(ours.full_tensor(), theirs.full_tensor())  # type: ignore[operator]
            assert same == ours.requires_grad
    finally:
        dist.destroy_process_group()


def test_a_model_whole_in_an_older_snapshot_is_restored(tiny_model: MakeModel, tmp_path: Path) -> None:
    from safetensors.torch import save_model

    whole = training_of(tiny_model("gpt2", seed=1))
    snapshots.take(tmp_path, whole, State(1, START), keep=Keep(), replicas=Replicas())
    save_model(whole.learner.model, str(tmp_path / "step-1" / "model.safetensors"))
    other = training_of(tiny_model("gpt2", seed=2))
    snapshots.restore(tmp_path / "step-1", other)
    for ours, theirs in zip(whole.learner.parameters(), other.learner.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_matrices_of_adapters_decay_and_magnitudes_do_not(tiny_model: MakeModel) -> None:
    model = adapters.add(tiny_model("llama"), Lora(rank=2, dora=True), seed=0)
    decayed, others = adamw(model, weight_decay=0.3).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)].rpartition("lora_")[2].split(".")[0] for parameter in decayed["params"]} == {"A", "B"}
    assert {names[id(parameter)].rpartition("lora_")[2].split(".")[0] for parameter in others["params"]} == {"magnitude_vector"}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_nothing_to_train_is_an_error(tiny_model: MakeModel) -> None:
    with pytest.raises(AigcError, match="nothing is left that could be trained"):
        adamw(tiny_model().requires_grad_(False), weight_decay=0.1)


def test_the_average_of_adapters_is_put_and_taken_back(tiny_model: MakeModel) -> None:
    model = lora(tiny_model)
    average = Average(model, 0.5)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert average.weights.keys() == names
    with torch.no_grad():
        for name in names:
            model.get_parameter(name).add_(1.0)
    now = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with average.applied():
        assert all((model.get_parameter(name) != now[name]).all() == (name in names) for name in now)
    assert all(torch.equal(parameter, now[name]) for name, parameter in model.named_parameters())
