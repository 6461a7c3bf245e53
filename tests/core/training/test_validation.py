"""The validation figures are those of plain transformers on each sample alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made import stream_of

from aigc.core.batches.objectives import table
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import Corpus, Stream
from aigc.core.model import families
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training.replicas import Replicas
from aigc.core.training.validation import Validation, validate
from conftest import CONTEXT, SENTENCES, MakeModel

ALONE = Replicas()
UNEQUAL = [(1, 16), (14, 3), (16, 1), (1, 3), (10, 7), (15, 2), (1, 40), (2, 15)]


def samples_of(stream: Stream) -> list[Sample]:
    return [sample for samples in stream.once() for sample in samples]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_loss_of_a_causal_model_is_that_of_plain_transformers(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, dropout=0.0 if family == "llama" else 0.4, sharpen=3.0)
    stream = stream_of(codec, UNEQUAL, whole=False)
    nats, right, size, labels = 0.0, 0, 0, 0
    with torch.no_grad():
        for sample in samples_of(stream):
            logits = model(input_ids=torch.tensor(sample.input_ids)[None]).logits[0]
            wanted = torch.tensor(sample.labels)
            nats += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum", ignore_index=IGNORED).item()
            learned = wanted != IGNORED
            labels += int(learned.sum())
            right += int((logits.argmax(-1) == wanted)[learned].sum())
            size += int(codec.byte_lengths[wanted[learned]].sum())
    assert labels == sum(tail for _, tail in UNEQUAL)
    found = validate(Learner(model), stream, byte_lengths=codec.byte_lengths, replicas=ALONE)
    assert found.loss == pytest.approx(nats / labels, rel=1e-5)
    assert found.accuracy == right / labels
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    assert (found.sequence_loss, found.sequence_accuracy, found.predictions) == (None, None, None)
    assert found.as_metrics() == {
        "validation_loss": found.loss,
        "bits_per_byte": found.bits_per_byte,
        "validation_accuracy": found.accuracy,
    }


def test_bits_per_byte_count_the_bytes_of_the_text(tiny_model: MakeModel, codec: TextCodec) -> None:
    ids = codec.encode(SENTENCES)
    parts = [np.array([codec.start[0], *text, codec.end]) for text in ids]
    shards = Shards(
        np.concatenate(parts).astype(np.uint16),
        np.cumsum([len(part) for part in parts]),
        np.ones(len(parts), np.int32),
        np.arange(len(parts)),
        np.zeros(0, np.int64),
        0,
    )
    pieces = Pieces.of(shards, content=CONTEXT + 1, overlap=1, whole=False)
    stream = Stream.of([Corpus(pieces, 1.0)], table.build("causal", codec, CONTEXT), context=CONTEXT, rows=2, pad=codec.pad, seed=1)
    found = validate(Learner(tiny_model()), stream, byte_lengths=codec.byte_lengths, replicas=ALONE)
    labels = sum(len(text) + 1 for text in ids)  # and the end of each
    size = sum(len(sentence.encode()) for sentence in SENTENCES)
    assert found.bits_per_byte == pytest.approx(found.loss * labels / math.log(2) / size, rel=1e-6)


def pair_stream(codec: TextCodec, *, seed: int = 1) -> Stream:
    """Eight documents of three sentences each, for masks and pairs."""
    rng = np.random.default_rng(0)
    parts = [np.array([0, *rng.integers(3, 300, 27), codec.end]) for _ in range(8)]
    begins = np.cumsum([0, *(len(part) for part in parts[:-1])])
    marks = np.sort(np.concatenate([begins + 1, begins + 10, begins + 19]))
    shards = Shards(
        np.concatenate(parts).astype(np.uint16),
        np.cumsum([len(part) for part in parts]),
        np.ones(8, np.int32),
        np.arange(8),
        marks,
        0,
    )
    masking = _Masking(codec)
    objective = table.build("masked+sentence_order", masking, 32)
    pieces = Pieces.of(shards, content=objective.content(32), overlap=objective.overlap, whole=False)
    return Stream.of([Corpus(pieces, 1.0)], objective, context=32, rows=2, pad=codec.pad, seed=seed)


class _Masking:
    """A codec that has the ids an encoder needs."""

    def __init__(self, codec: TextCodec) -> None:
        self.vocabulary, self.byte_lengths = codec.vocabulary, codec.byte_lengths
        self.start, self.end, self.pad, self.mask = [0], codec.end, codec.pad, 1
        self.sentinels: list[int] = []
        self.infill = None


def test_pairs_are_told_beside_the_tokens(codec: TextCodec) -> None:
    torch.manual_seed(0)
    model = families.build(
        "bert",
        shape=families.Shape(layers=2, width=32, heads=2, dropout=0.3),
        vocabulary=codec.vocabulary,
        ids=families.SpecialIds.of(codec),
        context=32,
        pairs=True,
    ).eval()
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data *= 3
    stream = pair_stream(codec)
    samples = samples_of(stream)
    nats, labels, pair_nats, pairs_right = 0.0, 0, 0.0, 0
    with torch.no_grad():
        for sample in samples:
            assert sample.token_types is not None
            out = model(input_ids=torch.tensor(sample.input_ids)[None], token_type_ids=torch.tensor(sample.token_types)[None])
            wanted = torch.tensor(sample.labels)
            nats += torch.nn.functional.cross_entropy(
                out.prediction_logits[0], wanted, reduction="sum", ignore_index=IGNORED
            ).item()
            labels += int((wanted != IGNORED).sum())
            pair_nats += torch.nn.functional.cross_entropy(
                out.seq_relationship_logits, torch.tensor([int(sample.target or 0)])
            ).item()
            pairs_right += int(out.seq_relationship_logits.argmax(-1).item() == sample.target)
    assert {sample.target for sample in samples} == {0, 1}
    found = validate(Learner(model), stream, byte_lengths=codec.byte_lengths, replicas=ALONE)
    assert found.loss == pytest.approx(nats / labels, rel=1e-4)
    assert found.sequence_loss == pytest.approx(pair_nats / len(samples), rel=1e-4)
    assert found.sequence_accuracy == pairs_right / len(samples)
    assert set(found.as_metrics()) == {
        "validation_loss",
        "bits_per_byte",
        "validation_accuracy",
        "sequence_loss",
        "sequence_accuracy",
    }


def test_the_same_masks_each_time_and_none_of_it_touches_the_model(codec: TextCodec, tiny_model: MakeModel) -> None:
    model = tiny_model("bert", dropout=0.5).train()
    stream = replace(stream_of(codec, UNEQUAL, context=32, whole=False), objective=table.build("masked", _Masking(codec), 32))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learner = Learner(model)
    first, second = (validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=ALONE) for _ in range(2))
    assert first == second
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_part_of_it_for_a_rehearsal(tiny_model: MakeModel, codec: TextCodec) -> None:
    stream = stream_of(codec, UNEQUAL, whole=False)
    learner = Learner(tiny_model())
    whole = validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=ALONE)
    bins = sum(1 for _ in stream.once())
    assert bins > 1
    assert validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=ALONE, most=bins) == whole
    assert validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=ALONE, most=1) != whole


def test_labels_that_stand_for_no_text_have_no_bits_per_byte(tiny_model: MakeModel, codec: TextCodec) -> None:
    stream = stream_of(codec, UNEQUAL, whole=False)
    found = validate(Learner(tiny_model()), stream, byte_lengths=np.zeros_like(codec.byte_lengths), replicas=ALONE)
    assert found == Validation(found.loss, None, found.accuracy)
    assert "bits_per_byte" not in found.as_metrics()
