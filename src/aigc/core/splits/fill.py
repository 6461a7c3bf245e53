"""Cluster sizes and a number of documents into the clusters whose sum comes nearest to it."""

import numpy as np
import numpy.typing as npt

from aigc.core.rules.units import Ints

__all__ = ["nearest"]

_BITS = 1 << 31  # of memory for the exact search: 256 MB; above, the first clusters that fit are taken


def nearest(sizes: Ints, target: int) -> npt.NDArray[np.bool_]:
    """Which clusters to take, in order, so that their sizes add up to the target or, where that cannot be, as near as can be.

    The first clusters are taken while they fit; one that does not is left out. Only where that misses the target (there are too few
    small clusters) all sums are looked at, and for the nearest one the first clusters of each size are taken; the smaller on a tie.
    """
    taken = np.zeros(len(sizes), dtype=bool)
    left, rest = target, np.arange(len(sizes))
    while left > 0 and len(rest := rest[sizes[rest] <= left]):
        sums = np.cumsum(sizes[rest])
        count = int(np.searchsorted(sums, left, side="right"))
        taken[rest[:count]] = True
        left -= int(sums[count - 1])
        rest = rest[count:]
    return taken if left <= 0 else _exact(sizes, target, left, taken)


def _exact(sizes: Ints, target: int, missed: int, taken: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    pieces: list[tuple[int, int]] = []  # a size, and how many clusters of it are taken at once: 1, 2, 4, ... and the rest
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        count, step = min(int(count), (target + missed) // int(size)), 1
        while count > 0:
            pieces.append((int(size), min(step, count)))
            count, step = count - step, step * 2
    limit = target + missed
    if len(pieces) * limit > _BITS:
        return taken
    mask = (1 << (limit + 1)) - 1
    reach = [1]  # bit s: the sum s can be reached
    for size, count in pieces:
        reach.append((reach[-1] | reach[-1] << (size * count)) & mask)
    best = next(s for d in range(missed + 1) for s in (target - d, target + d) if reach[-1] >> s & 1)
    use: dict[int, int] = {}
    for i in range(len(pieces) - 1, -1, -1):
        size, count = pieces[i]
        if not reach[i] >> best & 1:
            use[size] = use.get(size, 0) + count
            best -= size * count
    out = np.zeros(len(sizes), dtype=bool)
    for size, count in use.items():
        out[np.flatnonzero(sizes == size)[:count]] = True
    return out
