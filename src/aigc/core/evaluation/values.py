"""Predicted values and the right ones into RMSE, MAE, R² and correlations."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aigc.core.evaluation.intervals import Counts, Metric, mean, of_sums
from aigc.errors import AigcError

__all__ = ["value_metrics"]

Floats = NDArray[np.float64]

ROUNDING = 1e-12  # of the values: below, a spread is none


def _read(predictions: ArrayLike, targets: ArrayLike) -> tuple[Floats, Floats]:
    predicted, given = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if predicted.shape == (*given.shape, 1):
        predicted = predicted[:, 0]
    if given.ndim != 1 or predicted.shape != given.shape:
        raise ValueError(f"predictions (V,) or (V, 1) and targets (V,) do not fit: {predicted.shape} and {given.shape}")
    if not len(given):
        raise AigcError("there is nothing to measure: no documents to evaluate on")
    broken = int((~np.isfinite(predicted)).sum())
    if broken:
        raise AigcError(f"the values of {broken:,} of {len(given):,} documents are not finite: the model has diverged")
    if not np.isfinite(given).all():
        raise ValueError("targets must be finite")
    return predicted, given


def _scaled(values: Floats) -> Floats:
    """With mean 0 and deviation 1, so that sums of squares lose no digits; values that are all the same become 0."""
    spread = float(values.std())
    if spread <= ROUNDING * float(np.abs(values).max()):
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / spread)


def _correlation(sums_B6: Floats) -> Floats:
    """Pearson's r of the sums of 1, x, y, x², y² and xy; NaN where x or y differ by nothing but rounding."""
    n, x, y, xx, yy, xy = sums_B6.T
    across, along = (squares / n - (sums / n) ** 2 for squares, sums in ((xx, x), (yy, y)))
    known = (across > ROUNDING * xx / n) & (along > ROUNDING * yy / n)
    spread = np.sqrt(np.where(known, across * along, 1))
    return np.where(known, np.clip((xy / n - x * y / n**2) / spread, -1, 1), np.nan)


def _pearson(predicted: Floats, given: Floats) -> Metric:
    x, y = _scaled(predicted), _scaled(given)
    return of_sums(np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1), _correlation)


def _r2(predicted: Floats, given: Floats) -> Metric:
    """1 - squared error / squared deviation from the mean."""
    centred = given - given.mean()

    def score(sums_B4: Floats) -> Floats:
        n, errors, squares, sums = sums_B4.T
        deviations = squares - sums**2 / n
        known = deviations > ROUNDING * np.maximum(squares, 1e-300)
        return np.asarray(1 - np.divide(errors, deviations, out=np.full(len(n), np.nan), where=known))

    return of_sums(np.stack([np.ones(len(given)), (predicted - given) ** 2, centred**2, centred], axis=1), score)


def _ranks(values: Floats, counts_BV: Counts) -> Floats:
    """(B, V): the rank of each value among the values as often as they count, equal ones sharing their mean rank."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    groups_BG = np.add.reduceat(counts_BV[:, order], first, axis=1)
    ranks_BG = np.cumsum(groups_BG, axis=1) - groups_BG / 2 + 0.5
    group_V = np.empty(len(values), np.int64)
    group_V[order] = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(values))))
    return np.asarray(ranks_BG[:, group_V])


def _spearman(predicted: Floats, given: Floats) -> Metric:
    """Pearson's r of the ranks, which are found anew for every draw."""

    def metric(counts_BV: Counts) -> Floats:
        n_B1 = counts_BV.sum(axis=1, keepdims=True)
        x_BV, y_BV = (_ranks(values, counts_BV) / n_B1 - 0.5 for values in (predicted, given))
        columns = (np.ones_like(x_BV), x_BV, y_BV, x_BV**2, y_BV**2, x_BV * y_BV)
        return _correlation(np.stack([np.einsum("bv,bv->b", counts_BV, column) for column in columns], axis=1))

    return metric


def value_metrics(predictions: ArrayLike, targets: ArrayLike) -> dict[str, Metric]:
    """`rmse`, `mae`, `r2`, `pearson` and `spearman` as metrics of V documents.

    R² is not defined where all targets are the same, nor is a correlation where all values of a side are; such a figure is NaN.

    Args:
        predictions: (V,) or (V, 1).
        targets: (V,), in the same unit.

    Raises:
        AigcError: no documents, or predictions that are not finite.
        ValueError: shapes that do not fit, or targets that are not finite.
    """
    predicted, given = _read(predictions, targets)
    squared = mean((predicted - given) ** 2)
    return {
        "rmse": lambda counts_BV: np.sqrt(squared(counts_BV)),
        "mae": mean(np.abs(predicted - given)),
        "r2": _r2(predicted, given),
        "pearson": _pearson(predicted, given),
        "spearman": _spearman(predicted, given),
    }
