"""A metric and the documents it is measured on into a confidence interval, by drawing the documents again and again.

A `Metric` is a function of how often each document counts. With every document once it gives the metric's value; with counts drawn
by chance, what it might have been on other documents of the same kind. Metrics that are given the same counts are paired: so the
difference of two models on the same documents has an interval of its own, much narrower than what their two intervals tell.

Source: Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (percentile intervals); Koehn 2004 (paired
bootstrap for translation metrics). It holds for documents that are independent of each other, and is too narrow below some thirty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aigc.errors import AigcError

__all__ = ["Counts", "Metric", "bootstrap", "interval", "mean", "of_sums", "perplexity", "ratio", "value_of", "values_of"]

Counts = NDArray[np.float64]
"""(B, D): how often each of D documents counts in each of B draws."""

Metric = Callable[[Counts], NDArray[np.float64]]
"""Counts (B, D) into the values (B,) of the metric; NaN where it is not defined."""

_BLOCK = 1 << 19  # counts that are held at once, so that they fit in the cache
_ROUNDING = 1e-12  # share of a value that the order of a sum may change
_UNDEFINED = 0.05  # share of the draws without a value above which there is no interval: its ends would be guesses


def of_sums(rows: ArrayLike, score: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Metric:
    """The metric that is a function of sums over the documents.

    Args:
        rows: (D, S) statistics of each document.
        score: sums (B, S) into values (B,).
    """
    rows_DS = np.asarray(rows, np.float64)
    return lambda counts_BD: score(counts_BD @ rows_DS)


def mean(values: ArrayLike) -> Metric:
    """The mean over documents of a value (D,) that each has."""
    values_D = np.asarray(values, np.float64)
    return lambda counts_BD: counts_BD @ values_D / counts_BD.sum(axis=1)


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Metric:
    """The ratio of two sums over documents, both (D,): nats and tokens give nats per token. Not defined where nothing is below."""

    def score(sums_B2: NDArray[np.float64]) -> NDArray[np.float64]:
        above, below = sums_B2.T
        return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below != 0))

    return of_sums(np.stack([np.asarray(numerators), np.asarray(denominators)], axis=1), score)


def perplexity(nats: ArrayLike, tokens: ArrayLike) -> Metric:
    """The perplexity of a token: exp(nats per token). Args: of each document its nats (D,) and its tokens (D,)."""
    per_token = ratio(nats, tokens)

    def metric(counts_BD: Counts) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            return np.exp(per_token(counts_BD))

    return metric


def value_of(metric: Metric, documents: int) -> float:
    """The value on all documents, each counted once; NaN where it is not defined.

    Raises:
        AigcError: there are no documents.
    """
    if documents < 1:
        raise AigcError("there is nothing to measure: no documents to evaluate on")
    return float(metric(np.ones((1, documents)))[0])


def values_of(metrics: Mapping[str, Metric], documents: int) -> dict[str, float]:
    """The values on all documents, without those that are not defined."""
    found = {name: value_of(metric, documents) for name, metric in metrics.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _draws(documents: int, resamples: int, seed: int) -> Iterator[Counts]:
    """Counts of as many documents, drawn with replacement, some draws at a time."""
    random = np.random.default_rng(seed)
    block = max(_BLOCK // documents, 1)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        picked = random.integers(documents, size=(rows, documents)) + documents * np.arange(rows)[:, None]
        yield np.bincount(picked.ravel(), minlength=rows * documents).reshape(rows, documents).astype(np.float64)


def bootstrap(metrics: Sequence[Metric], *, documents: int, resamples: int = 1000, seed: int = 0) -> NDArray[np.float64]:
    """The values (M, B) of M metrics on B draws of the documents; every metric sees the same draws.

    Args:
        documents: D, the number of documents that the metrics were made of.
        resamples: B; 1,000 suffice for 95 % intervals.
        seed: of the draws; the same seed gives the same values.

    Raises:
        AigcError: there are no documents.
    """
    if documents < 1:
        raise AigcError("there is nothing to measure: no documents to evaluate on")
    blocks = [np.stack([metric(counts) for metric in metrics]) for counts in _draws(documents, resamples, seed)]
    return np.concatenate(blocks, axis=1)


def interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The lower and upper end that 95 % of the values (B,) of a bootstrap lie between.

    None where all draws have the same value: documents without any spread, as 20 right ones of 20, do not tell how sure that is.
    None as well where the metric is not defined on more than one draw in twenty; fewer such draws are left out.
    """
    known = values[np.isfinite(values)]
    if not len(known) or len(known) < (1 - _UNDEFINED) * len(values):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return (float(low), float(high)) if np.ptp(known) > _ROUNDING * np.abs(known).max() else None
