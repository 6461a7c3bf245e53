"""Scores of classes and the right ones into accuracy, F1, log loss and the confusion matrix, as scikit-learn defines them.

Precision, recall and F1 are 0 where nothing is below (zero_division=0). Macro-F1 is the mean over the classes that are among the
right ones or the predicted ones, balanced accuracy that of recall over those among the right ones; so a class that a draw of
documents does not hold counts for nothing in it. Log loss takes the scores' log-softmax as it is: no probability is clipped.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aigc.core.evaluation.intervals import Counts, Metric, mean, values_of
from aigc.errors import AigcError

__all__ = ["Classification", "class_metrics", "classification"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Classification:
    """How well C classes are told."""

    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    log_loss: float  # nats per document
    precision: list[float]  # (C,) as the next three
    recall: list[float]
    f1: list[float]
    support: list[int]  # documents of each class
    confusion: list[list[int]]  # (C, C): row the right class, column the predicted one

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self)


def _log_probabilities(scores_VC: Floats) -> Floats:
    shifted = scores_VC - scores_VC.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _read(scores: ArrayLike, targets: ArrayLike) -> tuple[Floats, Ints]:
    """Scores (V, C) and the numbers of the right classes (V,), checked."""
    scores_VC, given = np.asarray(scores, np.float64), np.asarray(targets)
    if scores_VC.ndim != 2 or given.shape != scores_VC.shape[:1]:
        raise ValueError(f"scores (V, C) and targets (V,) do not fit: {scores_VC.shape} and {given.shape}")
    if not len(given):
        raise AigcError("there is nothing to measure: no documents to evaluate on")
    broken = len(scores_VC) - int(np.isfinite(scores_VC).all(axis=1).sum())
    if broken:
        raise AigcError(f"the scores of {broken:,} of {len(scores_VC):,} documents are not finite: the model has diverged")
    if not (np.equal(np.mod(given, 1), 0) & (given >= 0) & (given < scores_VC.shape[1])).all():
        raise ValueError(f"targets must be numbers of classes, 0 to {scores_VC.shape[1] - 1}")
    return scores_VC, given.astype(np.int64)


def _per_class(numbers_V: Ints, counts_BV: Counts, classes: int) -> Floats:
    """(B, C): how often each class stands among the numbers; a negative one stands for no class."""
    draws = len(counts_BV)
    places = np.where(numbers_V < 0, classes, numbers_V) + (classes + 1) * np.arange(draws)[:, None]
    sums = np.bincount(places.ravel(), weights=counts_BV.ravel(), minlength=draws * (classes + 1))
    return np.asarray(sums.reshape(draws, classes + 1)[:, :classes])


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where there is nothing below."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def class_metrics(scores: ArrayLike, targets: ArrayLike) -> dict[str, Metric]:
    """`accuracy`, `macro_f1`, `balanced_accuracy` and `log_loss` as metrics of V documents.

    Args:
        scores: (V, C) logits or log-probabilities; of equal ones the first class is the predicted one.
        targets: (V,) number of the right class, whole, also as floats.

    Raises:
        AigcError: no documents, or scores that are not finite.
        ValueError: shapes that do not fit, or a target that is no class.
    """
    scores_VC, targets_V = _read(scores, targets)
    classes, predicted_V = scores_VC.shape[1], scores_VC.argmax(axis=1)
    right_V = np.where(predicted_V == targets_V, targets_V, -1)

    def macro_f1(counts_BV: Counts) -> Floats:
        there = _per_class(targets_V, counts_BV, classes) + _per_class(predicted_V, counts_BV, classes)
        f1 = _share(2 * _per_class(right_V, counts_BV, classes), there)
        return np.asarray(f1.sum(axis=1) / (there > 0).sum(axis=1))

    def balanced_accuracy(counts_BV: Counts) -> Floats:
        there = _per_class(targets_V, counts_BV, classes)
        return np.asarray(_share(_per_class(right_V, counts_BV, classes), there).sum(axis=1) / (there > 0).sum(axis=1))

    return {
        "accuracy": mean(right_V >= 0),
        "macro_f1": macro_f1,
        "balanced_accuracy": balanced_accuracy,
        "log_loss": mean(-_log_probabilities(scores_VC)[np.arange(len(targets_V)), targets_V]),
    }


def classification(scores: ArrayLike, targets: ArrayLike) -> Classification:
    """All that can be told of V documents and C classes; arguments and errors as of class_metrics."""
    scores_VC, targets_V = _read(scores, targets)
    classes = scores_VC.shape[1]
    cells = np.bincount(targets_V * classes + scores_VC.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
    right, told, there = (sums.astype(np.float64) for sums in (cells.diagonal(), cells.sum(axis=0), cells.sum(axis=1)))
    return Classification(
        **values_of(class_metrics(scores_VC, targets_V), len(targets_V)),
        precision=_share(right, told).tolist(),
        recall=_share(right, there).tolist(),
        f1=_share(2 * right, told + there).tolist(),
        support=cells.sum(axis=1).tolist(),
        confusion=cells.tolist(),
    )
