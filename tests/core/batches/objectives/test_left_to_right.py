"""Causal, fill in the middle, next segment: labels stand one ahead, and documents can be put together again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import CODEC, END, FIRST, MID, PAD, PRE, START, SUF, T5, split, windows

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.fill_in_middle import FillInMiddle
from aigc.core.batches.objectives.next_segment import NextSegment
from aigc.core.batches.sample import IGNORED

CONTEXT = 32


@settings(deadline=None)
@given(windows(Causal(CODEC), CONTEXT))
def test_each_token_but_the_first_is_a_label_once(pieces: list) -> None:
    samples = Causal(CODEC)(pieces, np.random.default_rng(0))
    for piece, sample in zip(pieces, samples, strict=True):
        assert sample.input_ids.tolist() == piece.ids[:-1].tolist()
        learned = np.arange(1, len(piece.ids)) >= piece.unlearned
        assert sample.labels.tolist() == np.where(learned, piece.ids[1:], IGNORED).tolist()
    for document in {piece.document for piece in pieces}:
        parts = [piece for piece in pieces if piece.document == document]
        labels = [label for sample in samples if sample.document == document for label in sample.labels.tolist()]
        whole = parts[0].ids.tolist() + [token for piece in parts[1:] for token in piece.ids[1:].tolist()]
        assert [label for label in labels if label != IGNORED] == [START, *whole[1:]][parts[0].unlearned :] or len(parts) > 1
        assert len(labels) == len(whole) - 1


def test_a_cut_document_goes_on_where_its_last_label_was() -> None:
    pieces = split([60], content=Causal(CODEC).content(20), overlap=1)
    samples = Causal(CODEC)(pieces, np.random.default_rng(0))
    assert [len(sample.input_ids) for sample in samples] == [20, 20, 20, 1]
    assert np.concatenate([sample.input_ids for sample in samples]).tolist() == [START, *range(FIRST, FIRST + 60)]
    assert np.concatenate([sample.labels for sample in samples]).tolist() == [*range(FIRST, FIRST + 60), END]


def unfold(ids: list[int]) -> tuple[list[int], str]:
    """The text of a sample that may be turned, and in which order it was."""
    if PRE not in ids:
        return ids, "causal"
    pre, suf, mid = (ids.index(one) for one in (PRE, SUF, MID))
    assert pre < suf < mid
    head, prefix, suffix, middle, end = ids[:pre], ids[pre + 1 : suf], ids[suf + 1 : mid], ids[mid + 1 : -1], ids[-1:]
    if suf == pre + 1 and middle and (not suffix or middle[-1] + 1 == suffix[0]) and middle[0] == min(middle + suffix):
        return head + middle + suffix + end, "suffix first"  # or an empty prefix, which reads the same
    return head + prefix + middle + suffix + end, "prefix first"


@settings(deadline=None)
@given(windows(FillInMiddle(CODEC, rate=1.0), CONTEXT), st.integers(0, 99))
def test_the_middle_goes_back_to_its_place(pieces: list, seed: int) -> None:
    samples = FillInMiddle(CODEC, rate=1.0)(pieces, np.random.default_rng(seed))
    for piece, sample in zip(pieces, samples, strict=True):
        ids = [*sample.input_ids.tolist(), piece.ids[-1]]
        text, order = unfold(ids)
        assert text == piece.ids.tolist()
        assert (order != "causal") == (piece.head and piece.tail and len(piece.ids) - 1 > piece.unlearned)
        extra = 3 if order != "causal" else 0
        learned = np.arange(1, len(piece.ids) + extra) >= piece.unlearned
        assert sample.labels.tolist() == np.where(learned, ids[1:], IGNORED).tolist()


def test_half_is_turned_and_half_of_that_has_the_suffix_first() -> None:
    pieces = split([100] * 2000, content=200)
    samples = FillInMiddle(CODEC)(pieces, np.random.default_rng(0))
    orders = [unfold([*sample.input_ids.tolist(), END])[1] for sample in samples]
    assert abs(orders.count("causal") - 1000) < 110  # 5 standard deviations
    assert abs(orders.count("suffix first") - 505) < 100
    assert all(np.array_equal(sample.labels[:-1], sample.input_ids[1:]) and sample.labels[-1] == END for sample in samples)


def test_the_places_of_the_cuts_are_evenly_spread() -> None:
    pieces = split([20] * 3000, content=200)
    samples = FillInMiddle(CODEC, rate=1.0, suffix_first=0.0)(pieces, np.random.default_rng(0))
    prefixes = np.array([sample.input_ids.tolist().index(SUF) - 2 for sample in samples])
    assert abs(prefixes.mean() - 20 / 3) < 0.6
    assert prefixes.min() == 0 and prefixes.max() > 17


def test_prompts_stay_ahead_of_the_turned_text() -> None:
    (piece,) = split([30], content=99, prompt=5)
    (sample,) = FillInMiddle(CODEC, rate=1.0)([piece], np.random.default_rng(0))
    assert sample.input_ids[:7].tolist() == [START, *range(FIRST, FIRST + 5), PRE]
    assert sample.labels[:6].tolist() == [IGNORED] * 5 + [PRE]


def test_paragraphs_say_the_next_ones() -> None:
    a, b, c = (list(range(FIRST + at, FIRST + at + 10)) for at in (0, 10, 20))
    pieces = split([30], content=99, unit=10)
    one, two = NextSegment(CODEC, 64)(pieces, np.random.default_rng(0))
    assert one.source_ids is not None and two.source_ids is not None
    assert (one.source_ids.tolist(), one.labels.tolist()) == ([START, *a, END], [START, *b, END])
    assert (two.source_ids.tolist(), two.labels.tolist()) == ([START, *b, END], [START, *c, END])
    assert one.input_ids.tolist() == [END, START, *b]
    (t5, _) = NextSegment(T5, 64)(split([30], codec=T5, content=99, unit=10), np.random.default_rng(0))
    assert t5.source_ids is not None
    assert (t5.source_ids.tolist(), t5.input_ids.tolist(), t5.labels.tolist()) == ([*a, END], [PAD, *b], [*b, END])
    one, two = NextSegment(CODEC, 64, source=False)(pieces, np.random.default_rng(0))
    assert one.source_ids is None
    assert one.input_ids.tolist() == [START, *a, *b]
    assert one.labels.tolist() == [IGNORED] * 10 + [*b, END]
    assert two.input_ids.tolist() == [START, *b, *c]


def test_a_document_of_one_paragraph_is_cut_in_two() -> None:
    (sample,) = NextSegment(CODEC, 64)(split([9], content=99, unit=50), np.random.default_rng(0))
    assert sample.source_ids is not None
    assert (sample.source_ids.tolist(), sample.labels.tolist()) == ([START, *range(40, 45), END], [START, *range(45, 49), END])


@settings(deadline=None)
@given(st.lists(st.integers(2, 90), min_size=1, max_size=6), st.integers(1, 60), st.booleans())
def test_all_segments_follow_on_each_other(lengths: list[int], unit: int, source: bool) -> None:
    objective = NextSegment(CODEC, CONTEXT, source=source)
    pieces = split(lengths, content=objective.content(CONTEXT), unit=unit)
    samples = objective(pieces, np.random.default_rng(0))
    for piece in pieces:
        mine = [sample for sample in samples if sample.document == piece.document]
        said = [sample.labels[sample.labels != IGNORED].tolist() for sample in mine]
        said = [labels[1:-1] if source else labels[:-1] for labels in said]
        read = [
            (sample.source_ids if sample.source_ids is not None else np.append(sample.input_ids[: -len(s)], 0)).tolist()[1:-1]
            for sample, s in zip(mine, said, strict=True)
        ]
        assert read[1:] == said[:-1]
        assert read[0] + [token for labels in said for token in labels] == piece.ids.tolist()[1:-1]
