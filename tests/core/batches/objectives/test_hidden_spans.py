"""Span corruption and denoising: source and target give the text back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import CODEC, END, FIRST, MASK, PAD, SENTINELS, START, T5, split, windows

from aigc.core.batches.objectives.denoising import Denoising, infill_lengths
from aigc.core.batches.objectives.span_corruption import SpanCorruption
from aigc.core.batches.objectives.subset import choose, parted
from aigc.core.batches.sample import IGNORED, Piece

CONTEXT = 48


def learnable(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.unlearned < len(piece.ids) - piece.tail and len(piece.ids) > piece.head + piece.tail]


@pytest.mark.parametrize(("codec", "first"), [(T5, PAD), (CODEC, END)])
@settings(deadline=None)
@given(data=st.data())
def test_spans_put_back_for_their_sentinels_are_the_text(codec, first: int, data: st.DataObject) -> None:
    objective = SpanCorruption(codec)
    pieces = learnable(data.draw(windows(objective, CONTEXT, codec)))
    samples = objective(pieces, np.random.default_rng(data.draw(st.integers(0, 99))))
    for piece, sample in zip(pieces, samples, strict=True):
        assert sample.source_ids is not None
        labels = sample.labels.tolist()
        assert sample.input_ids.tolist() == [first, *labels[:-1]]
        assert labels[-1] == END and labels[0] == SENTINELS[0]
        spans: list[list[int]] = []
        for label in labels[:-1]:
            if label in SENTINELS:
                assert label == SENTINELS[len(spans)]
                spans.append([])
            else:
                spans[-1].append(label)
        assert all(spans)
        text = []
        for token in sample.source_ids.tolist():
            text += spans[SENTINELS.index(token)] if token in SENTINELS else [token]
        body = piece.ids[len(codec.start) * piece.head : len(piece.ids) - piece.tail]
        assert text == [*codec.start, *body.tolist(), END]
        size = len(piece.ids) - piece.tail - max(piece.unlearned, len(codec.start) * piece.head)
        assert sum(map(len, spans)) == max(1, min(round(size * 0.15), size - 1))


def test_spans_are_as_many_and_as_long_as_in_the_paper() -> None:
    samples = SpanCorruption(T5)(split([200] * 500, codec=T5, content=300), np.random.default_rng(0))
    for sample in samples:
        sentinels = np.flatnonzero(sample.labels < FIRST)
        assert len(sentinels) == 11  # 30 tokens in 10 spans, and the end
    lengths = np.concatenate([np.diff(np.flatnonzero(sample.labels < FIRST)) - 1 for sample in samples])
    assert lengths.mean() == 3
    assert np.mean(lengths == 1) == pytest.approx(9 / 29, abs=0.04)  # of 29 gaps 9 are cut: P(the first is) = 9/29
    firsts = np.array([np.flatnonzero(sample.source_ids < FIRST)[0] for sample in samples])
    assert firsts.mean() == pytest.approx(17, abs=2.5)  # 170 kept tokens in 10 parts


def test_there_are_never_more_spans_than_sentinels() -> None:
    samples = SpanCorruption(T5)(split([2000], codec=T5, content=3000), np.random.default_rng(0))
    assert [label for label in samples[0].labels.tolist() if label in SENTINELS] == SENTINELS
    assert np.sum(samples[0].labels >= FIRST) == 300


@settings(deadline=None)
@given(data=st.data(), shuffle=st.booleans())
def test_the_decoder_says_the_text(data: st.DataObject, shuffle: bool) -> None:
    objective = Denoising(CODEC, shuffle=shuffle)
    pieces = learnable(data.draw(windows(objective, CONTEXT)))
    samples = objective(pieces, np.random.default_rng(data.draw(st.integers(0, 99))))
    for piece, sample in zip(pieces, samples, strict=True):
        assert sample.source_ids is not None
        text = piece.ids.tolist()[piece.head : len(piece.ids) - piece.tail]
        prompt = max(piece.unlearned - piece.head, 0)
        assert sample.input_ids.tolist() == [END, START, *text]
        assert sample.labels.tolist() == [START, *[IGNORED] * prompt, *text[prompt:], END]
        source = sample.source_ids.tolist()
        assert source[0] == START and source[-1] == END and source[1 : prompt + 1] == text[:prompt]
        kept = [token for token in source[1 + prompt : -1] if token != MASK]
        size = len(text) - prompt
        assert len(set(kept)) == len(kept) == size - max(1, round(size * 0.3))
        assert set(kept) <= set(text)
        assert len(source) <= len(text) + 2
        bounds = [m - piece.head for m in piece.marks.tolist() if m > max(piece.unlearned, piece.head)] if shuffle else []
        sentences = [text[a:b] for a, b in zip([prompt, *bounds], [*bounds, len(text)], strict=True)]
        where = {token: number for number, sentence in enumerate(sentences) for token in sentence}
        runs = [where[token] for token in kept]
        changes = [run for at, run in enumerate(runs) if at == 0 or runs[at - 1] != run]
        assert len(changes) == len(set(changes))  # sentences stay whole
        for number in set(runs):
            mine = [token for token in kept if where[token] == number]
            assert mine == sorted(mine)


def test_sentences_come_in_any_order() -> None:
    samples = Denoising(CODEC)(split([30] * 3000, content=99, unit=10), np.random.default_rng(0))
    orders: dict[tuple[int, ...], int] = {}
    for number, sample in enumerate(samples):
        assert sample.source_ids is not None
        order = tuple(dict.fromkeys(((sample.source_ids[sample.source_ids >= FIRST] - FIRST - 30 * number) // 10).tolist()))
        orders[order] = orders.get(order, 0) + 1
    whole = {order: count for order, count in orders.items() if len(order) == 3}
    assert len(whole) == 6 and max(whole.values()) < 1.35 * min(whole.values())


def test_masks_stand_for_spans_of_poisson_lengths_and_for_nothing() -> None:
    pieces = split([300] * 400, content=999)
    samples = Denoising(CODEC, shuffle=False)(pieces, np.random.default_rng(0))
    lengths = []
    for number, sample in enumerate(samples):
        assert sample.source_ids is not None
        last, after_mask = FIRST + 300 * number - 1, False
        for token in [*sample.source_ids.tolist()[1:-1], FIRST + 300 * (number + 1)]:
            if token == MASK:
                assert not after_mask  # two spans never touch
                after_mask = True
            else:
                if after_mask:
                    lengths.append(token - last - 1)
                assert after_mask or token == last + 1
                last, after_mask = token, False
    shares = np.bincount(lengths) / len(lengths)
    assert shares[:5] == pytest.approx([0.0498, 0.149, 0.224, 0.224, 0.168], abs=0.02)
    assert sum(lengths) == 400 * 90


def test_the_span_that_is_cut_to_fit_stands_anywhere() -> None:
    lengths, counts = infill_lengths(np.full(4000, 9), np.full(4000, 9), 3.0, np.random.default_rng(0))
    ends = np.cumsum(counts)
    several = counts > 1
    assert lengths[ends - 1][several].mean() == pytest.approx(lengths[(ends - counts)][several].mean(), rel=0.06)
    assert np.add.reduceat(lengths, ends - counts).tolist() == [9] * 4000


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=10), st.integers(0, 99))
def test_so_many_are_chosen(rows: list[tuple[int, int]], seed: int) -> None:
    sizes = np.array([max(row) for row in rows], np.int64)
    counts = np.array([min(row) for row in rows], np.int64)
    chosen = choose(sizes, counts, np.random.default_rng(seed))
    assert [int(part.sum()) for part in np.split(chosen, np.cumsum(sizes))[:-1]] == counts.tolist()


def test_every_choice_is_equally_likely() -> None:
    for count in (2, 3):
        chosen = choose(np.full(10000, 5), np.full(10000, count), np.random.default_rng(0)).reshape(-1, 5)
        found = np.bincount(chosen @ (1 << np.arange(5)))
        assert np.count_nonzero(found) == 10
        assert found[found > 0] == pytest.approx(1000, abs=150)


def test_every_partition_is_equally_likely() -> None:
    lengths = parted(np.full(6000, 5), np.full(6000, 3), np.random.default_rng(0)).reshape(-1, 3)
    assert np.all(lengths.sum(1) == 5) and np.all(lengths > 0)
    _, found = np.unique(lengths, axis=0, return_counts=True)
    assert len(found) == 6 and found == pytest.approx(1000, abs=150)
