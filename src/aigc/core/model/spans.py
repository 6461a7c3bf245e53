"""Bounds of samples in a flat stream into groups that one call of an attention kernel can take."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Group", "Layout", "Rows", "groups", "runs"]

SHORT = 64  # places: below, a kernel's call costs more than to lay the sample beside others of about its length
STEP = 8  # places by which lengths may differ within a group; twice that where queries and keys differ

Table = NDArray[np.int64]  # (4, D)
Rows = slice | torch.Tensor


class Layout(NamedTuple):
    """Which keys each query of a flat batch sees, and how scores are scaled."""

    bounds: torch.Tensor  # (N + 1,) int32 of the queries, and of the keys where there are no `source_bounds`
    source_bounds: torch.Tensor | None  # (N + 1,) int32 of the keys
    causal: bool  # no keys behind the query's own place
    scale: float


class Group(NamedTuple):
    """B samples of T queries and S keys each, shorter ones padded with copies of their last place.

    A slice of rows is read as it lies. Indices are (B * T,) of queries and (B * S,) of keys, sample by sample.
    """

    samples: int  # B
    queries: Rows
    keys: Rows
    real_queries: torch.Tensor | None = None  # of the B * T, those that are no padding; None for all
    real_keys: torch.Tensor | None = None  # of the B * S
    hidden: torch.Tensor | None = None  # (B, 1, 1, S) bool, keys that are padding


def runs(bounds: torch.Tensor, source_bounds: torch.Tensor | None) -> Iterator[tuple[int, slice, slice]]:
    """Samples of equal length that stand behind each other: how many they are, their queries and their keys.

    Samples without queries or without keys are in no run. Arguments as of `groups`.
    """
    table = _samples(bounds, source_bounds)
    for first, last in zip(*_stretches(table), strict=True):
        yield _run(table, first, last)


def groups(bounds: torch.Tensor, source_bounds: torch.Tensor | None) -> Iterator[Group]:
    """Samples of equal length that stand behind each other become one group, and so do short ones of about equal length.

    Samples without queries or without keys are in no group.

    Args:
        bounds: (N + 1,) int32 on the CPU, of the queries, and of the keys if there are no `source_bounds`.
        source_bounds: (N + 1,) int32, of the keys.
    """
    table = _samples(bounds, source_bounds)
    lengths = table[1::2] - table[::2]  # (2, D)
    firsts, lasts = _stretches(table)
    counts = lasts - firsts + 1
    short = counts * lengths.max(0, initial=0)[firsts] <= SHORT
    for first, last in zip(firsts[~short], lasts[~short], strict=True):
        yield Group(*_run(table, first, last))
    samples = np.flatnonzero(np.repeat(short, counts))
    step = STEP if source_bounds is None else 2 * STEP
    kinds = (-(-lengths // step) * np.array([[1 << 32], [1]])).sum(0)[samples]
    for kind in np.unique(kinds):
        alike = samples[kinds == kind]
        yield Group(*_run(table, alike[0], alike[0])) if len(alike) == 1 else _gathered(table[:, alike])


def _samples(bounds: torch.Tensor, source_bounds: torch.Tensor | None) -> Table:
    """The first query of each sample, the place behind its last, and the same of its keys."""
    queries = _ends(bounds)
    keys = queries if source_bounds is None else _ends(source_bounds)
    most = min(queries.shape[1], keys.shape[1])
    table = np.concatenate([queries[:, :most], keys[:, :most]])
    return table[:, (table[1] > table[0]) & (table[3] > table[2])]


def _ends(bounds: torch.Tensor) -> Table:
    """Where samples begin and end (2, D), without the empty ones at the stream's end."""
    ends: NDArray[np.int64] = bounds.numpy().astype(np.int64)
    ends = ends[: int(np.searchsorted(ends, ends[-1])) + 1]
    return np.stack([ends[:-1], ends[1:]])


def _stretches(table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last sample of each stretch that lies without a gap and has one length."""
    if not table.shape[1]:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lengths = table[1::2] - table[::2]
    breaks = (np.diff(lengths) != 0).any(0) | (table[::2, 1:] != table[1::2, :-1]).any(0)
    firsts = np.flatnonzero(np.concatenate([[True], breaks]))
    return firsts, np.append(firsts[1:], table.shape[1]) - 1


def _run(table: Table, first: np.int64, last: np.int64) -> tuple[int, slice, slice]:
    (q_from, _, k_from, _), (_, q_to, _, k_to) = table[:, first].tolist(), table[:, last].tolist()
    return int(last - first) + 1, slice(q_from, q_to), slice(k_from, k_to)


def _gathered(table: Table) -> Group:
    queries, hidden, real_queries = _padded(table[0], table[1])
    keys, real_keys = queries, real_queries
    if (table[:2] != table[2:]).any():
        keys, hidden, real_keys = _padded(table[2], table[3])
    return Group(table.shape[1], queries, keys, real_queries, real_keys, hidden[:, None, None])


def _padded(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B * T,) rows, (B, T) whether they are padding, and which of the rows are not."""
    rows = begins[:, None] + np.arange((ends - begins).max())
    padding = rows >= ends[:, None]
    indices = np.minimum(rows, ends[:, None] - 1).reshape(-1)
    return torch.from_numpy(indices), torch.from_numpy(padding), torch.from_numpy(np.flatnonzero(~padding))
