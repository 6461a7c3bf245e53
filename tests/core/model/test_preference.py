"""A preference's loss and gradient are those of whole logits, and its formulas are those that TRL publishes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from flats import batch_of, model_of, samples_of
from torch.nn import functional as F

from aigc.core.batches.batch import Batch
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.model import losses
from aigc.core.model.attention import unpacked
from aigc.core.model.head import Head
from aigc.core.model.learner import Learner
from aigc.core.model.preference import Kind, Preference, log_probabilities, preferred
from aigc.errors import AigcError

KINDS: list[Kind] = ["dpo", "ipo", "kto", "orpo"]
EACH = pytest.mark.parametrize("kind", KINDS)
LENGTHS = (5, 3, 11, 7, 2, 6)
BETA = 0.4
Parts = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several."""
    monkeypatch.setattr(losses, "CPU_ROWS", 10)


def pairs(name: str = "gpt2", seed: int = 0) -> list[Sample]:
    """Three pairs of random samples, of which something is learned each."""
    rng = np.random.default_rng(seed + 1)
    made = samples_of(name, LENGTHS, seed)
    for sample in made:
        sample.labels[-1] = 9
    return [
        replace(sample, target=1.0 - place % 2, mate=place % 2 == 1, reference=float(-4 * len(sample.labels) + rng.normal()))
        for place, sample in enumerate(made)
    ]


def summed(logits: list[torch.Tensor], samples: list[Sample]) -> Parts:
    """What TRL's trainers compute first, from whole logits (L, V) of each sample: log-probabilities (D,) of labels, and counts."""
    logs, counts = [], []
    for one, sample in zip(logits, samples, strict=True):
        labels = torch.from_numpy(sample.labels)
        own = torch.log_softmax(one, -1).gather(1, labels.clamp_min(0)[:, None])[:, 0]
        logs.append(own[labels != IGNORED].sum())
        counts.append(int((labels != IGNORED).sum()))
    references = torch.tensor([sample.reference for sample in samples], dtype=logits[0].dtype)
    return {"logs": torch.stack(logs), "counts": torch.tensor(counts), "references": references}


