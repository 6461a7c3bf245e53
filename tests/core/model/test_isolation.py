"""In a flat batch each sample gets what the plain transformers model makes of it alone, and so do its gradients."""

import pytest
import torch
from flats import CLASSIFIERS, NAMES, batch_of, model_of, samples_of
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.model.attention import NAME, unpacked
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import head, sequence_scores
from aigc.core.model.learner import Learner
from aigc.core.model.sequences import Classes

ALL = pytest.mark.parametrize("name", NAMES)
EVERY = pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS])


def plain(model: PreTrainedModel, sample: Sample) -> dict[str, torch.Tensor]:
    """What the model itself says to one sample: the last hidden states (L, W), logits (L, V), and scores (C,) of the whole."""
    ids = torch.from_numpy(sample.input_ids)[None]
    types = {} if sample.token_types is None else {"token_type_ids": torch.from_numpy(sample.token_types)[None]}
    if sample.source_ids is not None:
        source = torch.from_numpy(sample.source_ids)[None]
        out = model(input_ids=source, decoder_input_ids=ids, use_cache=False, output_hidden_states=True)
        hidden, logits = out.decoder_hidden_states[-1], out.logits
    else:
        out = model(input_ids=ids, output_hidden_states=True, **types)
        hidden, logits = out.hidden_states[-1], out.prediction_logits if hasattr(out, "prediction_logits") else out.logits
    found = {"hidden": hidden[0], "logits": logits[0]}
    if sample.target is not None:
        found["scores"] = (out.seq_relationship_logits if hasattr(out, "seq_relationship_logits") else out.logits)[0]
    return found


def loss_alone(model: PreTrainedModel, sample: Sample) -> torch.Tensor:
    """The summed loss of a sample by the model's own forward and torch's cross-entropy."""
    said = plain(model, sample)
    labels, weights = torch.from_numpy(sample.labels), torch.from_numpy(sample.weights)
    loss = torch.zeros(())
    if not (labels == IGNORED).all():
        nats = torch.nn.functional.cross_entropy(said["logits"], labels, reduction="none", ignore_index=IGNORED)
        loss = (nats * weights).sum()
    if sample.target is not None:
        loss = loss + torch.nn.functional.cross_entropy(said["scores"][None], torch.tensor([sample.target]))
    return loss


def gradients(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def ranges(batch: Batch, samples: list[Sample]) -> list[slice]:
    ends = batch.bounds.tolist()
    return [slice(ends[place], ends[place + 1]) for place in range(len(samples))]


@ALL
@torch.no_grad()
def test_hidden_states_and_logits_are_those_of_each_sample_alone(name: str) -> None:
    model, samples = model_of(name, sharpen=4.0), samples_of(name)
    batch = batch_of(samples)
    hidden = hidden_states(model, batch)
    logits = head(model, hidden).logits()
    with unpacked(model):
        for number, (places, sample) in enumerate(zip(ranges(batch, samples), samples, strict=True)):
            alone = plain(model, sample)
            torch.testing.assert_close(hidden[places], alone["hidden"], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logits[places], alone["logits"], atol=1e-5, rtol=1e-5)
            if sample.target is not None:
                torch.testing.assert_close(sequence_scores(model, hidden, batch)[number], alone["scores"], atol=1e-5, rtol=1e-5)


@EVERY
def test_loss_and_gradients_are_the_sum_of_each_sample_alone(name: str) -> None:
    model, samples = model_of(name, sharpen=2.0), samples_of(name)
    learner = Learner(model, sequence=Classes() if name in CLASSIFIERS else None)
    with unpacked(model):
        alone = sum((loss_alone(model, sample) for sample in samples), torch.zeros(()))
        alone.backward()
    expected = gradients(model)
    model.zero_grad()
    found = learner(batch_of(samples), token_total=1.0, sequence_total=1.0)
    found.loss.backward()
    torch.testing.assert_close(found.loss, alone, atol=1e-5, rtol=1e-5)
    for key, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[key], atol=1e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}")


@ALL
@torch.no_grad()
def test_another_sample_changes_nothing_but_its_own(name: str) -> None:
    model, samples = model_of(name, sharpen=4.0), samples_of(name)
    changed = [samples_of(name, seed=1)[0], *samples[1:]]
    batches = batch_of(samples), batch_of(changed)
    before, after = (hidden_states(model, batch) for batch in batches)
    own, other = (ranges(batch, samples)[0] for batch in batches)
    assert not torch.allclose(before[own], after[other])
    torch.testing.assert_close(before[own.stop : -3], after[other.stop : -3], atol=1e-6, rtol=1e-6)


@ALL
@torch.no_grad()
def test_unpacked_gives_a_model_its_own_attention_for_a_while(name: str) -> None:
    model, samples = model_of(name), samples_of(name)
    alone = plain(model, samples[2])["logits"]
    Learner(model)
    assert model.config._attn_implementation == NAME
    with unpacked(model) as own:
        assert own.config._attn_implementation != NAME
        torch.testing.assert_close(plain(model, samples[2])["logits"], alone, atol=0, rtol=0)
    with pytest.raises(AssertionError, match="flat"):
        plain(model, samples[2])
