"""Masked language modelling, alone and with pairs of texts."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import CODEC, END, FIRST, MASK, START, FakeCodec, split, text_of, tokens, windows

from aigc.core.batches.objectives.masked import Masked
from aigc.core.batches.objectives.next_sentence import NextSentence
from aigc.core.batches.objectives.sentence_order import SentenceOrder
from aigc.core.batches.sample import IGNORED, Piece, Sample

CONTEXT = 40
SMALL = FakeCodec(vocabulary=1000)


def original(sample: Sample) -> list[int]:
    """What a sample was before tokens were hidden."""
    return np.where(sample.labels == IGNORED, sample.input_ids, sample.labels).tolist()


def halves(sample: Sample) -> tuple[list[int], list[int]]:
    """A and B."""
    ids = original(sample)
    assert ids[0] == START and ids[-1] == END and ids.count(END) == 2 and sample.token_types is not None
    at = ids.index(END)
    assert sample.token_types.tolist() == [0] * (at + 1) + [1] * (len(ids) - at - 1)
    return ids[1:at], ids[at + 1 : -1]


@settings(deadline=None)
@given(data=st.data(), whole=st.booleans(), share=st.sampled_from([0.05, 0.15, 0.5]))
def test_unmasking_gives_the_piece_back(data: st.DataObject, whole: bool, share: float) -> None:
    objective = Masked(CODEC, share=share, whole_words=whole)
    pieces = data.draw(windows(objective, CONTEXT))
    samples = objective(pieces, np.random.default_rng(data.draw(st.integers(0, 99))))
    pieces = [piece for piece in pieces if text_of(piece.ids)]
    for piece, sample in zip(pieces, samples, strict=True):
        text = piece.ids.tolist()[piece.head : len(piece.ids) - piece.tail]
        assert original(sample) == [START, *text, END]
        assert sample.document == piece.document
        chosen = sample.labels != IGNORED
        prompt = max(piece.unlearned - piece.head, 0)
        assert not chosen[: 1 + prompt].any() and not chosen[-1]
        free = len(text) - prompt
        if not whole:
            assert chosen.sum() == min(free, max(1, round(free * share)))
        else:
            bounds = sorted({prompt, *(m - piece.head for m in piece.marks.tolist() if m - piece.head > prompt), len(text)})
            words = [chosen[1 + a : 1 + b] for a, b in pairwise(bounds)]
            assert all(word.all() or not word.any() for word in words)
            assert not free or chosen.any()
            longest = max(map(len, words), default=0)
            assert chosen.sum() <= max(1, round(free * share)) + longest / 2 or sum(word.any() for word in words) == 1


@pytest.mark.parametrize("whole", [False, True])
def test_80_10_10(whole: bool) -> None:
    rng = np.random.default_rng(0)
    pieces = [
        replace(piece, ids=np.where(piece.ids >= FIRST, rng.integers(FIRST, 1000, len(piece.ids)), piece.ids))
        for piece in split([398] * 500, content=400, unit=3)
    ]
    samples = Masked(SMALL, whole_words=whole)(pieces, rng)
    ids, labels = (np.concatenate([getattr(sample, name) for sample in samples]) for name in ("input_ids", "labels"))
    chosen = labels != IGNORED
    count = int(chosen.sum())
    assert count / (500 * 398) == pytest.approx(0.15, abs=0.002)
    bound = 5 * (0.16 / count) ** 0.5  # five standard deviations
    assert np.mean(ids[chosen] == MASK) == pytest.approx(0.8, abs=bound)
    assert np.mean(ids[chosen] == labels[chosen]) == pytest.approx(0.1 + 0.1 / 960, abs=bound)
    random = ids[chosen & (ids != MASK) & (ids != labels)]
    assert random.min() >= FIRST and len(np.unique(random)) > 800  # never a special id, and any other
    places = np.concatenate([np.flatnonzero(sample.labels != IGNORED) for sample in samples])
    assert np.histogram(places, bins=4, range=(1, 399))[0] == pytest.approx(count / 4, rel=0.05)


def test_specials_within_a_text_are_never_chosen() -> None:
    ids = np.array([START, *[FIRST - 1] * 50, FIRST, END])
    (sample,) = Masked(SMALL)([Piece(0, ids, head=True, tail=True)], np.random.default_rng(0))
    assert np.flatnonzero(sample.labels != IGNORED).tolist() == [51]


def test_chinese_words_are_hidden_whole() -> None:
    words = ["使用", "语言", "模型", "来", "预测", "下一个", "词", "的", "概率", "。"]
    text = "".join(words)
    ids = np.array([START, *(FIRST + at for at in range(len(text))), END])
    marks = 1 + np.cumsum([0, *map(len, words[:-1])])
    piece = Piece(0, ids, head=True, tail=True, unlearned=1, marks=marks)
    seen = set()
    for seed in range(200):
        (sample,) = Masked(CODEC, whole_words=True)([piece], np.random.default_rng(seed))
        chosen = {text[at - 1] for at in np.flatnonzero(sample.labels != IGNORED)}
        assert 2 <= len(chosen) <= 4 or chosen <= set("来词的。")
        hidden = {word for word in words if set(word) <= chosen}
        assert set("".join(hidden)) == chosen
        seen |= hidden
    assert seen == set(words)


@pytest.mark.parametrize("make", [NextSentence, SentenceOrder])
@settings(deadline=None)
@given(data=st.data())
def test_every_token_stands_in_exactly_one_pair(make: type[NextSentence] | type[SentenceOrder], data: st.DataObject) -> None:
    objective = make(CODEC, short=data.draw(st.sampled_from([0.0, 0.1, 1.0])))
    pieces = data.draw(windows(objective, CONTEXT))
    samples = objective(pieces, np.random.default_rng(data.draw(st.integers(0, 99))))
    of = {token: piece.document for piece in pieces for token in text_of(piece.ids)}
    found: Counter[int] = Counter()
    for sample in samples:
        a, b = halves(sample)
        found += Counter(a + b)
        assert a and {of[token] for token in a} == {sample.document}
        assert b or len(a) == 1
        assert sample.target is not None
        if sample.target == 0:
            assert not b or b[0] == a[-1] + 1  # tokens are numbered through
        elif make is SentenceOrder:
            assert a[0] == b[-1] + 1
        else:
            assert len({of[token] for token in b} - {sample.document}) == 1
        for part in (a, b):
            assert part == list(range(part[0], part[0] + len(part))) if part else True
    assert found == tokens(pieces)


def many(count: int = 3000) -> list[Piece]:
    rng = np.random.default_rng(1)
    return split(rng.integers(20, 400, count).tolist(), content=NextSentence(CODEC).content(128), unit=20, rng=rng)


@pytest.mark.parametrize("make", [NextSentence, SentenceOrder])
def test_the_classes_are_balanced_and_no_length_tells_them_apart(make: type[NextSentence] | type[SentenceOrder]) -> None:
    pieces = many()
    samples = make(CODEC)(pieces, np.random.default_rng(0))
    classes = np.array([sample.target for sample in samples])
    assert classes.mean() == pytest.approx(0.5, abs=5 * 0.5 / len(samples) ** 0.5)
    lengths = np.array([[len(part) for part in halves(sample)] for sample in samples])
    for measure in (lengths[:, 0], lengths[:, 1], lengths.sum(1)):
        both = [measure[classes == number] for number in (0, 1)]
        grid = np.unique(measure)
        shares = [np.searchsorted(np.sort(part), grid, "right") / len(part) for part in both]
        distance = float(np.abs(shares[0] - shares[1]).max())  # Kolmogorov-Smirnov
        # p = 0.001; of pieces that are cut within a sentence the last sentence is short, which shows a little where it comes first
        assert distance < 1.95 * (1 / len(both[0]) + 1 / len(both[1])) ** 0.5 + 0.03 * (make is SentenceOrder)


@pytest.mark.parametrize("make", [NextSentence, SentenceOrder])
def test_pairs_are_cut_at_sentences_and_some_are_short(make: type[NextSentence] | type[SentenceOrder]) -> None:
    pieces = many()
    samples = make(CODEC)(pieces, np.random.default_rng(0))
    begins = {int(token) for piece in pieces for token in piece.ids[piece.marks]}
    begins |= {text_of(piece.ids)[0] for piece in pieces if text_of(piece.ids)}
    alone = {text_of(piece.ids)[0] for piece in pieces if len(piece.marks) < 2 and text_of(piece.ids)}
    within = [part[0] in begins for sample in samples for part in halves(sample) if part and halves(sample)[0][0] not in alone]
    assert np.mean(within) > 0.97  # the others are of texts of one sentence
    assert len(samples) > 1.05 * len(pieces)
    assert len(make(CODEC, short=0.0)(pieces, np.random.default_rng(0))) == sum(bool(text_of(piece.ids)) for piece in pieces)


def test_a_window_of_one_document_has_no_random_pairs() -> None:
    samples = NextSentence(CODEC)(split([500], content=60), np.random.default_rng(0))
    assert {sample.target for sample in samples} == {0}


def test_small_windows_have_random_pairs_too() -> None:
    pieces = split([50, 61, 72], content=99, unit=11)
    classes = [
        sample.target for seed in range(200) for sample in NextSentence(CODEC, short=0.0)(pieces, np.random.default_rng(seed))
    ]
    assert 0.25 < np.mean(classes) < 0.5
