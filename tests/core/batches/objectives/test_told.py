"""Objectives of finetuning: weights of tokens, targets of whole documents, sources and targets, pairs of completions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import CODEC, END, FIRST, PAD, START, T5, FakeCodec, split, text_of, windows

from aigc.core.batches.batch import collate
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.fill_in_middle import FillInMiddle
from aigc.core.batches.objectives.masked import Masked
from aigc.core.batches.objectives.preferred import Preferred
from aigc.core.batches.objectives.sequences import Sequences
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.objectives.table import JUDGED, OBJECTIVES, build
from aigc.core.batches.sample import IGNORED, Piece
from aigc.errors import AigcError

CONTEXT = 24
RNG = np.random.default_rng(0)


def weighted(pieces: list[Piece], seed: int) -> list[Piece]:
    """Half of the pieces with weights of each kind."""
    rng = np.random.default_rng(seed)
    return [
        replace(piece, weights=rng.choice(np.array([-1, 0, 0.5, 1], np.float32), len(piece.ids))) if rng.random() < 0.5 else piece
        for piece in pieces
    ]


@settings(deadline=None)
@given(windows(Causal(CODEC), CONTEXT), st.integers(0, 99))
def test_each_token_is_a_label_by_its_weight(pieces: list[Piece], seed: int) -> None:
    pieces = weighted(pieces, seed)
    before = [(piece.ids.copy(), None if piece.weights is None else piece.weights.copy()) for piece in pieces]
    for piece, sample in zip(pieces, Causal(CODEC)(pieces, RNG), strict=True):
        weights = np.ones(len(piece.ids)) if piece.weights is None else piece.weights
        learned = (np.arange(1, len(piece.ids)) >= piece.unlearned) & (weights[1:] != 0)
        assert sample.labels.tolist() == np.where(learned, piece.ids[1:], IGNORED).tolist()
        assert (sample.weights is None) == (piece.weights is None)
        if sample.weights is not None:
            assert sample.weights[learned].tolist() == weights[1:][learned].tolist()
        batch = collate([sample], places=64, pad=PAD)
        assert batch.weights.tolist() == weights[1:][learned].tolist()
    for piece, (ids, own) in zip(pieces, before, strict=True):
        assert np.array_equal(piece.ids, ids) and np.array_equal(piece.weights, own)


def test_what_is_weighted_is_not_turned_and_not_masked() -> None:
    (piece,) = split([30], content=99)
    weights = np.ones(len(piece.ids), np.float32)
    weights[5] = -1
    (sample,) = FillInMiddle(CODEC, rate=1.0)([replace(piece, weights=weights)], RNG)
    assert sample.input_ids.tolist() == piece.ids[:-1].tolist()
    assert sample.weights is not None and sample.weights[4] == -1
    with pytest.raises(AigcError, match="some tokens have a weight of their own"):
        Masked(CODEC)([replace(piece, weights=weights)], RNG)


@settings(deadline=None)
@given(windows(Sequences(CODEC), CONTEXT), st.integers(0, 9))
def test_a_whole_document_is_read_and_one_thing_told(pieces: list[Piece], target: int) -> None:
    heads = [replace(piece, target=float(target + piece.document)) for piece in pieces if piece.head]
    samples = Sequences(CODEC)(heads, RNG)
    for piece, sample in zip(heads, samples, strict=True):
        assert len(sample.input_ids) <= CONTEXT
        assert (sample.document, sample.target) == (piece.document, target + piece.document)
        assert sample.input_ids[0] == START and sample.input_ids[-1] == END
        assert text_of(sample.input_ids) == text_of(piece.ids)[: CONTEXT - 2]
        assert set(sample.labels.tolist()) == {IGNORED} and len(sample.labels) == len(sample.input_ids)
        assert sample.source_ids is None
    if samples:
        batch = collate(samples, places=CONTEXT * len(samples), pad=PAD)
        assert batch.sequence_targets is not None and batch.sequence_targets.tolist() == [sample.target for sample in samples]
        assert len(batch.targets) == 0


def test_they_are_built_by_their_names() -> None:
    assert not set(JUDGED) & set(OBJECTIVES)
    assert [type(build(name, T5, CONTEXT)) for name in JUDGED] == list(JUDGED.values())
    assert build("source_target", T5, CONTEXT) == SourceTarget(T5, CONTEXT)
    with pytest.raises(AigcError, match="no parameter 'share': it has none"):
        build("preferred", T5, CONTEXT, share=0.1)


def test_a_context_without_room_for_text_is_an_error() -> None:
    for make in (lambda: Sequences(CODEC).content(2), lambda: SourceTarget(CODEC, 1)):
        with pytest.raises(AigcError, match="has no room for text"):
            make()


@pytest.mark.parametrize("codec", [CODEC, T5])
@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=6),
    seed=st.one_of(st.none(), st.integers(0, 99)),
)
def test_the_prompt_is_read_and_the_completion_said(codec: FakeCodec, sizes: list[tuple[int, int]], seed: int | None) -> None:
    pieces = [
        replace(split([prompt + completion], codec=codec, content=999, prompt=prompt)[0], document=number)
        for number, (prompt, completion) in enumerate(sizes)
    ]
    if seed is not None:
        pieces = weighted(pieces, seed)
    objective = SourceTarget(codec, CONTEXT)
    samples = objective(pieces, RNG)
    most = objective.content(CONTEXT)
    for piece, sample, (prompt, completion) in zip(pieces, samples, sizes, strict=True):
        assert sample.source_ids is not None
        head = piece.ids.tolist()[: piece.unlearned]
        tail = piece.ids.tolist()[piece.unlearned :]
        assert len(tail) == completion + 1 and len(head) == prompt + len(codec.start)
        assert sample.source_ids.tolist() == [*head[:most], END]
        said = [*codec.start, *tail[:most]]
        assert sample.input_ids.tolist() == [END if codec.start else PAD, *said[:-1]]
        assert max(len(sample.source_ids), len(sample.input_ids)) <= CONTEXT
        weights = np.ones(len(said), np.float32)
        if piece.weights is not None:
            weights[len(codec.start) :] = piece.weights[piece.unlearned :][:most]
        assert sample.labels.tolist() == np.where(weights == 0, IGNORED, said).tolist()
        assert (END in said) == (completion + 1 <= most)
    if sizes:
        prompts, completions = (
            np.array([part(piece) for piece in pieces])
            for part in (lambda piece: piece.unlearned, lambda piece: len(piece.ids) - piece.unlearned)
        )
        sources, targets = objective.sizes(prompts, completions)
        assert sources.tolist() == [len(sample.source_ids) for sample in samples if sample.source_ids is not None]
        assert targets.tolist() == [len(sample.input_ids) for sample in samples]


def pair(prompt: int, chosen: int, rejected: int, document: int = 0) -> Piece:
    """A piece with two completions, as it lies on disk."""
    sizes = np.cumsum([1, prompt, chosen, rejected])
    ids = [np.arange(FIRST + a, FIRST + b) for a, b in pairwise(sizes.tolist())]
    whole = np.concatenate([[START], ids[0], ids[1], [END], ids[2], [END]])
    return Piece(document, whole, head=True, tail=True, unlearned=1 + prompt, marks=np.array([2 + prompt + chosen]))


@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
    referred=st.booleans(),
)
def test_a_pair_makes_two_samples_behind_the_same_prompt(sizes: list[tuple[int, int, int]], referred: bool) -> None:
    pieces = [pair(*one, document=number) for number, one in enumerate(sizes)]
    if referred:
        pieces = [replace(piece, references=(-1.0, -2.0)) for piece in pieces]
    samples = Preferred(CODEC)(pieces, RNG)
    assert len(samples) == 2 * len(pieces)
    for piece, chosen, rejected, (prompt, good, bad) in zip(pieces, samples[::2], samples[1::2], sizes, strict=True):
        head = piece.ids.tolist()[: 1 + prompt]
        parts = piece.ids.tolist()[1 + prompt : 2 + prompt + good], piece.ids.tolist()[2 + prompt + good :]
        assert len(parts[1]) == bad + 1
        for sample, part, number in ((chosen, parts[0], 1), (rejected, parts[1], 0)):
            assert [*sample.input_ids.tolist(), END] == [*head, *part]
            assert sample.labels.tolist() == [*[IGNORED] * prompt, *part]
            assert (sample.document, sample.target, sample.mate) == (piece.document, number, number == 0)
            assert sample.reference == ((-1.0 if number else -2.0) if referred else None)
    batch = collate(samples, places=600, pad=PAD)
    assert batch.sequence_targets is not None and batch.sequence_targets.tolist() == [1, 0] * len(pieces)
    assert (batch.references is None) != referred


def test_one_completion_is_good_or_bad() -> None:
    piece = replace(split([4], content=99, prompt=2)[0], marks=np.zeros(0, np.int64), references=(-1.0, -2.0))
    good, bad = (replace(piece, target=target) for target in (1.0, 0.0))
    one, other = Preferred(CODEC)([good, bad], RNG)
    assert (one.target, one.reference, one.mate) == (1.0, -1.0, False)
    assert (other.target, other.reference, other.mate) == (0.0, -2.0, False)
    assert one.labels.tolist() == [IGNORED, IGNORED, FIRST + 2, FIRST + 3, END]