def dpo(logs: torch.Tensor, counts: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Pairs' losses: `sigmoid` of trl/trainer/dpo_trainer.py, 1.16."""
    delta = (logs[::2] - references[::2]) - (logs[1::2] - references[1::2])
    return -F.logsigmoid(BETA * delta)


def ipo(logs: torch.Tensor, counts: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Pairs' losses: `ipo` of trl/trainer/dpo_trainer.py."""
    average = (logs - references) / counts.clamp(min=1.0)
    return (average[::2] - average[1::2] - 1 / (2 * BETA)) ** 2


def orpo(logs: torch.Tensor, counts: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Pairs' losses: `odds_ratio_loss` of trl/experimental/orpo/orpo_trainer.py, and nats per token of each chosen sample."""
    chosen, rejected = (logs / counts)[::2], (logs / counts)[1::2]
    odds = (chosen - rejected) - (torch.log1p(-torch.exp(chosen)) - torch.log1p(-torch.exp(rejected)))
    return -chosen - BETA * F.logsigmoid(odds)


def kto(logs: torch.Tensor, counts: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Samples' losses: `kto` of trl/trainer/kto_trainer.py, with the batch's own samples where it takes mismatched ones."""
    ratios = logs - references
    kl = ratios.mean().detach().clamp(min=0)
    losses = torch.empty_like(ratios)
    losses[::2] = 1 - F.sigmoid(BETA * (ratios[::2] - kl))
    losses[1::2] = 1 - F.sigmoid(BETA * (kl - ratios[1::2]))
    return losses


FORMULAS: dict[Kind, Callable[..., torch.Tensor]] = {"dpo": dpo, "ipo": ipo, "kto": kto, "orpo": orpo}


def plain_logits(model: torch.nn.Module, samples: list[Sample]) -> list[torch.Tensor]:
    found = []
    for sample in samples:
        ids = torch.from_numpy(sample.input_ids)[None]
        if sample.source_ids is None:
            found.append(model(input_ids=ids).logits[0])
        else:
            source = torch.from_numpy(sample.source_ids)[None]
            found.append(model(input_ids=source, decoder_input_ids=ids, use_cache=False).logits[0])
    return found


def gradients(model: torch.nn.Module) -> Parts:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@EACH
def test_loss_and_gradient_are_those_of_whole_logits(kind: Kind) -> None:
    samples = pairs()
    batch = batch_of(samples)
    torch.manual_seed(0)
    hidden, weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((34, 8), (101, 8), (101,)))
    logits = torch.nn.functional.linear(hidden, weight, bias)
    wanted = FORMULAS[kind](**summed(list(logits.split(LENGTHS)), samples)).mean()
    expected = torch.autograd.grad(wanted, [hidden, weight, bias])
    predicted = Head(hidden.index_select(0, batch.targets), weight, bias)
    found = preferred(predicted, batch, Preference(kind, BETA))
    torch.testing.assert_close(found.loss / len(samples), wanted)
    torch.testing.assert_close(torch.autograd.grad(found.loss / len(samples), [hidden, weight, bias]), expected)


@EACH
@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_loss_and_gradient_are_those_of_plain_transformers(kind: Kind, name: str) -> None:
    model, samples = model_of(name, sharpen=2.0), pairs(name)
    learner = Learner(model, preference=Preference(kind, BETA))
    with unpacked(model):
        wanted = FORMULAS[kind](**summed(plain_logits(model, samples), samples)).mean()
        wanted.backward()
    expected = gradients(model)
    model.zero_grad()
    found = learner(batch_of(samples), token_total=1.0, sequence_total=len(samples))
    found.loss.backward()
    torch.testing.assert_close(found.loss, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sequence_sum / len(samples), wanted.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(model), expected, atol=1e-5, rtol=1e-4)
    assert max(gradient.abs().max().item() for gradient in expected.values()) > 1e-2


@EACH
def test_no_gradient_is_computed_where_none_is_wanted(kind: Kind) -> None:
    learner, batch = Learner(model_of("gpt2"), preference=Preference(kind, BETA)), batch_of(pairs())
    trained = learner(batch, token_total=1.0, sequence_total=6.0)
    with torch.no_grad():
        told = learner(batch, token_total=1.0, sequence_total=6.0)
    assert not told.loss.requires_grad
    torch.testing.assert_close(told.loss, trained.loss.detach())
    torch.testing.assert_close(told.rewards, trained.rewards)


@EACH
def test_steps_along_the_gradient_prefer_what_was_chosen(kind: Kind) -> None:
    batch = batch_of(pairs())
    learner = Learner(model_of("gpt2"), preference=Preference(kind, BETA))
    batch = replace(batch, references=log_probabilities(learner, batch))
    optimiser = torch.optim.Adam(learner.parameters(), 3e-3)
    told = []
    for _ in range(15):
        optimiser.zero_grad()
        told.append(learner(batch, token_total=1.0, sequence_total=6.0))
        told[-1].loss.backward()
        optimiser.step()
    assert told[-1].sequence_sum < told[0].sequence_sum
    first, last = (one.rewards[::2].mean() - one.rewards[1::2].mean() for one in (told[0], told[-1]))
    assert last > first + 0.1
    assert int(told[-1].sequence_right) == 6
    if kind != "orpo":
        assert told[0].rewards.abs().max() < 1e-5, "a model is as far from itself as can be"
        start = {"dpo": np.log(2), "ipo": (1 / (2 * BETA)) ** 2, "kto": 0.5}[kind]
        assert told[0].sequence_sum.item() / 6 == pytest.approx(start, rel=1e-4)


def test_rewards_and_pairs_that_are_right() -> None:
    logs = torch.tensor([-1.0, -3.0, -5.0, -2.0, -4.0, -4.0])
    counts, targets, zero = torch.full((6,), 2), torch.tensor([1.0, 0, 1, 0, 1, 0]), torch.zeros(6)
    for kind in ("dpo", "ipo"):
        found = Preference(kind, 0.5)(logs, counts, targets, zero)
        assert found.rewards.tolist() == [-0.5, -1.5, -2.5, -1.0, -2.0, -2.0]
        assert found.right.tolist() == [True, True, False, False, False, False], "a tie is not right"
    found = Preference("orpo", 0.5)(logs, counts, targets, None)
    assert found.rewards.tolist() == [-0.25, -0.75, -1.25, -0.5, -1.0, -1.0]
    found = Preference("kto", 0.5)(logs, counts, targets, torch.full((6,), -3.0))  # log ratios 2 0 -2 1 -1 -1, so z is 0
    assert found.rewards.tolist() == [1.0, 0.0, -1.0, 0.5, -0.5, -0.5]
    assert found.right.tolist() == [True, False, False, False, False, True]


def test_kto_measures_from_the_mean_of_the_batch_and_needs_no_pairs() -> None:
    logs = torch.tensor([5.0, 1.0, 3.0], requires_grad=True)
    found = Preference("kto", 1.0)(logs, torch.ones(3), torch.tensor([1.0, 1.0, 0.0]), torch.zeros(3))
    expected = torch.tensor([1 - torch.sigmoid(torch.tensor(2.0)), 1 - torch.sigmoid(torch.tensor(-2.0)), 0.5])
    torch.testing.assert_close(found.losses.detach(), expected)
    (slopes,) = torch.autograd.grad(found.losses.sum(), logs)
    assert slopes[2].item() == pytest.approx(0.25), "z is a constant: the slope is that of a sigmoid at 0"


def test_smoothed_labels_are_the_mean_over_pairs_the_wrong_way_round() -> None:
    logs, zero = torch.tensor([-1.0, -3.0]), torch.zeros(2)
    there, back = (Preference("dpo", 0.7)(x, zero, zero, zero).losses[0].item() for x in (logs, logs.flip(0)))
    smoothed = Preference("dpo", 0.7, 0.2)(logs, zero, zero, zero).losses[0].item()
    assert smoothed == pytest.approx(0.8 * there + 0.2 * back)


@pytest.mark.parametrize("chosen", [-1e-9, -1e-4, -0.5, -3.0, -90.0])
def test_odds_are_finite_at_both_ends(chosen: float) -> None:
    logs = torch.tensor([chosen, -2.0], requires_grad=True)
    found = Preference("orpo", 1.0)(logs, torch.ones(2), torch.ones(2), None)
    exact = torch.tensor([chosen, -2.0], dtype=torch.float64).clamp_max(-1e-6)
    odds = exact - torch.log(-torch.expm1(exact))
    assert found.losses[0].item() == pytest.approx(-F.logsigmoid(odds[0] - odds[1]).item() - chosen, rel=1e-4, abs=1e-6)
    (slopes,) = torch.autograd.grad(found.losses.sum(), logs)
    assert slopes.isfinite().all()


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_log_probabilities_are_those_of_plain_transformers(name: str) -> None:
    model, samples = model_of(name, sharpen=3.0, dropout=0.3).train(), pairs(name)
    found = [log_probabilities(one, batch_of(samples)) for one in (model, Learner(model))]
    assert model.training
    model.eval()
    with unpacked(model), torch.no_grad():
        expected = summed(plain_logits(model, samples), samples)["logs"]
    for one in found:
        assert one.dtype == torch.float32 and not one.requires_grad
        torch.testing.assert_close(one, expected, atol=1e-4, rtol=1e-5)


def test_a_learner_in_half_precision_is_its_own_reference_in_half_precision() -> None:
    learner, batch = Learner(model_of("gpt2", sharpen=3.0), dtype=torch.bfloat16), batch_of(pairs())
    half, whole = log_probabilities(learner, batch), log_probabilities(learner.model, batch)
    assert not torch.equal(half, whole)
    learner.preference = Preference("dpo", 1.0)
    found = learner(replace(batch, references=half), token_total=1.0, sequence_total=1.0)
    assert found.rewards.abs().max() == 0


def test_a_sample_without_labels_has_probability_one() -> None:
    samples = pairs()
    samples[1].labels[:] = IGNORED
    batch: Batch = batch_of(samples)
    assert log_probabilities(model_of("gpt2"), batch)[1] == 0
    for kind in KINDS:
        learner = Learner(model_of("gpt2"), preference=Preference(kind, BETA))
        losses = learner(batch, token_total=1.0, sequence_total=1.0)
        losses.loss.backward()
        assert losses.loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in learner.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("dpo", 0.0), "beta has to be above 0, and is 0"),
        (("dpo", 0.1, 0.5), "label_smoothing has to be from 0 to less than 0.5, and is 0.5"),
        (("ipo", 0.1, 0.1), "label_smoothing is for dpo: ipo has none"),
    ],
)
def test_numbers_that_no_loss_can_have(settings: tuple[Kind, float], message: str) -> None:
    with pytest.raises(AigcError, match=message):
        Preference(*settings)
