"""Figures say value, interval and how sure the difference to the baseline is, and can be written as JSON."""

import json
import math

import numpy as np
import pytest

from aigc.core.evaluation.classes import class_metrics
from aigc.core.evaluation.figures import BETTER, Figure, figures_of
from aigc.core.evaluation.intervals import mean, perplexity
from aigc.core.evaluation.texts import text_metrics
from aigc.core.evaluation.values import value_metrics
from aigc.errors import AigcError


def test_a_result_beside_its_baseline_on_the_same_documents() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 4, 400)
    noise = random.normal(size=(400, 4))
    right = np.eye(4)[targets]
    figures = figures_of(class_metrics(noise + 2 * right, targets), documents=400, baseline=class_metrics(noise + right, targets))
    by_name = {figure.name: figure for figure in figures}
    assert list(by_name) == ["accuracy", "macro_f1", "balanced_accuracy", "log_loss"]
    for figure in figures:
        low, value, high = (getattr(figure, name) for name in ("low", "value", "high"))
        assert low < value < high and figure.difference == pytest.approx(value - figure.baseline)
        assert figure.difference_low < figure.difference < figure.difference_high
        assert figure.difference_high - figure.difference_low < (high - low) * 1.5, "paired: not the sum of two intervals"
    assert by_name["accuracy"].difference_low > 0 and by_name["log_loss"].difference_high < 0
    assert by_name["accuracy"].better == "higher" and by_name["log_loss"].better == "lower"


def test_two_models_of_the_same_quality_are_not_told_apart() -> None:
    random = np.random.default_rng(1)
    (figure,) = figures_of({"mae": mean(random.random(300))}, documents=300, baseline={"mae": mean(random.random(300))})
    assert figure.difference_low < 0 < figure.difference_high


def test_without_baseline_and_with_one_that_lacks_a_metric() -> None:
    metrics = {"accuracy": mean([1, 0, 1]), "made_up": mean([1, 2, 3])}
    alone = figures_of(metrics, documents=3)
    beside = figures_of(metrics, documents=3, baseline={"accuracy": mean([0, 0, 1]), "other": mean([1, 1, 1])})
    assert [figure.baseline for figure in alone] == [None, None] and alone[0].difference is None
    assert [figure.baseline for figure in beside] == [pytest.approx(1 / 3), None] and beside[1].better is None
    assert [(f.low, f.high) for f in alone] == [(f.low, f.high) for f in beside], "a baseline changes no draw"


def test_a_model_against_itself_has_a_difference_of_nothing_and_no_interval() -> None:
    metric = mean([1, 0, 1, 1])
    (figure,) = figures_of({"accuracy": metric}, documents=4, baseline={"accuracy": metric})
    assert (figure.difference, figure.difference_low, figure.difference_high) == (0, None, None)


def test_figures_are_json_whatever_came_out() -> None:
    broken = {"perplexity": perplexity([1e6, 1e6], [1, 1]), "r2": value_metrics([1, 2], [3, 3])["r2"]}
    figures = figures_of(broken, documents=2, baseline=broken)
    assert [figure.value for figure in figures] == [None, None] and figures[0].difference is None
    told = json.loads(json.dumps([figure.as_json() for figure in figures], allow_nan=False))
    assert [Figure(**row) for row in told] == figures


def test_draws_that_are_infinite_on_both_sides_are_left_out_without_a_warning() -> None:
    nats = [1.0] * 400 + [400_000.0]
    metrics = {"perplexity": perplexity(nats, [1] * 401)}
    (figure,) = figures_of(metrics, documents=401, baseline=metrics)
    assert figure.value is None or math.isfinite(figure.value)
    assert figure.difference_low is None


def test_every_metric_of_ours_says_which_way_is_better() -> None:
    ours = {**class_metrics([[0.0, 1.0]], [1]), **value_metrics([1.0], [1.0]), **text_metrics(["a"], ["a"])}
    assert set(ours) <= set(BETTER)


def test_no_documents_are_one_clear_line() -> None:
    with pytest.raises(AigcError, match="no documents"):
        figures_of({"accuracy": mean([])}, documents=0)
