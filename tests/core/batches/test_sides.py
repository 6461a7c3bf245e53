"""Documents with two sides: what fits, what is truncated and counted, and bins for sources and targets."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from corpora import FakeCodec, shards_of
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.batches.objectives.preferred import Preferred
from aigc.core.batches.objectives.sequences import Sequences
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.sample import IGNORED
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import Corpus, Stream
from aigc.errors import AigcError

# of each document: tokens of start and prompt, of the first completion, of the second
PAIRS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=20)


def pairs_of(documents: list[tuple[int, int, int]]) -> Shards:
    """Made-up pairs of completions; 0 tokens of the second for none."""
    shards = shards_of([(head, first + second) for head, first, second in documents])
    seconds = np.array([second for *_, second in documents], np.int32)
    return replace(shards, seconds=seconds, targets=np.where(seconds > 0, np.nan, 1.0).astype(np.float32))


def preferred(documents: list[tuple[int, int, int]], *, context: int = 16, rows: int = 4) -> Stream:
    objective = Preferred(FakeCodec())
    pieces = Pieces.of(pairs_of(documents), content=objective.content(context), overlap=1, whole=True)
    return Stream.of([Corpus(pieces, 1.0)], objective, context=context, rows=rows, pad=0, seed=3)


@settings(deadline=None)
@given(documents=PAIRS, context=st.integers(2, 24))
def test_the_longer_completion_decides_whether_a_pair_is_truncated(documents: list[tuple[int, int, int]], context: int) -> None:
    stream = preferred(documents, context=context)
    pieces = stream.corpora[0].pieces
    longest = [head + max(first, second) for head, first, second in documents]
    fits = [head < context + 1 for head, *_ in documents]
    assert pieces.dropped == fits.count(False)
    assert pieces.truncated == sum(length > context + 1 and fit for length, fit in zip(longest, fits, strict=True))
    samples = [sample for one in stream.once() for sample in one] if len(pieces) else []
    for number, (head, first, second) in enumerate(documents):
        mine = [sample for sample in samples if sample.document == number]
        assert [sample.mate for sample in mine] == ([] if not fits[number] else [False, True] if second else [False])
        for sample, completion in zip(mine, (first, second), strict=False):
            learned = min(completion, context + 1 - head)
            assert (sample.labels != IGNORED).sum() == learned
            assert len(sample.input_ids) == head + learned - 1 <= context
    ends = pieces.shards.ends
    starts = ends - pieces.shards.lengths
    for number, (head, first, _) in enumerate(documents):
        mine = [sample for sample in samples if sample.document == number]
        if len(mine) == 2:
            begin = starts[number] + 1 + head  # tokens are numbered from 1
            wanted = [begin, begin + first]
            assert [int(sample.labels[sample.labels != IGNORED][0]) for sample in mine] == wanted


def test_pairs_stay_together_in_every_bin() -> None:
    stream = preferred([(3, 8, 5)] * 30 + [(2, 4, 9)] * 30 + [(2, 5, 0)] * 9)
    targets: list[float | None] = []
    for samples, _ in islice(stream.bins(), 50):
        for place, sample in enumerate(samples):
            assert not sample.mate or samples[place - 1].document == sample.document
        both = {sample.document for sample in samples if sample.mate}
        assert sum(sample.document in both for sample in samples) == 2 * len(both)
        batch = stream.collate(samples)
        assert batch.sequence_targets is not None
        targets += batch.sequence_targets.tolist()
    assert 0.4 < np.mean(targets) < 0.7  # type: ignore[arg-type]


def test_a_batch_of_one_row_has_no_room_for_long_pairs() -> None:
    documents = [(1, 4, 4)] * 2000 + [(1, 60, 60)]  # the long one may not be in the first window
    with pytest.raises(AigcError, match="batch_size must be 2 or more for pairs"):
        preferred(documents, context=64, rows=1)
    assert preferred(documents, context=64, rows=2).places == 128
    assert preferred(documents[:-1], context=64, rows=1).places == 64


def sided(documents: list[tuple[int, int]], *, context: int, rows: int = 4) -> Stream:
    objective = SourceTarget(FakeCodec(), context)
    pieces = Pieces.of(shards_of(documents), content=objective.content(context), overlap=0, whole=True, apart=True)
    return Stream.of([Corpus(pieces, 1.0)], objective, context=context, rows=rows, pad=0, seed=3)


@settings(deadline=None)
@given(
    documents=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=30),
    context=st.integers(2, 24),
    rows=st.integers(1, 5),
)
def test_each_side_is_truncated_by_itself_and_fits_its_places(documents: list[tuple[int, int]], context: int, rows: int) -> None:
    stream = sided(documents, context=context, rows=rows)
    pieces = stream.corpora[0].pieces
    assert (pieces.dropped, len(pieces)) == (0, len(documents))
    assert pieces.truncated == sum(max(one) > context - 1 for one in documents)
    seen = []
    for samples in stream.once():
        seen += [sample.document for sample in samples]
        batch = stream.collate(samples)
        assert batch.source_ids is not None
        assert len(batch.input_ids) == stream.places and len(batch.source_ids) == stream.source_places
    assert sorted(seen) == list(range(len(documents)))


@pytest.mark.parametrize(("prompt", "completion"), [(350, 14), (14, 350), (120, 100)])
def test_bins_have_the_proportion_of_the_documents(prompt: int, completion: int) -> None:
    rng = np.random.default_rng(0)
    documents = [
        (max(int(a), 1), max(int(b), 1))
        for a, b in zip(rng.normal(prompt, prompt / 4, 2000), rng.normal(completion, completion / 4, 2000), strict=True)
    ]
    stream = sided(documents, context=512, rows=8)
    assert max(stream.places, stream.source_places) == 512 * 8
    assert (stream.places > stream.source_places) == (completion > prompt)
    assert stream.accounting().padding < 0.08


def weighted_shards(firsts: list[int], lengths: list[int]) -> Shards:
    shards = shards_of([(1, length - 1) for length in lengths])
    weights = np.concatenate(
        [(np.arange(length) >= first).astype(np.float32) for first, length in zip(firsts, lengths, strict=True)]
    )
    return replace(shards, weights=weights, firsts=np.array(firsts, np.int32))


@settings(deadline=None)
@given(
    documents=st.lists(st.tuples(st.integers(1, 40), st.integers(2, 40)), min_size=1),
    content=st.integers(2, 30),
    whole=st.booleans(),
)
def test_a_document_of_which_nothing_is_learned_is_dropped(documents: list[tuple[int, int]], content: int, whole: bool) -> None:
    documents = [(min(first, length), length) for first, length in documents]
    firsts, lengths = ([one[side] for one in documents] for side in (0, 1))
    pieces = Pieces.of(weighted_shards(firsts, lengths), content=content, overlap=1, whole=whole)
    learned = [first < (min(length, content) if whole else length) for first, length in documents]
    assert pieces.dropped == learned.count(False)
    assert pieces.truncated == (
        sum(length > content and some for (_, length), some in zip(documents, learned, strict=True)) if whole else 0
    )
    found = pieces.take(np.arange(len(pieces)))
    assert {piece.document for piece in found} == {number for number, some in enumerate(learned) if some}
    weights: dict[int, list[float]] = {}
    for piece in found:
        own = np.ones(len(piece.ids)) if piece.weights is None else piece.weights
        weights[piece.document] = [*weights.get(piece.document, []), *own.tolist()[0 if piece.head else 1 :]]
    for number, own in weights.items():
        first, length = documents[number]
        assert own[1:] == [float(at >= first) for at in range(length)][1 : len(own)]
        assert whole or len(own) == length


def test_a_truncated_document_keeps_its_target() -> None:
    shards = replace(shards_of([(1, 50), (1, 5)]), targets=np.array([2.0, 3.0], np.float32))
    objective = Sequences(FakeCodec())
    pieces = Pieces.of(shards, content=objective.content(16), overlap=0, whole=True)
    stream = Stream.of([Corpus(pieces, 1.0)], objective, context=16, rows=2, pad=0, seed=1)
    accounting = stream.accounting()
    assert (accounting.truncated, accounting.dropped, accounting.label_share) == (1, 0, 0.0)
    [samples] = stream.once()
    assert [(len(sample.input_ids), sample.target) for sample in samples] == [(16, 2.0), (6, 3.0)]
    assert samples[0].input_ids[-1] == FakeCodec.end
