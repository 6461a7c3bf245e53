"""The next token comes from the likeliest ones, as often as its probability says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aigc.core.generation.decoding import next_tokens

LOGITS = arrays.arrays("float32", st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-20, 20, width=32))
DRAWS = st.floats(0, 1 - 2**-24, width=32)  # what fits below 1 in fp32
TEMPERATURES = st.floats(0.05, 5)
TOP_PS = st.floats(0.01, 1)


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
        likelier = float(row[row > row[token]].sum())
        assert likelier < top_p + 1e-5  # without it, what is likelier does not reach top_p


@given(logits=LOGITS.map(torch.from_numpy), draws=st.lists(DRAWS, min_size=4, max_size=4))
def test_a_row_depends_on_its_own_draw_only(logits: torch.Tensor, draws: list[float]) -> None:
    settings = {"temperature": 0.7, "top_k": 5, "top_p": 0.9}
    draws_B = torch.tensor(draws[: len(logits)])
    together = next_tokens(logits, **settings, draws_B=draws_B)
    alone = [next_tokens(logits[[b]], **settings, draws_B=draws_B[[b]]) for b in range(len(logits))]
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
    assert _chosen(logits, 1 - 2**-24) == [0]
