"""One step is one step however it is cut into batches, and the learning rate takes its shape."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.batches.packing import IGNORED, Batch, Packed, pack
from aigc.core.batches.shards import Shards
from aigc.core.training.loop import Step, evaluate, loss_sum, train
from aigc.core.training.optimiser import Schedule, adamw, learning_rate_at
from aigc.errors import AigcError
from conftest import MakeModel

SCHEDULES = st.sampled_from(["cosine", "linear", "constant"])


def _packed(documents: list[tuple[int, int]], *, batch_size: int, context: int = 16, seed: int = 1) -> Packed:
    """Rows from documents of (prompt tokens, completion tokens)."""
    lengths = [head + tail for head, tail in documents]
    tokens = np.random.default_rng(0).integers(1, 300, sum(lengths)).astype(np.uint16)
    shards = Shards(tokens, np.cumsum([0, *lengths]), np.array([head for head, _ in documents]), 1)
    return pack(shards, context=context, batch_size=batch_size, seed=seed, whole=True)[0]


def _train(model: torch.nn.Module, batches: Packed, *, steps: int = 1, accumulate: int = 1, rate: float = 1e-3) -> list[Step]:
    optimiser = adamw(model, weight_decay=0.1)
    return list(
        train(
            model,  # type: ignore[arg-type]
            batches,
            optimiser,
            learning_rate=lambda step: rate,
            accumulate=accumulate,
            clip=1.0,
            steps=range(steps),
        )
    )


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    "documents",
    [[(1, 16)] * 8, [(1, 16), (14, 3), (16, 1), (1, 3), (10, 7), (15, 2), (1, 16), (2, 15)]],
    ids=["equal label counts", "different label counts"],
)
def test_accumulated_batches_are_one_larger_batch(family: str, documents: list[tuple[int, int]], tiny_model: MakeModel) -> None:
    whole, parts = tiny_model(family), tiny_model(family)
    one = _train(whole, _packed(documents, batch_size=4), steps=2)
    two = _train(parts, _packed(documents, batch_size=2), steps=2, accumulate=2)
    assert [step.tokens for step in one] == [step.tokens for step in two]
    assert [step.loss for step in two] == pytest.approx([step.loss for step in one], abs=1e-6)
    assert [step.gradient_norm for step in two] == pytest.approx([step.gradient_norm for step in one], rel=1e-5)


def test_accumulated_gradients_are_those_of_one_larger_batch(tiny_model: MakeModel) -> None:
    documents = [(1, 16), (14, 3), (16, 1), (1, 3)]
    whole, parts = tiny_model(), tiny_model()
    _train(whole, _packed(documents, batch_size=4), rate=0.0)
    _train(parts, _packed(documents, batch_size=2), rate=0.0, accumulate=2)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-5)


def test_accumulated_weights_are_those_of_one_larger_batch(tiny_model: MakeModel) -> None:
    documents = [(1, 16), (14, 3), (16, 1), (1, 3)]
    whole, parts = tiny_model(), tiny_model()
    # Adam divides a gradient by its own size: a gradient that is zero but for rounding moves at the full rate
    _train(whole, _packed(documents, batch_size=4), rate=1e-5)
    _train(parts, _packed(documents, batch_size=2), rate=1e-5, accumulate=2)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=0)


def test_a_steps_loss_is_the_mean_over_its_label_tokens(tiny_model: MakeModel) -> None:
    model, batches = tiny_model(), _packed([(1, 16), (14, 3)], batch_size=2)
    batch = batches[0]
    tokens = int((batch.labels != IGNORED).sum())
    before = loss_sum(model, batch).item()
    [step] = _train(model, batches)
    assert (step.number, step.tokens) == (1, tokens)
    assert step.loss == pytest.approx(before / tokens, rel=1e-6)


def test_step_numbers_name_the_batches_that_are_read(tiny_model: MakeModel) -> None:
    batches = _packed([(1, n) for n in range(2, 17)], batch_size=1)
    model = tiny_model()
    counts = [int((batches[k].labels != IGNORED).sum()) for k in range(9)]
    steps = list(
        train(
            model,
            batches,
            adamw(model, weight_decay=0.0),
            learning_rate=lambda step: 0.001 * step,
            accumulate=3,
            clip=1.0,
            steps=range(1, 3),
        )
    )
    assert [step.number for step in steps] == [2, 3]
    assert [step.tokens for step in steps] == [sum(counts[3:6]), sum(counts[6:9])]
    assert [step.learning_rate for step in steps] == [0.001, 0.002]


def test_gradients_are_clipped_after_they_are_measured(tiny_model: MakeModel) -> None:
    model = tiny_model(sharpen=4.0)
    [step] = _train(model, _packed([(1, 16)], batch_size=1), rate=0.0)
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    assert step.gradient_norm > 1.0
    assert norm == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_one_document_is_learned_by_heart(family: str, tiny_model: MakeModel) -> None:
    steps = _train(tiny_model(family), _packed([(1, 16)], batch_size=1), steps=30, rate=1e-2)
    assert steps[0].loss == pytest.approx(np.log(400), rel=0.05)
    assert steps[-1].loss < 0.1 * steps[0].loss


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_loss_is_that_of_transformers(family: str, tiny_model: MakeModel) -> None:
    model, ids = tiny_model(family), torch.arange(20)[None] * 7
    theirs = model(input_ids=ids, labels=ids).loss.item() * 19
    ours = loss_sum(model, Batch(ids[:, :-1], torch.arange(19)[None], ids[:, 1:])).item()
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_evaluation_sums_over_the_epoch_and_changes_nothing(tiny_model: MakeModel) -> None:
    model = tiny_model(dropout=0.5)
    shards = Shards(np.arange(1, 61, dtype=np.uint16), np.array([0, 17, 34, 60]), np.array([1, 9, 1]), 1)
    results = []
    for batch_size in (1, 2, 3):
        packed, accounting = pack(shards, context=16, batch_size=batch_size, seed=None, whole=False)
        model.train()
        weights = copy.deepcopy(model.state_dict())
        total, tokens = evaluate(model, packed)
        assert tokens == accounting.label_tokens
        assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
        results.append(total)
    assert results == pytest.approx([results[0]] * 3, rel=1e-5)


@pytest.mark.parametrize("trouble", ["weights", "learning rate"])
def test_a_loss_that_is_not_finite_ends_the_run(trouble: str, tiny_model: MakeModel) -> None:
    model = tiny_model()
    if trouble == "weights":
        next(model.parameters()).data.fill_(float("nan"))
    with pytest.raises(AigcError, match=r"step \d+: the loss is .*lower learning_rate"):
        _train(model, _packed([(1, 16)], batch_size=1), steps=3, rate=1e30 if trouble == "learning rate" else 1e-3)


@given(steps=st.integers(1, 300), warmup=st.floats(0, 1), schedule=SCHEDULES)
def test_the_rate_rises_then_falls_and_is_never_above_the_highest(steps: int, warmup: float, schedule: Schedule) -> None:
    rates = [learning_rate_at(s, steps=steps, highest=2.0, warmup=warmup, schedule=schedule) for s in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 2.0 for rate in rates)
    assert max(rates) == pytest.approx(2.0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(("schedule", "end"), [("cosine", 0.1), ("linear", 0.0), ("constant", 1.0)])
def test_schedules_end_where_they_say(schedule: Schedule, end: float) -> None:
    rates = [learning_rate_at(s, steps=1000, highest=1.0, warmup=0.1, schedule=schedule) for s in range(1001)]
    assert rates[:100] == pytest.approx([(s + 1) / 100 for s in range(100)])
    assert rates[100] == pytest.approx(1.0)
    assert rates[550] == pytest.approx((1 + end) / 2)
    assert rates[1000] == pytest.approx(end)
    assert rates[999] == pytest.approx(end, abs=2e-3)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_parameter_is_trained_once_and_vectors_do_not_decay(family: str, tiny_model: MakeModel) -> None:
    model = tiny_model(family)
    decayed, others = adamw(model, weight_decay=0.3).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    ids = [id(p) for group in (decayed, others) for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    decaying = {id(p) for p in decayed["params"]}
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "norm" in name or ".ln_" in name:
            assert id(parameter) not in decaying, name
        elif "attn" in name or "mlp" in name or "wte" in name or "embed_tokens" in name:
            assert id(parameter) in decaying, name
