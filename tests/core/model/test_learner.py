"""The learner's loss is one number for a batch, however it is computed and whatever wraps it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from flats import CLASSIFIERS, LENGTHS, NAMES, batch_of, model_of, samples_of
from torch import nn
from torch.distributed.fsdp import fully_shard

from aigc.core.batches.batch import Batch
from aigc.core.model.bodies import entries_of, flat
from aigc.core.model.learner import Learner, Losses
from aigc.core.model.preference import Preference
from aigc.core.model.sequences import Classes

ALL = pytest.mark.parametrize("name", NAMES)
PREFERRING = ["gpt2+preference", "llama+preference", "bart+preference"]
EVERY = pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS, *PREFERRING])


def learner_of(name: str, *, sharpen: float = 1.0, **how: Any) -> Learner:
    """One that learns all that its model can, or by preference."""
    if name in PREFERRING:
        how["preference"] = Preference("orpo", 0.3)
    elif name in CLASSIFIERS:
        how["sequence"] = Classes()
    return Learner(model_of(name.removesuffix("+preference"), sharpen=sharpen), **how)


def drawn(name: str, **numbers: Any) -> Batch:
    """A batch for it."""
    samples = samples_of(name.removesuffix("+preference"), **numbers)
    if name in PREFERRING:
        samples = [replace(sample, target=1.0 - place % 2) for place, sample in enumerate(samples)]
    return batch_of(samples)


def learned(shared: nn.Module, batch: Batch) -> tuple[Losses, dict[str, torch.Tensor]]:
    """Losses and gradients, in training."""
    shared.train()
    shared.zero_grad()
    losses: Losses = shared(batch, token_total=10.0, sequence_total=2.0)
    losses.loss.backward()
    found = {}
    for name, parameter in shared.named_parameters():
        assert parameter.grad is not None, name
        gradient = parameter.grad
        found[name.removeprefix("module.")] = getattr(gradient, "full_tensor", gradient.clone)()
    return losses, found


def same(one: tuple[Losses, dict[str, torch.Tensor]], other: tuple[Losses, dict[str, torch.Tensor]]) -> None:
    torch.testing.assert_close(one[0], other[0], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(one[1], other[1], atol=1e-6, rtol=1e-5)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A group of this one process."""
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@EVERY
def test_the_loss_is_that_of_tokens_and_of_whole_samples(name: str) -> None:
    batch = drawn(name)
    losses, _ = learned(learner_of(name), batch)
    torch.testing.assert_close(losses.loss.detach(), losses.token_sum / 10 + losses.sequence_sum / 2)
    assert 0 <= int(losses.token_right) <= len(batch.labels)
    assert bool(losses.token_sum > 0) == bool(losses.token_weight > 0) == (name in NAMES)
    assert bool(losses.sequence_sum > 0) == (name not in NAMES or name == "bert+pairs")
    assert (losses.scores is None) == (name not in ("bert+pairs", *CLASSIFIERS))
    assert (losses.rewards is None) == (name not in PREFERRING)


@pytest.mark.parametrize("name", [*NAMES, "bert+classes", "gpt2+preference"])
def test_compiled_it_is_the_same_and_new_bounds_compile_nothing(name: str) -> None:
    plain, compiled = learner_of(name), learner_of(name, compiled=True, backend="aot_eager")
    first = drawn(name)
    same(learned(compiled, first), learned(plain, first))
    with torch.no_grad():
        compiled(first, token_total=1.0, sequence_total=1.0)
    if first.source_bounds is not None:
        return  # another draw has another number of source places
    other = drawn(name, lengths=tuple(reversed(LENGTHS)), seed=3)
    with torch.compiler.set_stance("fail_on_recompile"):
        same(learned(compiled, other), learned(plain, other))


@ALL
def test_activations_computed_again_are_the_same(name: str) -> None:
    batch = batch_of(samples_of(name))
    kept, again = Learner(model_of(name)), Learner(model_of(name), gradient_checkpointing=True)
    numbers = []
    for learner in (kept, again):
        seen: set[int] = set()

        def pack(tensor: torch.Tensor, seen: set[int] = seen) -> torch.Tensor:
            seen.add(tensor.untyped_storage().data_ptr())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            learner.train()
            learner(batch, token_total=1.0, sequence_total=1.0)
        numbers.append(len(seen))
    assert numbers[1] < numbers[0]
    same(learned(again, batch), learned(kept, batch))


@EVERY
def test_data_parallel_wraps_it(name: str, group: None) -> None:
    batch = drawn(name)
    same(learned(nn.parallel.DistributedDataParallel(learner_of(name)), batch), learned(learner_of(name), batch))


@EVERY
def test_data_parallel_needs_no_search_where_weights_are_frozen(name: str, group: None) -> None:
    batch = drawn(name)
    found = []
    for wrap in (nn.parallel.DistributedDataParallel, nn.Module.train):
        learner = learner_of(name)
        learner.model.get_input_embeddings().requires_grad_(False)
        learner.blocks()[0].requires_grad_(False)
        shared = wrap(learner)
        for _ in range(2):  # it would complain in the second of a parameter that got no gradient in the first
            shared(batch, token_total=10.0, sequence_total=2.0).loss.backward()
        found.append({name.removeprefix("module."): p.grad for name, p in shared.named_parameters()})
    assert any(gradient is None for gradient in found[0].values())
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


