"""Marks are those of transformers whatever the batch, and are found in marked texts and not in others."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import SynthIDTextWatermarkLogitsProcessor, WatermarkLogitsProcessor

from aigc.core.generation import watermarks
from aigc.core.generation.request import Watermark
from aigc.core.generation.watermarks import GreenList, Marker, Tournament, marker

CPU = torch.device("cpu")
VOCABULARY = 300
KINDS = pytest.mark.parametrize("kind", ["synthid", "greenlist"])


def _marker(kind: str, key: int = 7, vocabulary: int = VOCABULARY) -> Marker:
    return marker(Watermark(kind, key), vocabulary=vocabulary, device=CPU)  # type: ignore[arg-type]


MARKS = {kind: _marker(kind) for kind in ("synthid", "greenlist")}


def _theirs(mine: Tournament) -> SynthIDTextWatermarkLogitsProcessor:
    return SynthIDTextWatermarkLogitsProcessor(
        ngram_len=5,
        keys=mine.keys,
        sampling_table_size=2**16,
        sampling_table_seed=mine.table_seed,
        context_history_size=1024,
        device=CPU,
    )


def _logits(generator: torch.Generator, rows: int, kept: int | None, vocabulary: int = VOCABULARY) -> torch.Tensor:
    logits_BV = torch.randn(rows, vocabulary, generator=generator) * 3
    if kept is not None:
        lowest = logits_BV.topk(kept, dim=-1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < lowest, -math.inf)
    return logits_BV


@pytest.mark.parametrize("kept", [None, 20, 1])
@pytest.mark.parametrize("tokens", [3, VOCABULARY])  # of three tokens, contexts come again soon
def test_synthid_is_that_of_transformers(kept: int | None, tokens: int) -> None:
    mine = Tournament(7, CPU)
    theirs = _theirs(mine)
    generator = torch.Generator().manual_seed(1)
    texts = torch.zeros(3, 0, dtype=torch.int64)
    unmarked = 0
    for _ in range(60):
        logits_BV = _logits(generator, 3, kept)
        expected = theirs(texts, logits_BV)
        found = mine.bias(logits_BV, texts.tolist())
        torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), rtol=1e-4, atol=1e-6)
        unmarked += int((expected == logits_BV).all(-1).sum())
        texts = torch.cat([texts, torch.randint(0, tokens, (3, 1), generator=generator)], dim=1)
    assert unmarked > 20 if tokens == 3 else unmarked == 0  # a context that was there before


def test_behind_a_prompt_synthid_is_that_of_transformers_from_the_fifth_token_on() -> None:
    mine = Tournament(3, CPU)
    theirs = _theirs(mine)
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, VOCABULARY, (2, 9), generator=generator)
    for step in range(12):
        logits_BV = _logits(generator, 2, None)
        expected = theirs(ids, logits_BV).softmax(-1)
        same = torch.allclose(mine.bias(logits_BV, ids.tolist()).softmax(-1), expected, rtol=1e-4, atol=1e-6)
        assert same == (step >= 4)
        ids = torch.cat([ids, torch.randint(0, VOCABULARY, (2, 1), generator=generator)], dim=1)


def test_a_context_is_forgotten_after_as_many_as_transformers_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermarks, "HISTORY", 6)
    mine = Tournament(3, CPU)
    theirs = _theirs(mine)
    theirs.context_history_size = 6
    generator = torch.Generator().manual_seed(2)
    texts = torch.zeros(1, 0, dtype=torch.int64)
    again = 0
    for _ in range(200):
        logits_BV = _logits(generator, 1, None)
        expected = theirs(texts, logits_BV)
        again += int((expected == logits_BV).all())
        torch.testing.assert_close(mine.bias(logits_BV, texts.tolist()).softmax(-1), expected.softmax(-1), rtol=1e-4, atol=1e-6)
        texts = torch.cat([texts, torch.randint(0, 2, (1, 1), generator=generator)], dim=1)
    assert 0 < again < 100


def test_the_green_list_is_that_of_transformers() -> None:
    mine = GreenList(7, VOCABULARY, CPU)
    theirs = WatermarkLogitsProcessor(VOCABULARY, "cpu", hashing_key=mine.hashing_key)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCABULARY, (3, 4), generator=generator)
    ids[0, -1] = 0
    for kept in (None, 20, 1):
        logits_BV = _logits(generator, 3, kept)
        assert mine.bias(logits_BV, ids.tolist()).equal(theirs(ids, logits_BV))


@KINDS
@pytest.mark.parametrize("kept", [None, 10])
def test_a_row_does_not_depend_on_its_batch(kind: str, kept: int | None) -> None:
    mark = _marker(kind)
    generator = torch.Generator().manual_seed(5)
    logits_BV = _logits(generator, 4, kept)
    logits_BV[2] = -math.inf
    logits_BV[2, 11] = 0.0  # one token is left
    contexts = [[1, 2, 3, 4, 5], [7], [1, 1, 1, 1, 1, 1, 1], list(range(40))]
    together = mark.bias(logits_BV, contexts)
    before = logits_BV.clone()
    for row, context in enumerate(contexts):
        assert mark.bias(logits_BV[row : row + 1], [context])[0].equal(together[row])
    assert mark.bias(logits_BV.flip(0), contexts[::-1]).flip(0).equal(together)
    assert logits_BV.equal(before)
    assert (together == -math.inf).logical_or(logits_BV > -math.inf).all(), "what was ruled out came back"


def _text(mark: Marker | None, length: int, seed: int, *, spread: float = 1.0) -> list[int]:
    """A text drawn from made-up logits; low spread, high entropy."""
    generator = torch.Generator().manual_seed(seed)
    ids = [int(torch.randint(0, VOCABULARY, (1,), generator=generator))]
    for _ in range(length - 1):
        logits_BV = torch.randn(1, VOCABULARY, generator=generator) * spread
        if mark is not None:
            logits_BV = mark.bias(logits_BV, [ids])
        ids.append(int(torch.multinomial(logits_BV.softmax(-1), 1, generator=generator)[0, 0]))
    return ids


@KINDS
def test_a_mark_is_found_with_its_key_and_with_no_other(kind: str) -> None:
    mark, other = _marker(kind, 7), _marker(kind, 8)
    text = _text(mark, 100, 1)
    with_key, without = mark.evidence(text), other.evidence(text)
    assert with_key.p_value < 1e-6 < 1e-3 < without.p_value
    assert with_key.z > 5 and 90 <= with_key.tokens <= 100
    assert mark.evidence(text[20:]).p_value < 1e-4, "the beginning is not needed"


@KINDS
def test_p_values_of_unmarked_texts_are_spread_evenly(kind: str) -> None:
    mark = _marker(kind)
    random = np.random.default_rng(1)
    found = np.sort([mark.evidence(random.integers(0, VOCABULARY, 60).tolist()).p_value for _ in range(400)])
    gap = np.abs(found - (np.arange(400) + 0.5) / 400).max()  # Kolmogorov and Smirnov: 0.0815 is exceeded once in a hundred times
    assert gap < (0.0815 if kind == "synthid" else 0.12)  # the binomial's steps are added


@KINDS
def test_repetition_is_no_evidence(kind: str) -> None:
    """A text that says the same again and again has as many tokens that count as what it says."""
    mark = _marker(kind)
    once = _text(None, 20, 4)
    assert mark.evidence(once * 30).tokens <= 21
    assert mark.evidence(once * 30) == mark.evidence(once * 60)


@KINDS
@given(ids=st.lists(st.integers(0, VOCABULARY - 1), max_size=8))
def test_evidence_of_short_texts_is_weak_and_never_fails(kind: str, ids: list[int]) -> None:
    found = MARKS[kind].evidence(ids)
    assert 0 < found.p_value <= 1 and found.tokens <= max(len(ids) - 1, 0)
    assert found.tokens or found.p_value == 1


def test_synthid_leaves_a_token_as_likely_as_it_was_over_all_contexts() -> None:
    """Dathathri et al.: the mark distorts no single token's distribution."""
    logits_V = torch.tensor([2.0, 1.0, 0.0, -1.0])
    contexts = [[1, 2, 3, number] for number in range(500)]
    chances = Tournament(7, CPU).bias(logits_V.expand(500, 4), contexts).softmax(-1)
    assert (chances.std(0) > 0.1).all(), "no context changed anything"
    assert ((chances.mean(0) - logits_V.softmax(-1)).abs() < 3.5 * chances.std(0) / 500**0.5).all()


@KINDS
def test_keys_do_not_stand_in_the_tables(kind: str) -> None:
    numbers = watermarks.secrets(1, 3)
    assert numbers == watermarks.secrets(1, 3) and len({*numbers, *watermarks.secrets(2, 3)}) == 6
    assert 1 not in numbers and all(0 <= one < 2**63 for one in numbers)
    biased = [_marker(kind, key).bias(torch.zeros(1, VOCABULARY), [[5]]) for key in (1, 2)]
    assert not biased[0].equal(biased[1])
