"""Figures of classes equal those worked out one document at a time, and the definitions of scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.evaluation.classes import class_metrics, classification
from aigc.core.evaluation.intervals import bootstrap, values_of
from aigc.errors import AigcError


def scores_of(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[predicted]


def naive(predicted: list[int], right: list[int], classes: int) -> dict[str, object]:
    """One document and one class at a time, as scikit-learn's documentation words it."""
    pairs = list(zip(right, predicted, strict=True))
    precision, recall, f1 = [], [], []
    for one in range(classes):
        hits = sum(r == p == one for r, p in pairs)
        told, there = sum(p == one for _, p in pairs), sum(r == one for r, _ in pairs)
        precision.append(hits / told if told else 0.0)
        recall.append(hits / there if there else 0.0)
        both = precision[-1] + recall[-1]
        f1.append(2 * precision[-1] * recall[-1] / both if both else 0.0)
    in_either, in_right = sorted({*predicted, *right}), sorted(set(right))
    return {
        "accuracy": sum(r == p for r, p in pairs) / len(pairs),
        "macro_f1": sum(f1[one] for one in in_either) / len(in_either),
        "balanced_accuracy": sum(recall[one] for one in in_right) / len(in_right),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "support": [right.count(one) for one in range(classes)],
        "confusion": [[sum(r == i and p == j for r, p in pairs) for j in range(classes)] for i in range(classes)],
    }


def test_figures_worked_out_by_hand() -> None:
    """Right 0 0 0 1 1 2, told 0 0 1 1 1 0; class 3 is neither: scikit-learn 1.7 gives the same."""
    found = classification(scores_of([0, 0, 1, 1, 1, 0], 4), [0, 0, 0, 1, 1, 2])
    assert found.confusion == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.precision == pytest.approx([2 / 3, 2 / 3, 0, 0])
    assert found.recall == pytest.approx([2 / 3, 1, 0, 0])
    assert found.f1 == pytest.approx([2 / 3, 4 / 5, 0, 0])
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5 + 0) / 3), "the class that is in neither does not count"
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.support == [3, 2, 1, 0]


def test_a_class_that_is_only_predicted_counts_for_macro_f1_and_not_for_balanced_accuracy() -> None:
    found = classification(scores_of([0, 1], 3), [0, 0])
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2) and found.balanced_accuracy == 0.5


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_equal_to_counting_one_by_one(data: st.DataObject) -> None:
    classes, size = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 25))
    numbers = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    predicted, right = data.draw(numbers), data.draw(numbers)
    found = classification(scores_of(predicted, classes), np.array(right, np.float32)).as_json()
    for key, value in naive(predicted, right, classes).items():
        assert np.asarray(found[key]) == pytest.approx(np.asarray(value)), key


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_draw_of_documents_is_measured_as_if_it_were_the_corpus(data: st.DataObject) -> None:
    classes, size = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 12))
    numbers = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    predicted, right = data.draw(numbers), data.draw(numbers)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any))
    metrics = class_metrics(scores_of(predicted, classes), right)
    repeated = [i for i, times in enumerate(counts) for _ in range(times)]
    again = naive([predicted[i] for i in repeated], [right[i] for i in repeated], classes)
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        assert metrics[name](np.array([counts], np.float64))[0] == pytest.approx(again[name]), name


def test_log_loss_is_of_the_softmax_and_nothing_is_clipped() -> None:
    scores = np.array([[2.0, 0.0], [0.0, 900.0]], np.float32)
    found = values_of(class_metrics(scores, [0, 0]), 2)
    assert found["log_loss"] == pytest.approx((math.log1p(math.exp(-2)) + 900) / 2)
    shifted = values_of(class_metrics(scores + np.float32(50), [0, 0]), 2)
    assert shifted == pytest.approx(found), "logits and log-probabilities give the same"


def test_the_same_draws_give_all_metrics_their_values() -> None:
    random = np.random.default_rng(0)
    metrics = class_metrics(random.normal(size=(50, 3)), random.integers(0, 3, 50))
    drawn = bootstrap(list(metrics.values()), documents=50, resamples=20)
    assert drawn.shape == (4, 20) and np.isfinite(drawn).all()


def test_a_model_that_diverged_is_one_clear_line() -> None:
    with pytest.raises(AigcError, match="scores of 1 of 2 documents are not finite"):
        classification([[0.0, math.nan], [1.0, 0.0]], [0, 1])
    with pytest.raises(AigcError, match="no documents"):
        classification(np.empty((0, 2)), [])


@pytest.mark.parametrize(
    ("targets", "message"), [([0, 2], "0 to 1"), ([0, -1], "0 to 1"), ([0, 0.5], "0 to 1"), ([0], "do not fit")]
)
def test_a_target_that_is_no_class_is_refused(targets: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_metrics(np.zeros((2, 2)), targets)
