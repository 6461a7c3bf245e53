"""Ranges of one flat array into rows of another: how samples are put together without a loop over tokens."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.sample import Ids, Sample

__all__ = ["Column", "after", "braid", "indices", "owners", "sampled", "shifted"]

Column = tuple[Ids | int, Ids | int]  # where ranges begin and how long they are, one for each row or one for all


def after(lengths: Ids) -> Ids:
    """(n + 1,) where parts of these lengths (n,) begin when they lie behind each other, and where the last one ends."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def owners(counts: Ids) -> tuple[Ids, Ids]:
    """For rows with `counts` (n,) members each: the row of each member and its number in the row, both (sum,)."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(after(counts)[:-1], counts)


def indices(begins: Ids, lengths: Ids) -> Ids:
    """(sum of lengths,) the indices of ranges behind each other."""
    return np.repeat(begins - after(lengths)[:-1], lengths) + np.arange(lengths.sum())


def braid(before: Sequence[Column], counts: Ids, each: Sequence[Column] = (), behind: Sequence[Column] = ()) -> tuple[Ids, Ids]:
    """Rows of ranges: first `before`, then `counts` times `each`, then `behind`.

    Args:
        before: one range a column for each of n rows.
        counts: (n,) how often `each` is repeated in a row.
        each: one range a column for each of sum(counts) repetitions, in the rows' order.
        behind: as `before`.

    Returns:
        The indices of all rows behind each other, and the rows' bounds (n + 1,).
    """
    offsets = after(counts * len(each) + len(before) + len(behind))
    begins, lengths = np.empty((2, int(offsets[-1])), np.int64)
    row, number = owners(counts)
    ends = offsets[1:] - len(behind)
    for at, columns in (
        (offsets[:-1], before),
        (offsets[row] + len(before) + number * len(each), each),
        (ends, behind),
    ):
        for shift, (begin, length) in enumerate(columns):
            begins[at + shift], lengths[at + shift] = begin, length
    return indices(begins, lengths), after(lengths)[offsets]


def shifted(ids: Ids, bounds: Ids, first: int) -> Ids:
    """(L,) rows one to the right, each with `first` at its head: what a decoder reads to say `ids` (L,)."""
    moved = np.roll(ids, 1)
    moved[bounds[:-1]] = first
    return moved


def sampled(
    documents: Ids,
    bounds: Ids,
    input_ids: Ids,
    labels: Ids,
    *,
    source: tuple[Ids, Ids] | None = None,
    token_types: Ids | None = None,
    targets: NDArray[np.float32] | None = None,
) -> list[Sample]:
    """Flat arrays, cut at bounds (D + 1,), into D samples.

    Args:
        documents: (D,) of the samples.
        bounds: where the samples begin and end.
        input_ids: (L,).
        labels: (L,).
        source: the encoder's ids and their bounds.
        token_types: (L,).
        targets: (D,) of whole samples.
    """
    ends = bounds.tolist()
    told = [None] * len(documents) if targets is None else targets.tolist()
    stops = ends if source is None else source[1].tolist()
    return [
        Sample(
            document=document,
            input_ids=input_ids[ends[d] : ends[d + 1]],
            labels=labels[ends[d] : ends[d + 1]],
            source_ids=None if source is None else source[0][stops[d] : stops[d + 1]],
            token_types=None if token_types is None else token_types[ends[d] : ends[d + 1]],
            target=told[d],
        )
        for d, document in enumerate(documents.tolist())
    ]
