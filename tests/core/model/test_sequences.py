"""Classes and values of whole samples are those of plain transformers on each sample alone, with every gradient."""

import pytest
import torch
from flats import CLASSIFIERS, CONTEXT, IDS, VOCABULARY, batch_of, model_of, samples_of
from transformers import PreTrainedModel

from aigc.core.batches.sample import Sample
from aigc.core.model import families
from aigc.core.model.attention import unpacked
from aigc.core.model.learner import Learner
from aigc.core.model.sequences import Classes, SequenceLoss, Values
from aigc.errors import AigcError

EACH = pytest.mark.parametrize("name", CLASSIFIERS)
WEIGHTS = torch.tensor([0.5, 2.0, 0.9])


def alone(model: PreTrainedModel, samples: list[Sample]) -> torch.Tensor:
    """Scores (D, C) by the model's own forward, one sample after the other."""
    found = []
    for sample in samples:
        types = {} if sample.token_types is None else {"token_type_ids": torch.from_numpy(sample.token_types)[None]}
        found.append(model(input_ids=torch.from_numpy(sample.input_ids)[None], **types).logits[0])
    return torch.stack(found)


def targets_of(samples: list[Sample]) -> torch.Tensor:
    return torch.tensor([sample.target for sample in samples])


@EACH
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_scores_and_gradients_are_those_of_plain_transformers(name: str, weights: torch.Tensor | None) -> None:
    model, samples = model_of(name, sharpen=3.0), samples_of(name)
    learner = Learner(model, sequence=Classes(weights))
    with unpacked(model):
        scores = alone(model, samples)
        wanted = torch.nn.functional.cross_entropy(scores, targets_of(samples).long(), weights, reduction="sum") / 4
        wanted.backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    found = learner(batch_of(samples), token_total=1.0, sequence_total=4.0)
    found.loss.backward()
    torch.testing.assert_close(found.scores, scores.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.loss, wanted, atol=1e-5, rtol=1e-5)
    assert int(found.sequence_right) == int((scores.argmax(-1) == targets_of(samples)).sum())
    assert len(gradients) == len(list(model.parameters()))
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[key], atol=1e-5, rtol=1e-4)


@EACH
def test_values_are_told_by_squares(name: str) -> None:
    torch.manual_seed(0)
    shape = families.Shape(2, 32, 2)
    family = name.removesuffix("+classes")
    model = families.build(family, shape=shape, vocabulary=VOCABULARY, ids=IDS, context=CONTEXT, classes=1).eval()
    samples = samples_of(name)
    learner = Learner(model, sequence=Values())
    with unpacked(model):
        values = alone(model, samples)[:, 0].detach()
    found = learner(batch_of(samples), token_total=1.0, sequence_total=2.0)
    squares = (values - targets_of(samples)).square()
    torch.testing.assert_close(found.loss.detach(), squares.sum() / 2, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.scores[:, 0], values, atol=1e-5, rtol=1e-5)
    assert int(found.sequence_right) == 0
    found.loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", ["gpt2+classes", "llama+classes"])
def test_a_last_token_that_pads_is_passed_over_as_in_transformers(name: str) -> None:
    model, samples = model_of(name, sharpen=3.0), samples_of(name, lengths=(5, 4, 3, 1))
    samples[0].input_ids[-1] = IDS.pad  # as of a tokenizer whose id for padding ends texts too
    samples[1].input_ids[1:] = IDS.pad
    samples[2].input_ids[:] = IDS.pad
    samples[3].input_ids[:] = IDS.pad
    found = Learner(model, sequence=Classes())(batch_of(samples), token_total=1.0, sequence_total=1.0)
    with unpacked(model):
        torch.testing.assert_close(found.scores, alone(model, samples).detach(), atol=1e-5, rtol=1e-5)
    model.config.pad_token_id = None
    found = Learner(model, sequence=Classes())(batch_of(samples), token_total=1.0, sequence_total=1.0)
    with unpacked(model):
        torch.testing.assert_close(found.scores, alone(model, samples).detach(), atol=1e-5, rtol=1e-5)


def test_dropout_drops_before_the_classifier() -> None:
    learner = Learner(model_of("bert+classes", dropout=0.5), sequence=Classes())
    learner.model.bert.eval()
    batch = batch_of(samples_of("bert+classes"))
    first, second = (learner(batch, token_total=1.0, sequence_total=1.0).scores for _ in range(2))
    assert torch.equal(first, second)
    learner.model.dropout.train()
    assert not torch.equal(learner(batch, token_total=1.0, sequence_total=1.0).scores, first)


def test_weights_of_classes_that_average_one_keep_the_loss_of_guesses() -> None:
    scores, targets = torch.zeros(4, 2), torch.tensor([0.0, 0, 0, 1])
    weights = torch.tensor([4 / 6, 2.0])  # balanced: 4 / (2 * 3) and 4 / (2 * 1)
    assert Classes(weights)(scores, targets).loss.item() == pytest.approx(Classes()(scores, targets).loss.item())


@pytest.mark.parametrize("loss", [Classes(), Values()])
@pytest.mark.parametrize("name", ["gpt2", "bert", "t5", "bart"])
def test_models_that_tell_nothing_of_whole_texts_are_refused(name: str, loss: SequenceLoss) -> None:
    with pytest.raises(AigcError, match="cannot tell a class or a value of a text: classify needs an encoder or a decoder"):
        Learner(model_of(name), sequence=loss)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_families_that_cannot_are_not_built_for_it(family: str) -> None:
    with pytest.raises(AigcError, match=f"a {family} model cannot tell a class"):
        families.build(family, shape=families.Shape(1, 32, 2), vocabulary=VOCABULARY, ids=IDS, context=CONTEXT, classes=2)
