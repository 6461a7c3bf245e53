"""Counts into random choices: so many of each row's places, or so many parts of each row, for all rows at once."""

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.ranges import after
from aigc.core.batches.sample import Ids

__all__ = ["choose", "parted"]


def choose(sizes: Ids, counts: Ids, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose `counts` (n,) of the `sizes` (n,) places of each row, every choice equally likely.

    Places are drawn until so many different ones came up, which is as good as drawing without putting back; of a row that gives
    more than half of its places, those that are not chosen are drawn.

    Returns:
        (sum of sizes,) whether a place is chosen, the rows behind each other.
    """
    offsets = after(sizes)[:-1]
    chosen = np.zeros(int(sizes.sum()), np.bool_)
    inverted = counts * 2 > sizes
    missing = np.where(inverted, sizes - counts, counts)
    writer = np.empty(len(chosen), np.int64)
    while missing.any():
        row = np.repeat(np.arange(len(sizes)), missing)
        place = offsets[row] + rng.integers(0, sizes[row])
        free = ~chosen[place]
        row, place = row[free], place[free]
        writer[place] = np.arange(len(place))
        once = writer[place] == np.arange(len(place))
        chosen[place[once]] = True
        missing = missing - np.bincount(row[once], minlength=len(sizes))
    if inverted.any():
        chosen ^= np.repeat(inverted, sizes)
    return chosen


def parted(items: Ids, parts: Ids, rng: np.random.Generator) -> Ids:
    """Cut each row of `items` (n,) into `parts` (n,), none of them empty, every way equally likely.

    Source: `_random_segmentation` in t5/data/preprocessors.py (Raffel et al. 2020). Where a row has no items its parts are empty.

    Returns:
        (sum of parts,) the lengths.
    """
    gaps = np.maximum(items - 1, 0)
    cuts = np.flatnonzero(choose(gaps, np.where(items > 0, parts - 1, 0), rng))
    row = np.repeat(np.arange(len(items)), gaps)[cuts]
    some = items > 0
    heads = after(items)[:-1]
    begins = np.zeros(int(items.sum()), np.bool_)
    begins[heads[some]] = True
    begins[cuts - after(gaps)[row] + heads[row] + 1] = True
    lengths = np.zeros(int(parts.sum()), np.int64)
    lengths[np.repeat(some, parts)] = np.diff(np.append(np.flatnonzero(begins), len(begins)))
    return lengths
