"""What holds for every objective: lengths, determinism, nothing lost, and clear errors."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import CODEC, T5, FakeCodec, same, split, text_of, tokens, windows

from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.objectives.table import OBJECTIVES, build
from aigc.core.batches.sample import IGNORED, Sample
from aigc.errors import AigcError

CONTEXT = 24
KINDS: list[tuple[str, dict[str, Any], FakeCodec]] = [
    *((name, {}, CODEC) for name in OBJECTIVES),
    ("masked", {"whole_words": True}, CODEC),
    ("span_corruption", {"share": 0.5, "span": 1.5}, T5),
    ("span_corruption", {}, replace(T5, sentinels=T5.sentinels[:2])),
    ("denoising", {"share": 0.6, "span": 0.5}, CODEC),
    ("denoising", {"shuffle": False}, CODEC),
    ("next_segment", {"source": False}, CODEC),
    ("next_segment", {}, T5),
    ("fill_in_middle", {"rate": 1.0}, CODEC),
]
each_kind = pytest.mark.parametrize(("name", "parameters", "codec"), KINDS)


def seen(sample: Sample) -> Counter[int]:
    """The tokens of text that a sample reads or says, each once for the side where it stands."""
    labels = sample.labels[sample.labels != IGNORED]
    if sample.source_ids is None:
        hidden = np.where(sample.labels == IGNORED, sample.input_ids, sample.labels)
        return (
            Counter(text_of(hidden))
            if sample.token_types is not None
            else Counter(text_of(sample.input_ids)) | Counter(text_of(labels))
        )
    return Counter(text_of(sample.source_ids)) | Counter(text_of(labels)) | Counter(text_of(sample.input_ids))


@each_kind
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_sample_exceeds_the_context_and_no_token_is_lost(
    name: str, parameters: dict[str, Any], codec: FakeCodec, data: st.DataObject
) -> None:
    objective = build(name, codec, CONTEXT, **parameters)
    pieces = data.draw(windows(objective, CONTEXT, codec))
    samples = objective(pieces, np.random.default_rng(data.draw(st.integers(0, 999))))
    found: Counter[int] = Counter()
    for sample in samples:
        assert 0 < len(sample.input_ids) == len(sample.labels) <= CONTEXT
        assert sample.source_ids is None or 0 < len(sample.source_ids) <= CONTEXT
        assert sample.input_ids.min() >= 0
        assert (sample.source_ids is not None) == (objective.target_share > 0)
        found |= seen(sample)
    prompts = {token for piece in pieces for token in text_of(piece.ids[: piece.unlearned])}
    alone = {token for piece in pieces if piece.unlearned >= len(piece.ids) - piece.tail for token in text_of(piece.ids)}
    lost = tokens(pieces).keys() - found.keys()
    assert lost <= (alone if name in ("span_corruption", "denoising") else set())
    learned = {token for sample in samples for token in text_of(sample.labels)}
    if name != "next_segment":
        assert not learned & prompts


@each_kind
def test_the_same_seed_gives_the_same_samples(name: str, parameters: dict[str, Any], codec: FakeCodec) -> None:
    objective = build(name, codec, 64, **parameters)
    pieces = split([50, 1, 200, 30, 75, 60], codec=codec, content=min(objective.content(64), 500), overlap=objective.overlap)
    before = [piece.ids.copy() for piece in pieces]
    one, two, three = (objective(pieces, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same(one, two)
    assert name in ("causal", "next_segment") or not same(one, three)
    assert all(np.array_equal(piece.ids, ids) for piece, ids in zip(pieces, before, strict=True))


@each_kind
def test_a_window_of_nothing_gives_no_samples(name: str, parameters: dict[str, Any], codec: FakeCodec) -> None:
    objective = build(name, codec, 64, **parameters)
    assert objective([], np.random.default_rng(0)) == []
    empty = split([0, 0], codec=codec, content=20)
    assert all(not text_of(sample.input_ids) for sample in objective(empty, np.random.default_rng(0)))


@each_kind
def test_the_decoder_tokens_are_estimated_rather_too_high(name: str, parameters: dict[str, Any], codec: FakeCodec) -> None:
    objective = build(name, codec, 256, **parameters)
    pieces = split([300] * 40, codec=codec, content=min(objective.content(256), 10**6), unit=30)
    samples = objective(pieces, np.random.default_rng(0))
    source = sum(len(sample.source_ids) for sample in samples if sample.source_ids is not None)
    if not source:
        assert objective.target_share == 0
        return
    share = sum(len(sample.input_ids) for sample in samples) / source
    assert share <= objective.target_share <= 1.4 * share


@pytest.mark.parametrize(
    ("name", "codec", "context", "parameters", "words"),
    [
        ("mask", CODEC, 64, {}, "no objective 'mask'"),
        ("masked", CODEC, 64, {"rate": 0.1}, "no parameter 'rate': it has share, whole_words"),
        ("causal", CODEC, 64, {"codec": 1}, "no parameter 'codec': it has none"),
        ("masked", CODEC, 64, {"share": 1.0}, "share is 1"),
        ("masked", T5, 64, {}, "no mask token"),
        ("masked+next_sentence", CODEC, 64, {"short": 2.0}, "short is 2"),
        ("masked+sentence_order", T5, 64, {}, "no mask token"),
        ("denoising", T5, 64, {}, "no mask token"),
        ("denoising", CODEC, 64, {"span": 0.0}, "mean length of a span is 0"),
        ("span_corruption", replace(T5, sentinels=[]), 64, {}, "has none"),
        ("span_corruption", T5, 64, {"span": 0.5}, "mean length of a span is 0.5"),
        ("fill_in_middle", T5, 64, {}, "three ids"),
        ("fill_in_middle", CODEC, 64, {"rate": -1.0}, "rate is -1"),
        ("fill_in_middle", CODEC, 3, {}, "context of 3 tokens has no room"),
        ("masked", CODEC, 2, {}, "context of 2 tokens has no room"),
        ("next_segment", CODEC, 2, {}, "context of 2 tokens has no room"),
        ("span_corruption", T5, 1, {}, "context of 1 tokens has no room"),
    ],
)
def test_errors_are_one_clear_line(name: str, codec: FakeCodec, context: int, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(AigcError, match=words) as error:
        build(name, codec, context, **parameters)
    assert "\n" not in str(error.value)


def test_the_smallest_contexts_work() -> None:
    for name, parameters, codec in KINDS:
        for context in range(1, 9):
            try:
                objective: Objective = build(name, codec, context, **parameters)
            except AigcError:
                continue
            pieces = split(
                [5, 9, 1, 30], codec=codec, content=min(objective.content(context), 99), overlap=objective.overlap, unit=3
            )
            for sample in objective(pieces, np.random.default_rng(0)):
                assert max(len(sample.input_ids), 0 if sample.source_ids is None else len(sample.source_ids)) <= context
