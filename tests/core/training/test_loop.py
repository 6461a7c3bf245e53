"""One step is one step however it is cut into batches, and the learning rate takes its shape."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import stream_of
from transformers import PreTrainedModel

from aigc.core.batches.feed import feed
from aigc.core.batches.stream import START, Stream
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training.loop import NonFinite, Step, train
from aigc.core.training.optimiser import Schedule, adamw, learning_rate_at
from aigc.core.training.replicas import Replicas
from conftest import MakeModel

SCHEDULES = st.sampled_from(["cosine", "linear", "constant", "wsd"])
UNEQUAL = [(1, 16), (14, 3), (16, 1), (1, 3), (10, 7), (15, 2), (1, 16), (2, 15)]


def _train(
    model: PreTrainedModel, stream: Stream, *, steps: int = 1, accumulate: int = 1, rate: float = 1e-3, seed: int = 0
) -> list[Step]:
    learner = Learner(model)
    with feed(stream, START, accumulate=accumulate) as batches:
        return list(
            train(
                learner,
                batches,
                adamw(learner, weight_decay=0.1),
                learning_rate=lambda step: rate,
                clip=1.0,
                numbers=range(steps),
                seed=seed,
                replicas=Replicas(),
            )
        )


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_accumulated_batches_are_one_larger_batch(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    whole, parts = tiny_model(family), tiny_model(family)
    one = _train(whole, stream_of(codec, UNEQUAL, rows=8), rate=0.0)  # all documents in one batch
    stream = stream_of(codec, UNEQUAL, rows=2)
    bins = sum(1 for _ in stream.once())
    two = _train(parts, stream, accumulate=bins, rate=0.0)
    assert [step.labels for step in one] == [step.labels for step in two] == [sum(tail for _, tail in UNEQUAL)]
    assert two[0].loss == pytest.approx(one[0].loss, abs=1e-6)
    assert two[0].gradient_norm == pytest.approx(one[0].gradient_norm, rel=1e-5)
    for mine, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(other.grad, mine.grad, atol=1e-6, rtol=1e-5)


def test_a_steps_loss_is_the_mean_over_its_label_tokens(tiny_model: MakeModel, codec: TextCodec) -> None:
    model, stream = tiny_model(), stream_of(codec, [(1, 16), (14, 3)])
    ids = [sample for samples in stream.once() for sample in samples]
    nats = 0.0
    for sample in ids:
        logits = model(input_ids=torch.tensor(sample.input_ids)[None]).logits[0]
        nats += torch.nn.functional.cross_entropy(logits, torch.tensor(sample.labels), reduction="sum").item()
    [step] = _train(model, stream)
    assert (step.number, step.labels) == (1, 19)
    assert step.loss == pytest.approx(nats / 19, rel=1e-5)


def test_dropout_belongs_to_the_batch_and_not_to_what_was_drawn_before(tiny_model: MakeModel, codec: TextCodec) -> None:
    stream = stream_of(codec, UNEQUAL)
    losses = []
    for disturbed in (False, True):
        if disturbed:
            torch.rand(17)
        losses.append([step.loss for step in _train(tiny_model(dropout=0.3), stream, steps=3)])
    assert losses[0] == losses[1]
    assert losses[0] != [step.loss for step in _train(tiny_model(dropout=0.3), stream, steps=3, seed=1)]


def test_gradients_are_clipped_after_they_are_measured(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(sharpen=4.0)
    [step] = _train(model, stream_of(codec, [(1, 16)], rows=1), rate=0.0)
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    assert step.gradient_norm > 1.0
    assert norm == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_one_document_is_learned_by_heart(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    steps = _train(tiny_model(family), stream_of(codec, [(1, 16)], rows=1), steps=30, rate=1e-2)
    assert steps[0].loss == pytest.approx(np.log(400), rel=0.05)
    assert steps[-1].loss < 0.1 * steps[0].loss


@pytest.mark.parametrize("trouble", ["weights", "learning rate"])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_documents(trouble: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model()
    if trouble == "weights":
        next(model.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFinite, match=r"step \d+: the loss is nan") as caught:
        _train(model, stream_of(codec, [(1, 16), (1, 8)], rows=2), steps=3, rate=1e30 if trouble == "learning rate" else 1e-3)
    assert caught.value.documents == [0, 1]


def test_steps_tell_where_the_stream_is(tiny_model: MakeModel, codec: TextCodec) -> None:
    stream = stream_of(codec, UNEQUAL)
    steps = _train(tiny_model(), stream, steps=4, accumulate=2)
    assert [step.behind for step in steps] == [behind for _, behind in islice(stream.bins(), 8)][1::2]


@given(steps=st.integers(1, 300), warmup=st.floats(0, 1), schedule=SCHEDULES)
def test_the_rate_rises_then_falls_and_is_never_above_the_highest(steps: int, warmup: float, schedule: Schedule) -> None:
    rates = [learning_rate_at(s, steps=steps, highest=2.0, warmup=warmup, schedule=schedule) for s in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 2.0 for rate in rates)
    assert max(rates) == pytest.approx(2.0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("cosine", 0.55, 0.1), ("linear", 0.5, 0), ("constant", 1, 1), ("wsd", 1, 0)]
)
def test_schedules_end_where_they_say(schedule: Schedule, middle: float, end: float) -> None:
    rates = [learning_rate_at(s, steps=1000, highest=1.0, warmup=0.1, schedule=schedule) for s in range(1001)]
    assert rates[:100] == pytest.approx([(s + 1) / 100 for s in range(100)])
    assert rates[100] == pytest.approx(1.0)
    assert rates[550] == pytest.approx(middle)
    assert rates[800] == pytest.approx(1.0) if schedule == "wsd" else True
    assert rates[1000] == pytest.approx(end)
    assert rates[999] == pytest.approx(end, abs=6e-3)


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
