"""Figures of values equal their textbook formulas, on all documents and on any draw of them."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.evaluation.intervals import values_of
from aigc.core.evaluation.values import value_metrics
from aigc.errors import AigcError

whole = st.integers(-20, 20).map(float)


def ranks(values: list[float]) -> list[float]:
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


def test_figures_worked_out_by_hand() -> None:
    found = values_of(value_metrics([1.0, 2.0, 4.0, 3.0], [1.0, 3.0, 3.0, 5.0]), 4)
    assert found["rmse"] == pytest.approx(math.sqrt((0 + 1 + 1 + 4) / 4))
    assert found["mae"] == pytest.approx(1.0)
    assert found["r2"] == pytest.approx(1 - 6 / 8)
    assert found["pearson"] == pytest.approx(4 / math.sqrt(5 * 8))
    assert found["spearman"] == pytest.approx(3 / math.sqrt(5 * 4.5)), "ranks 1 2 4 3 and 1 2.5 2.5 4"


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_equal_to_the_formulas_on_any_draw(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    numbers = st.lists(whole, min_size=size, max_size=size)
    predicted, given_ = data.draw(numbers), data.draw(numbers)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any))
    metrics = value_metrics(np.array(predicted)[:, None], given_)
    x = [value for value, times in zip(predicted, counts, strict=True) for _ in range(times)]
    y = [value for value, times in zip(given_, counts, strict=True) for _ in range(times)]
    found = {name: float(metric(np.array([counts], np.float64))[0]) for name, metric in metrics.items()}
    errors = [a - b for a, b in zip(x, y, strict=True)]
    assert found["rmse"] == pytest.approx(math.sqrt(statistics.fmean(e * e for e in errors)), abs=1e-9)
    assert found["mae"] == pytest.approx(statistics.fmean(map(abs, errors)), abs=1e-9)
    if len(set(y)) > 1:
        centre = statistics.fmean(y)
        assert found["r2"] == pytest.approx(1 - sum(e * e for e in errors) / sum((b - centre) ** 2 for b in y), abs=1e-9)
    else:
        assert math.isnan(found["r2"])
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert found["pearson"] == pytest.approx(statistics.correlation(x, y), abs=1e-6)
        assert found["spearman"] == pytest.approx(statistics.correlation(ranks(x), ranks(y)), abs=1e-6)
    else:
        assert math.isnan(found["pearson"]) and math.isnan(found["spearman"])


def test_spearman_sees_order_alone_and_pearson_lines_alone() -> None:
    x = np.arange(1.0, 9.0)
    found = values_of(value_metrics(np.exp(x), x), 8)
    assert found["spearman"] == pytest.approx(1.0) and found["pearson"] < 0.8
    assert values_of(value_metrics(-3 * x + 1e9, x), 8)["pearson"] == pytest.approx(-1.0), "a large offset costs no digits"


def test_a_draw_in_which_one_side_never_differs_has_no_correlation() -> None:
    """What is left of its variance is rounding, which must not be told from the other side's by their product."""
    metrics = value_metrics([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [6.0, 0.0, 1.0, 6.0, 1.0, 1.0])
    drawn = np.array([[1.0, 0.0, 0.0, 2.0, 0.0, 0.0]])
    assert math.isnan(metrics["pearson"](drawn)[0]) and math.isnan(metrics["spearman"](drawn)[0])


def test_what_is_not_defined_is_left_out_and_not_made_up() -> None:
    assert set(values_of(value_metrics([1.0, 2.0], [3.0, 3.0]), 2)) == {"rmse", "mae"}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(AigcError, match="values of 1 of 2 documents are not finite"):
        value_metrics([math.inf, 1.0], [0.0, 1.0])
    with pytest.raises(AigcError, match="no documents"):
        value_metrics([], [])
    with pytest.raises(ValueError, match="finite"):
        value_metrics([0.0], [math.nan])
    with pytest.raises(ValueError, match="do not fit"):
        value_metrics([[0.0, 1.0]], [0.0])
