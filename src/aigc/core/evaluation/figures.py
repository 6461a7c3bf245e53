"""Metrics of a result and of its baseline into figures: value, interval, and how sure their difference is."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from aigc.core.evaluation.intervals import Metric, bootstrap, interval, value_of

__all__ = ["BETTER", "Better", "Figure", "figures_of"]

Better = Literal["higher", "lower"]

BETTER: dict[str, Better] = {
    "loss": "lower",
    "perplexity": "lower",
    "bits_per_byte": "lower",
    "token_accuracy": "higher",
    "accuracy": "higher",
    "macro_f1": "higher",
    "balanced_accuracy": "higher",
    "log_loss": "lower",
    "rmse": "lower",
    "mae": "lower",
    "r2": "higher",
    "pearson": "higher",
    "spearman": "higher",
    "exact_match": "higher",
    "rouge1": "higher",
    "rouge2": "higher",
    "rougeL": "higher",
    "bleu": "higher",
    "chrf": "higher",
    "win_rate": "higher",
}
"""Which way each metric is better."""


@dataclass(frozen=True)
class Figure:
    """What a metric came to; None where it is not defined or, for the last four, where there is no baseline.

    Attributes:
        low, high: the ends of the confidence interval of the value.
        difference: value - baseline, with the interval of the paired difference: both on the same draws of the same documents.
        better: which way is better; None for a metric that BETTER does not list.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    better: Better | None = None

    def as_json(self) -> dict[str, Any]:
        """For report.json: no value is NaN or infinite."""
        return asdict(self)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def figures_of(
    metrics: Mapping[str, Metric],
    *,
    documents: int,
    baseline: Mapping[str, Metric] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Figure]:
    """A figure for each metric, in order; where the documents show no spread (see interval), there is no interval.

    Args:
        metrics: of the result, by name.
        documents: how many documents the metrics were made of.
        baseline: the same metrics of another model on the same documents, in the same order; what it lacks is not compared.

    Raises:
        AigcError: there are no documents.
        ValueError: a metric was made of another number of documents.
    """
    other = {name: metric for name, metric in (baseline or {}).items() if name in metrics}
    every = [*metrics.values(), *other.values()]
    values = [value_of(metric, documents) for metric in every]
    draws_MB = bootstrap(every, documents=documents, resamples=resamples, seed=seed)
    places = {name: len(metrics) + i for i, name in enumerate(other)}
    found = []
    for place, name in enumerate(metrics):
        value, beside = values[place], values[places[name]] if name in places else math.nan
        ends = interval(draws_MB[place]) if math.isfinite(value) else None
        apart = None
        if math.isfinite(value - beside):
            with np.errstate(invalid="ignore"):  # a draw may be infinite on both sides
                apart = interval(draws_MB[place] - draws_MB[places[name]])
        found.append(
            Figure(
                name=name,
                value=_finite(value),
                low=ends[0] if ends else None,
                high=ends[1] if ends else None,
                baseline=_finite(beside),
                difference=_finite(value - beside),
                difference_low=apart[0] if apart else None,
                difference_high=apart[1] if apart else None,
                better=BETTER.get(name),
            )
        )
    return found
