"""Splits that are not only read from left to right: targets, pairs, sources, weights, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from aigc.core.batches.example import Example, Reader, Span
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.fill_in_middle import FillInMiddle
from aigc.core.batches.objectives.preferred import Preferred
from aigc.core.batches.objectives.sequences import Sequences
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.batches.shards import write_references
from aigc.core.batches.stream import Stream
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import Mixture, Recipe, TrainingData, load, templates
from aigc.errors import AigcError

ROWS = [
    {
        "id": f"d{i}",
        "text": f"The river number {i} is high.",
        "good": f"Yes, {i}.",
        "bad": "No." * (1 + i % 3),
        "topic": f"t{i % 3}",
    }
    for i in range(30)
]


def told(data: TrainingData) -> NDArray[np.float32] | None:
    """What is told of each document of the training split, corpus after corpus."""
    parts = [corpus.pieces.shards.targets for corpus in data.training.corpora]
    return np.concatenate(parts) if all(part is not None for part in parts) else None


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A split of thirty rows in two files, and one of three."""
    folder = tmp_path / "split"
    folder.mkdir()
    for name, rows in (("train-00000", ROWS[:17]), ("train-00001", ROWS[17:]), ("validation-00000", ROWS[:3])):
        pl.DataFrame(rows).write_parquet(folder / f"{name}.parquet")
    return folder


def reader(make: Callable[[dict[str, Any]], Example]) -> Reader:
    """A reader that looks at one row at a time."""
    return lambda frame: [make(row) for row in frame.iter_rows(named=True)]


def loaded(split: Path, codec: TextCodec, objective: Any, read: Reader, *, context: int = 32, **changes: Any) -> TrainingData:
    standard: dict[str, Any] = {"whole": True, "rows": 4, "seed": 3}
    return load(split, split.parent / "work", codec, Recipe(read, objective, context=context, **standard | changes))


def once(stream: Stream) -> list[Sample]:
    return [sample for samples in stream.once() for sample in samples]


def learned(sample: Sample, codec: TextCodec) -> str:
    return codec.decode([label for label in sample.labels.tolist() if label != IGNORED])


CLASSIFIED = reader(lambda row: Example(row["text"], target=float(row["topic"][1])))
PAIRED = reader(lambda row: Example(row["good"], row["text"], alternative=row["bad"]))


def test_classes_need_no_labels(split: Path, codec: TextCodec) -> None:
    data = loaded(split, codec, Sequences(codec), CLASSIFIED)
    assert told(data) is not None and told(data).tolist() == [i % 3 for i in range(30)]
    assert told(data).dtype == np.float32
    assert data.accounting.label_share == 0
    for sample in once(data.training):
        assert codec.decode(sample.input_ids.tolist()) == ROWS[sample.document]["text"]
        assert sample.target == sample.document % 3


def test_documents_of_several_corpora_have_their_targets_and_names(split: Path, codec: TextCodec) -> None:
    mixture = Mixture("topic", {"t2": 1, "t0": 2, "t1": 1})
    data = loaded(split, codec, Sequences(codec), CLASSIFIED, mixture=mixture)
    assert told(data) is not None and told(data).tolist() == [2] * 10 + [0] * 10 + [1] * 10
    samples = once(data.training)
    assert sorted(sample.document for sample in samples) == list(range(30))
    for sample in samples:
        assert sample.target == told(data)[sample.document]
        [name] = data.names([sample.document])
        assert codec.decode(sample.input_ids.tolist()) == f"The river number {name[1:]} is high."


def test_a_split_of_which_nothing_is_told_has_no_targets(split: Path, codec: TextCodec) -> None:
    assert told(loaded(split, codec, Causal(codec), templates("{text}"), whole=False)) is None


def test_pairs_are_compared_behind_their_prompt(split: Path, codec: TextCodec) -> None:
    data = loaded(split, codec, Preferred(codec), PAIRED)
    samples = once(data.training)
    assert len(samples) == 60
    for sample in samples:
        row = ROWS[sample.document]
        assert learned(sample, codec) == row["good" if sample.target else "bad"]
        assert codec.decode(sample.input_ids.tolist()) == row["text"] + learned(sample, codec)
        assert sample.labels[-1] == codec.end and sample.reference is None


