"""The next token comes from the likeliest ones, as often as its probability says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from aigc.core.generation.decoding import Sampling, drawn_tokens, filtered, greedy_tokens, likeliest
from aigc.core.generation.request import Decoding

LOGITS = arrays.arrays("float32", st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-20, 20, width=32))
DRAWS = st.floats(0, 1 - 2**-24, width=32)  # what fits below 1 in fp32
TEMPERATURES = st.floats(0.05, 5)
TOP_PS = st.floats(0.01, 1)


def next_tokens(logits: torch.Tensor, *, temperature: float, top_k: int, top_p: float, draws_B: torch.Tensor) -> torch.Tensor:
    """As a run with this decoding chooses."""
    how = Sampling.of(Decoding(1, temperature, top_k, top_p))
    return greedy_tokens(logits) if how is None else drawn_tokens(logits, how, draws_B.double())


def _chosen(logits: torch.Tensor, draw: float, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> list[int]:
    draws = torch.full((len(logits),), draw)
    found = next_tokens(logits, temperature=temperature, top_k=top_k, top_p=top_p, draws_B=draws)
    assert (found.dtype, found.shape) == (torch.int64, (len(logits),))
    return found.tolist()


@given(logits=LOGITS.map(torch.from_numpy), draw=DRAWS, temperature=TEMPERATURES, top_p=TOP_PS)
def test_the_likeliest_one_is_greedy(logits: torch.Tensor, draw: float, temperature: float, top_p: float) -> None:
    best = logits.max(-1).values
    for chosen in (_chosen(logits, draw, 0.0), _chosen(logits, draw, temperature, top_k=1, top_p=top_p)):
        assert torch.equal(logits[torch.arange(len(logits)), chosen], best)  # of equals, either


@given(logits=LOGITS.map(torch.from_numpy), draw=DRAWS, top_k=st.integers(1, 15))
def test_the_chosen_token_is_one_of_the_k_likeliest(logits: torch.Tensor, draw: float, top_k: int) -> None:
    for row, token in zip(logits, _chosen(logits, draw, top_k=top_k), strict=True):
        assert int((row > row[token]).sum()) < top_k


@given(logits=LOGITS.map(torch.from_numpy), draw=DRAWS, temperature=TEMPERATURES, top_p=TOP_PS)
def test_the_chosen_token_is_in_the_nucleus(logits: torch.Tensor, draw: float, temperature: float, top_p: float) -> None:
    chances = (logits.double() / temperature).softmax(-1)
    for row, token in zip(chances, _chosen(logits, draw, temperature, top_p=top_p), strict=True):
        likelier = float(row[row > row[token] * (1 + 1e-5)].sum())  # what float32 cannot tell apart is equally likely
        assert likelier < top_p + 1e-5  # without it, what is likelier does not reach top_p


@given(logits=LOGITS.map(torch.from_numpy), draws=st.lists(DRAWS, min_size=4, max_size=4))
def test_a_row_depends_on_its_own_draw_only(logits: torch.Tensor, draws: list[float]) -> None:
    draws_B = torch.tensor(draws[: len(logits)])
    together = next_tokens(logits, temperature=0.7, top_k=5, top_p=0.9, draws_B=draws_B)
    alone = [next_tokens(logits[[b]], temperature=0.7, top_k=5, top_p=0.9, draws_B=draws_B[[b]]) for b in range(len(logits))]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.05, {2}), (0.45, {2}), (0.55, {2, 0}), (0.85, {2, 0, 3}), (0.97, {2, 0, 3, 1}), (1, {0, 1, 2, 3})]
)
def test_the_nucleus_is_the_smallest_that_reaches_top_p(top_p: float, kept: set[int]) -> None:
    logits = torch.tensor([[0.3, 0.05, 0.5, 0.15]]).log()
    assert {_chosen(logits, draw / 200, top_p=top_p)[0] for draw in range(200)} == kept


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 3, 1.0), (1.0, 0, 0.8)])
def test_tokens_come_as_often_as_they_are_likely(temperature: float, top_k: int, top_p: float) -> None:
    logits = torch.tensor([0.3, 0.05, 0.5, 0.15]).log()
    expected = (logits / temperature).softmax(-1)
    if top_k:
        expected[expected.argsort(descending=True)[top_k:]] = 0
    if top_p < 1:
        expected[[1, 3]] = 0  # .5 and .3 reach .8
        top_p -= 1e-3
    draws = torch.rand(40_000, generator=torch.Generator().manual_seed(0))
    many = logits.expand(len(draws), -1)
    found = next_tokens(many, temperature=temperature, top_k=top_k, top_p=top_p, draws_B=draws)
    frequencies = torch.bincount(found, minlength=4) / len(draws)
    torch.testing.assert_close(frequencies, expected / expected.sum(), atol=0.01, rtol=0)


def test_an_excluded_token_is_never_chosen() -> None:
    logits = torch.tensor([[0.0, float("-inf"), 1.0]])
    assert {_chosen(logits, draw / 100)[0] for draw in range(100)} == {0, 2}
    assert _chosen(logits, 1 - 2**-24) == [2]
    assert _chosen(logits, 1 - 2**-24, top_k=3) == [0]  # the likeliest come first, and rounding does not lead to the excluded one


HOWS = [
    Sampling(0.7),
    Sampling(0.7, top_k=5),
    Sampling(1.3, top_k=10**6),
    Sampling(0.8, top_k=50, top_p=0.9),
    Sampling(0.8, top_p=0.95),
    Sampling(1.5, top_p=0.5),
    Sampling(1.0, min_p=0.1),
    Sampling(1.0, top_k=20, top_p=0.97, min_p=0.02),
    Sampling(1.0, typical_p=0.6),
    Sampling(0.9, top_k=40, top_p=0.9, min_p=0.01, typical_p=0.8),
    Sampling(0.9, top_p=0.9, typical_p=0.8),
]


def _theirs(logits: torch.Tensor, how: Sampling) -> torch.Tensor:
    """What transformers leaves of the logits."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(how.temperature)])
    if how.top_k:
        warpers.append(TopKLogitsWarper(how.top_k))
    if how.top_p < 1:
        warpers.append(TopPLogitsWarper(how.top_p))
    if how.min_p:
        warpers.append(MinPLogitsWarper(how.min_p))
    if how.typical_p < 1:
        warpers.append(TypicalLogitsWarper(how.typical_p))
    return warpers(torch.zeros(len(logits), 1, dtype=torch.int64), logits.double()).float()  # in fp32 its own sums are off


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize(("width", "spread"), [(12, 1.0), (500, 3.0), (9001, 1.0), (9001, 4.0)])
def test_the_filters_leave_what_those_of_transformers_leave(how: Sampling, width: int, spread: float) -> None:
    logits = torch.randn(4, width, generator=torch.Generator().manual_seed(width)) * spread
    logits[1, ::3] = -torch.inf
    ours, theirs = filtered(logits, how), _theirs(logits, how)
    differ = (ours > -torch.inf) != (theirs > -torch.inf)
    assert differ.sum(-1).max() <= (width > 1000), "rounding moves the border of thousands by one token at most"
    torch.testing.assert_close(ours[~differ], theirs[~differ])
    assert (logits.softmax(-1)[differ] < 1e-4).all()


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_tokens_are_drawn_from_the_filtered_distribution(how: Sampling) -> None:
    logits = torch.randn(1, 30, generator=torch.Generator().manual_seed(2))
    chances = filtered(logits, how).softmax(-1)[0].double()
    draws = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    found = drawn_tokens(logits.expand(len(draws), -1), how, draws)
    counts = torch.bincount(found, minlength=30) / len(draws)
    assert counts[chances == 0].sum() == 0
    torch.testing.assert_close(counts.double(), chances, atol=2e-4, rtol=0)


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_other_rows_change_nothing(how: Sampling) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 3000, generator=generator) * torch.tensor([0.1, 1, 2, 3, 5, 9])[:, None]
    logits[3] = logits[3].round()  # many that are as likely
    draws = torch.rand(6, generator=generator, dtype=torch.float64)
    alone = [drawn_tokens(logits[[b]], how, draws[[b]]) for b in range(6)]
    assert torch.equal(drawn_tokens(logits, how, draws), torch.cat(alone))


