"""Intervals hold the truth as often as they say, pair what is paired, and are the same for the same seed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.evaluation.intervals import bootstrap, interval, mean, of_sums, perplexity, ratio, value_of, values_of
from aigc.errors import AigcError


def ends(values: list[float] | np.ndarray, seed: int = 0) -> tuple[float, float]:
    found = interval(bootstrap([mean(values)], documents=len(values), seed=seed)[0])
    assert found is not None
    return found


def test_an_interval_of_a_mean_holds_the_truth_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    trials = [ends(random.exponential(1.0, 150), seed) for seed in range(300)]
    held = sum(low <= 1.0 <= high for low, high in trials) / len(trials)
    assert 0.90 <= held <= 0.98, "nominal 0.95; three standard errors are 0.04"


def test_its_width_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 4000)
    low, high = ends(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(4000), rel=0.08)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.01)


def test_draws_are_whole_samples_with_replacement_of_all_documents() -> None:
    counted = of_sums(np.eye(7), lambda sums: sums.sum(axis=1))
    squares = of_sums(np.eye(7), lambda sums: (sums**2).sum(axis=1))
    drawn = bootstrap([counted, squares], documents=7, resamples=2000)
    assert drawn.shape == (2, 2000) and (drawn[0] == 7).all()
    assert drawn[1].mean() == pytest.approx(7 * (6 / 7 + 1), rel=0.02), "counts are multinomial: variance 6/7, mean 1"


@pytest.mark.parametrize("documents", [1, 300, 2_000_000])
def test_the_same_seed_draws_the_same_and_another_seed_another(documents: int) -> None:
    metric = mean(np.arange(documents))
    one, same, other = (bootstrap([metric], documents=documents, resamples=3, seed=seed) for seed in (4, 4, 5))
    assert (one == same).all() and one.shape == (1, 3)
    assert documents == 1 or (one != other).any()


def test_two_metrics_see_the_same_draws_so_their_difference_is_sharp() -> None:
    random = np.random.default_rng(2)
    hard = random.normal(0, 10, 500)
    one, other = bootstrap([mean(hard + 1), mean(hard + random.normal(0, 0.1, 500))], documents=500)
    difference = interval(one - other)
    assert difference is not None and 0.95 < difference[0] < difference[1] < 1.05
    alone = interval(one)
    assert alone is not None and alone[1] - alone[0] > 1, "alone they tell nothing"


def test_a_ratio_is_of_sums_not_the_mean_of_ratios() -> None:
    nats, tokens = [10.0, 300.0], [1, 299]
    assert value_of(ratio(nats, tokens), 2) == pytest.approx(310 / 300)
    assert value_of(perplexity(nats, tokens), 2) == pytest.approx(math.exp(310 / 300))


def test_resampling_documents_knows_that_tokens_of_a_document_go_together() -> None:
    """Of 100 documents whose tokens are all alike, there are 100 observations and not 10,000."""
    each = np.random.default_rng(3).normal(3.0, 1.0, 100)
    found = interval(bootstrap([ratio(each * 100, np.full(100, 100))], documents=100)[0])
    assert found is not None and found == pytest.approx(ends(each), rel=1e-9)


def test_a_perplexity_beyond_all_numbers_is_left_out_without_a_warning() -> None:
    metrics = {"perplexity": perplexity([1e6], [1]), "loss": ratio([1e6], [1]), "nothing": ratio([0], [0])}
    assert values_of(metrics, 1) == {"loss": 1e6}


def test_documents_without_spread_have_no_interval() -> None:
    assert interval(bootstrap([mean([0.1] * 30)], documents=30)[0]) is None, "30 right ones of 30 do not make it sure"
    assert interval(bootstrap([mean([3.0])], documents=1)[0]) is None


def test_undefined_draws_are_left_out_up_to_one_in_twenty() -> None:
    draws = np.arange(1000.0)
    draws[-50:] = math.nan
    assert interval(draws) == pytest.approx((23.725, 925.275))
    draws[-51] = math.inf
    assert interval(draws) is None
    assert interval(np.full(10, math.nan)) is None


@pytest.mark.parametrize("call", [lambda: bootstrap([mean([])], documents=0), lambda: value_of(mean([]), 0)])
def test_nothing_to_measure_is_one_clear_line(call: object) -> None:
    with pytest.raises(AigcError, match="no documents to evaluate on"):
        call()  # type: ignore[operator]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_an_interval_lies_within_the_values_and_moves_with_them(values: list[float], seed: int) -> None:
    drawn = bootstrap([mean(values), mean([value * 2 + 1 for value in values])], documents=len(values), resamples=50, seed=seed)
    scale = max(1.0, *map(abs, values))
    assert drawn[1] == pytest.approx(drawn[0] * 2 + 1, abs=1e-9 * scale)
    if found := interval(drawn[0]):
        assert min(values) - 1e-9 * scale <= found[0] <= found[1] <= max(values) + 1e-9 * scale