def test_references_lie_beside_the_tokens(split: Path, codec: TextCodec) -> None:
    loaded(split, codec, Preferred(codec), PAIRED)
    for part, count in (("train", 30), ("validation", 3)):
        values = -np.arange(2.0 * count).reshape(count, 2).astype(np.float32)
        write_references(split.parent / "work" / part, values)
    for stream in (data := loaded(split, codec, Preferred(codec), PAIRED)).training, data.validation:
        for sample in once(stream):
            assert sample.reference == -2 * sample.document - (0 if sample.target else 1)


def test_pairs_that_are_too_long_are_counted(split: Path, codec: TextCodec) -> None:
    long = reader(lambda row: Example(row["good"], alternative=row["text"] * (9 if row["id"] in ("d1", "d2", "d25") else 1)))
    data = loaded(split, codec, Preferred(codec), long)
    assert (data.accounting.truncated, data.accounting.dropped, data.accounting.cut) == (3, 0, 0)
    assert data.validation_accounting.truncated == 2


def test_a_prompt_is_the_source_of_its_completion(split: Path, codec: TextCodec) -> None:
    data = loaded(split, codec, SourceTarget(codec, 32), templates("{good}", "{text}"))
    assert data.training.source_places > data.training.places > 0
    for sample in once(data.training):
        row = ROWS[sample.document]
        assert sample.source_ids is not None
        assert codec.decode(sample.source_ids.tolist()) == row["text"]
        assert learned(sample, codec) == row["good"]


def test_rows_without_a_completion_are_counted_and_the_others_keep_their_names(split: Path, codec: TextCodec) -> None:
    some = reader(lambda row: Example(row["text"] if int(row["id"][1:]) % 2 else " \n"))
    data = loaded(split, codec, Causal(codec), some)
    one = data.accounting
    assert (one.documents, one.empty, one.dropped) == (30, 15, 0)
    assert one.documents - one.empty == sum(corpus.pieces.shards.documents for corpus in data.training.corpora)
    for sample in once(data.training):
        [name] = data.names([sample.document])
        assert learned(sample, codec) == f"The river number {name[1:]} is high."


def test_weighted_documents_can_be_infilled_too(split: Path, codec: TextCodec) -> None:
    class Infilling(TextCodec):
        infill = (1, 2, 3)

    infilling = Infilling(codec.tokenizer)
    read = reader(lambda row: Example(row["text"], spans=(Span(0, 3, -1.0),) if row["topic"] == "t0" else ()))
    data = loaded(split, infilling, FillInMiddle(infilling, rate=1.0), read)
    for sample in once(data.training):
        assert (sample.weights is not None) == (sample.document % 3 == 0)
        assert (1 in sample.input_ids) == (sample.document % 3 != 0)


@pytest.mark.parametrize("literal", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_all_labels_masked(literal: bool, whole: bool, split: Path, codec: TextCodec) -> None:
    masked = reader(lambda row: Example(row["text"], spans=(Span(0, len(row["text"]), 0.0),), literal=literal))
    with pytest.raises(AigcError, match=r"nothing of the training split can be learned: every label is masked \(30 doc") as error:
        loaded(split, codec, Causal(codec), masked, whole=whole)
    assert "\n" not in str(error.value)


def test_no_completion_at_all(split: Path, codec: TextCodec) -> None:
    with pytest.raises(AigcError, match=r"can be learned \(30 documents, 30 of them without a completion\)"):
        loaded(split, codec, Causal(codec), templates("", "{text}"))


def test_a_reader_gives_one_example_for_each_row(split: Path, codec: TextCodec) -> None:
    with pytest.raises(ValueError, match="zip"):
        loaded(split, codec, Causal(codec), lambda frame: [Example("Rain.")] * (len(frame) - 1))
