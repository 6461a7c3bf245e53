"""A stream loses no token, repeats none within an epoch, knows its place, and mixes no two documents."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from corpora import FakeCodec, shards_of
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.batches.feed import feed
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.packing import pack
from aigc.core.batches.pieces import Pieces, shuffled
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.batches.stream import START, Corpus, Position, Stream
from aigc.errors import AigcError

OBJECTIVE = Causal(FakeCodec())
# of each document: tokens of start and prompt, tokens that are learned
DOCUMENTS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 40)), min_size=1, max_size=30)
CONTEXTS = st.integers(2, 24)


def stream_of(
    *corpora: list[tuple[int, int]], context: int = 16, rows: int = 4, whole: bool = False, weights: tuple[float, ...] = ()
) -> Stream:
    """A causal stream of made-up corpora, whose tokens differ."""
    shards = [shards_of(documents, 1 + 20_000 * number) for number, documents in enumerate(corpora)]
    parts = [Pieces.of(one, content=context + 1, overlap=1, whole=whole) for one in shards]
    mixed = [Corpus(part, weight) for part, weight in zip(parts, weights or [1.0] * len(parts), strict=True)]
    return Stream.of(mixed, OBJECTIVE, context=context, rows=rows, pad=0, seed=3)


def learned(samples: list[Sample]) -> list[int]:
    return [int(label) for sample in samples for label in sample.labels if label != IGNORED]


@settings(deadline=None)
@given(documents=DOCUMENTS, context=CONTEXTS)
def test_every_token_is_learned_once(documents: list[tuple[int, int]], context: int) -> None:
    documents = [(1, head + tail) for head, tail in documents]
    stream = stream_of(documents, context=context)
    firsts = np.cumsum([0, *(head + tail for head, tail in documents)])[:-1] + 1
    tokens = set(range(1, sum(map(sum, documents)) + 1))
    found = learned([sample for one in stream.once() for sample in one])
    assert sorted(found) == sorted(tokens - set(firsts.tolist()))
    accounting = stream.accounting()
    assert (accounting.cut, accounting.truncated, accounting.dropped) == (
        sum(head + tail > context + 1 for head, tail in documents),
        0,
        0,
    )


@settings(deadline=None)
@given(documents=DOCUMENTS, context=CONTEXTS)
def test_a_whole_document_keeps_its_prompt_in_sight(documents: list[tuple[int, int]], context: int) -> None:
    stream = stream_of(documents, context=context, whole=True)
    pieces = stream.corpora[0].pieces
    seen = [sample.document for one in stream.once() for sample in one] if len(pieces) else []
    assert len(seen) == len(set(seen)) == len(pieces)
    assert pieces.dropped == sum(min(head + tail, context + 1) <= head for head, tail in documents)
    assert pieces.truncated == sum(head + tail > context + 1 > head for head, tail in documents)
    for piece in pieces.take(np.arange(len(pieces))):
        assert piece.head
        assert piece.unlearned == documents[piece.document][0]


@settings(deadline=None)
@given(documents=DOCUMENTS, context=CONTEXTS, rows=st.integers(1, 5))
def test_a_bin_holds_no_more_than_its_places(documents: list[tuple[int, int]], context: int, rows: int) -> None:
    stream = stream_of(documents, context=context, rows=rows)
    for samples, _ in islice(stream.bins(), 12):
        lengths = [len(sample.input_ids) for sample in samples]
        assert 0 < sum(lengths) <= stream.places
        assert max(lengths) <= context
        batch = stream.collate(samples)
        assert len(batch.bounds) == stream.places + 1
        for sample, (start, stop) in zip(samples, pairwise(batch.bounds.tolist()), strict=False):
            assert batch.input_ids[start:stop].tolist() == sample.input_ids.tolist()
            assert batch.position_ids[start:stop].tolist() == list(range(stop - start))
        assert batch.labels.tolist() == learned(samples)
        assert batch.tokens == sum(lengths)


def test_an_epoch_has_each_piece_once_in_another_order() -> None:
    stream = stream_of([(1, 9)] * 50)
    drawn: list[int] = []
    for samples, _ in stream.bins():
        drawn += [sample.document for sample in samples]
        if len(drawn) >= 100:
            break
    assert sorted(drawn[:50]) == list(range(50)) == sorted(drawn[50:100])
    assert drawn[:50] != drawn[50:100]


@settings(deadline=None, max_examples=30)
@given(documents=DOCUMENTS, taken=st.integers(0, 25))
def test_a_stream_goes_on_from_any_position(documents: list[tuple[int, int]], taken: int) -> None:
    stream = stream_of(documents)
    bins = list(islice(stream.bins(), taken + 8))
    position = bins[taken - 1][1] if taken else START
    again = list(islice(stream_of(documents).bins(position), 8))
    assert [place for _, place in again] == [place for _, place in bins[taken:]]
    for (one, _), (other, _) in zip(again, bins[taken:], strict=True):
        assert [sample.input_ids.tolist() for sample in one] == [sample.input_ids.tolist() for sample in other]


def test_mixed_corpora_have_their_share_of_the_tokens() -> None:
    stream = stream_of([(1, 9)] * 300, [(1, 29)] * 50, context=32, rows=16, weights=(1.0, 3.0))
    tokens = [0, 0]
    for samples, _ in islice(stream.bins(), 60):
        for sample in samples:
            tokens[int(sample.input_ids[0] > 20_000)] += len(sample.input_ids) + 1
    assert 0.73 < tokens[1] / sum(tokens) < 0.77
    documents = {sample.document for samples, _ in islice(stream.bins(), 60) for sample in samples}
    assert max(documents) >= 300  # those of the second corpus are numbered behind those of the first


def test_padding_is_below_one_percent_where_lengths_vary() -> None:
    rng = np.random.default_rng(0)
    documents = [(1, int(length)) for length in np.clip(rng.lognormal(5.5, 0.7, 1500), 2, 4000)]
    accounting = stream_of(documents, context=512, rows=8).accounting()
    assert accounting.padding < 0.01
    assert accounting.label_share == 1


def test_processes_share_the_bins_of_a_step() -> None:
    stream = stream_of([(1, 9)] * 50)
    with feed(stream, START, accumulate=2) as alone:
        expected = [next(alone) for _ in range(3)]
    for rank in (0, 1):
        with feed(stream, START, accumulate=1, rank=rank, replicas=2) as shared:
            for whole, step in zip(expected, shared, strict=False):
                assert step.behind == whole.behind
                assert step.batches[0].input_ids.equal(whole.batches[rank].input_ids)


def test_a_fault_in_the_feed_is_raised_where_it_is_read() -> None:
    def broken(*_: object) -> list[Sample]:
        raise RuntimeError("no such disk")

    stream = replace(stream_of([(1, 9)] * 5), objective=type("Broken", (), {"__call__": broken, "target_share": 0.0})())
    with feed(stream, START, accumulate=1) as steps, pytest.raises(RuntimeError, match="no such disk"):
        next(steps)


@settings(deadline=None)
@given(count=st.integers(1, 3000), key=st.lists(st.integers(0, 2**32), min_size=1, max_size=3))
def test_shuffled_is_a_permutation(count: int, key: list[int]) -> None:
    order = shuffled(np.arange(count), count=count, key=key)
    assert sorted(order.tolist()) == list(range(count))
    part = shuffled(np.arange(count // 2), count=count, key=key)
    assert part.tolist() == order[: count // 2].tolist()


@settings(deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 40)), min_size=1, max_size=60))
def test_packing_minds_inputs_and_sources(sizes: list[tuple[int, int]]) -> None:
    samples = [
        Sample(number, np.zeros(inputs, np.int64), np.zeros(inputs, np.int64), np.zeros(source, np.int64))
        for number, (inputs, source) in enumerate(sizes)
    ]
    bins = pack(samples, places=32, source_places=48)
    assert all(bins)
    assert sorted(sample.document for one in bins for sample in one) == list(range(len(sizes)))
    for one in bins:
        lengths = [len(sample.input_ids) for sample in one]
        assert sum(lengths) <= 32
        assert lengths == sorted(lengths, reverse=True)
        assert sum(len(sample.source_ids) for sample in one if sample.source_ids is not None) <= 48


@settings(deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 16), st.one_of(st.none(), st.integers(1, 16))), min_size=1, max_size=60))
def test_mates_stand_right_behind_each_other(sizes: list[tuple[int, int | None]]) -> None:
    samples = []
    for number, (first, second) in enumerate(sizes):
        samples.append(Sample(number, np.zeros(first, np.int64), np.zeros(first, np.int64)))
        if second is not None:
            samples.append(Sample(number, np.zeros(second, np.int64), np.zeros(second, np.int64), mate=True))
    bins = pack(samples, places=32)
    assert sorted((one.document, one.mate) for some in bins for one in some) == sorted((one.document, one.mate) for one in samples)
    for some in bins:
        assert sum(len(one.input_ids) for one in some) <= 32
        assert not some[0].mate
        assert all(one.document == before.document and not before.mate for before, one in pairwise(some) if one.mate)
        together = [sum(len(one.input_ids) for one in some if one.document == first.document) for first in some if not first.mate]
        assert together == sorted(together, reverse=True)


def test_a_pair_that_does_not_fit_is_an_error() -> None:
    one, other = Sample(0, np.zeros(9, np.int64), np.zeros(9, np.int64)), Sample(0, np.zeros(9, np.int64), np.zeros(9, np.int64))
    assert len(pack([one, replace(other, mate=True)], places=18)) == 1
    with pytest.raises(AigcError, match=r"18 tokens .* 17: batch_size must be 2 or more for pairs") as error:
        pack([one, replace(other, mate=True)], places=17)
    assert "\n" not in str(error.value)


def test_documents_are_numbered_through_when_read_once() -> None:
    stream = stream_of([(1, 9)] * 5, [(1, 29)] * 4, context=32, weights=(1.0, 2.0))
    samples = [sample for one in stream.once() for sample in one]
    assert sorted(sample.document for sample in samples) == list(range(9))
    assert {sample.document for sample in samples if sample.input_ids[0] > 20_000} == {5, 6, 7, 8}


def test_positions_are_plain_numbers() -> None:
    (_, behind), *_ = islice(stream_of([(1, 9)] * 5).bins(), 1)
    assert behind in (Position(0, 1), Position(1, 0))