@EVERY
def test_its_weights_can_be_sharded(name: str, group: None) -> None:
    batch = drawn(name)
    learner = learner_of(name)
    mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
    assert len(learner.blocks()) >= 2
    for block in learner.blocks():
        fully_shard(block, mesh=mesh)
    shared = fully_shard(learner, mesh=mesh)
    for _ in range(2):
        same(learned(shared, batch), learned(learner_of(name), batch))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "llama"])
def test_dropout_drops_in_training_only(name: str) -> None:
    batch = batch_of(samples_of(name))
    learner = Learner(model_of(name, dropout=0.2))
    torch.manual_seed(1)
    first, second = (learned(learner, batch)[0].loss.item() for _ in range(2))
    assert first != second
    learner.eval()
    with torch.no_grad():
        first, second = (learner(batch, token_total=1.0, sequence_total=1.0).loss.item() for _ in range(2))
    assert first == second


def test_dropout_compiles_too_and_new_bounds_compile_nothing() -> None:
    learner = Learner(model_of("gpt2", dropout=0.2), compiled=True, backend="aot_eager")
    learned(learner, batch_of(samples_of("gpt2")))
    with torch.compiler.set_stance("fail_on_recompile"):
        learned(learner, batch_of(samples_of("gpt2", lengths=tuple(reversed(LENGTHS)))))


@ALL
def test_half_precision_is_near(name: str) -> None:
    batch = batch_of(samples_of(name))
    whole, half = (learned(Learner(model_of(name), dtype=dtype), batch) for dtype in (None, torch.bfloat16))
    torch.testing.assert_close(half[0].token_sum, whole[0].token_sum, atol=0, rtol=0.01)
    assert {gradient.dtype for gradient in half[1].values()} == {torch.float32}


def test_a_batch_that_teaches_nothing_has_no_loss() -> None:
    (sample,) = samples_of("gpt2", lengths=(6,))
    sample.labels[:] = -100
    losses, found = learned(Learner(model_of("gpt2")), batch_of([sample]))
    assert losses.loss.item() == 0
    assert not any(gradient.any() for gradient in found.values())


def test_tokens_are_pushed_down_beside_those_that_are_learned() -> None:
    (sample,) = samples_of("gpt2", lengths=(8,))
    sample.labels[:] = [9, 9, 9, 9, 7, 7, 7, 7]
    assert sample.weights is not None
    sample.weights[:] = [1, 1, 1, 2, -1, -1, -0.5, -1]
    learner = Learner(model_of("gpt2"))
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)
    told = []
    for _ in range(2):
        losses, _ = learned(learner, batch_of([sample]))
        torch.testing.assert_close(losses.loss.detach(), (losses.token_sum + losses.pushed_sum) / 10)
        assert losses.token_weight == 5 and losses.token_right <= 4
        assert losses.token_nats < losses.token_sum, "the fourth token weighs twice"
        told.append(losses)
        optimiser.step()
    assert told[1].token_sum < told[0].token_sum
    assert told[1].pushed_sum < told[0].pushed_sum
    assert told[1].pushed_nats > told[0].pushed_nats


def test_a_frozen_head_is_given_no_gradient_by_any_loss() -> None:
    for name in ("gpt2", "gpt2+preference"):
        learner = learner_of(name)
        learner.model.get_output_embeddings().requires_grad_(False)
        learner(drawn(name), token_total=1.0, sequence_total=1.0).loss.backward()
        grads = {key: p.grad for key, p in learner.named_parameters()}
        assert [key for key, gradient in grads.items() if gradient is None] == ["model.transformer.wte.weight"]


def test_the_id_that_pads_is_learned_too() -> None:
    model = model_of("llama")
    model.get_input_embeddings().padding_idx = 5  # as from_pretrained leaves it
    (sample,) = samples_of("llama", lengths=(6,))
    sample.input_ids[:], sample.labels[:] = 5, 7
    learner = Learner(model)
    hidden = learner(batch_of([sample]), token_total=1.0, sequence_total=1.0)
    embedded, _ = torch.autograd.grad(hidden.loss, [model.get_input_embeddings().weight, model.model.norm.weight])
    assert model.get_input_embeddings().padding_idx is None
    assert embedded[5].abs().sum() > 0.01


def test_bounds_for_a_gpu_grow_only_where_a_batch_has_more_samples() -> None:
    few, more, many = (batch_of(samples_of("gpt2", lengths=(5,) * count)) for count in (3, 8, 9))
    first = entries_of(few, 0)
    assert first == 10 and entries_of(more, first) == first, "eight samples, the padding and the end"
    assert entries_of(many, first) == 22
    assert entries_of(few, 22) == 22
    tail = flat(many, 22).bounds
    assert len(tail) == 22 and tail[9] == 45 and tail[10:].eq(len(many.input_ids)).all()
    assert entries_of(batch_of(samples_of("gpt2", lengths=(1, 1)), spare=0), 0) == 3, "there are no more bounds"