def test_what_is_as_likely_as_the_last_of_k_is_kept_as_in_transformers() -> None:
    logits = torch.randn(3, 5000, generator=torch.Generator().manual_seed(4)).mul(2).round()
    how = Sampling(top_k=20)
    assert torch.equal(filtered(logits, how), _theirs(logits, how))
    assert int((filtered(logits, how)[0] > -torch.inf).sum()) > 20


@pytest.mark.parametrize("width", [1, 63, 64, 65, 1000, 4096, 4103])
def test_the_searches_are_those_of_torch(width: int) -> None:
    logits = torch.randn(5, width + 3, generator=torch.Generator().manual_seed(width))[:, :width]  # a part of wider rows
    assert torch.equal(greedy_tokens(logits), logits.argmax(-1))
    assert torch.equal(greedy_tokens(logits.round()), logits.round().argmax(-1)), "of equals the first"
    for k in {1, min(7, width), width}:
        scores, tokens = likeliest(logits, k)
        assert torch.equal(scores, logits.topk(k).values)
        assert torch.equal(logits.gather(-1, tokens), scores)


def test_without_any_token_some_token_is_named() -> None:
    logits = torch.full((2, 300), -torch.inf)
    for how in HOWS:
        found = drawn_tokens(logits, how, torch.tensor([0.0, 0.9], dtype=torch.float64))
        assert ((found >= 0) & (found < 300)).all()
