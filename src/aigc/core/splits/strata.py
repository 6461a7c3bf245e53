"""Parts by hash into parts with the same share of every class, by moving as few clusters as it takes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.units import Hashes, Ints
from aigc.core.splits.clusters import Clusters

__all__ = ["TOLERANCE", "Layout", "balanced"]

TOLERANCE = 0.01  # of a class's documents
_ROUNDS = 5  # for clusters that hold several classes: moving one may unsettle another class

Parts = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Where the parts lie, and how much of every class each should have.

    Attributes:
        shares: of each part; they add up to 1.
        exact: for each part, whether one cluster is all that a class may be off (True), or also 1 % of its documents (False).
        bounds: shape [parts, 2]; each part from where to where.
        coordinates: where each cluster lies by its hash.
    """

    shares: Numbers
    exact: npt.NDArray[np.bool_]
    bounds: Numbers
    coordinates: Numbers


def balanced(parts: Parts, clusters: Clusters, classes: Ints, layout: Layout, free: npt.NDArray[np.bool_]) -> Parts:
    """Move whole clusters until each class has its share in each part, within 1 % of the class's documents or one cluster.

    What is within that already is left alone. Of the clusters that could move, the one nearest to the other part goes first.
    Last, all documents are seen as one class, so that the small roundings of many small classes do not add up.

    Args:
        parts: of each cluster, by hash.
        classes: of each document, from 0 up.
        free: clusters that may move.

    Returns:
        the new part of each cluster.
    """
    scales = _Scales(parts, clusters, classes, layout, free)
    for _ in range(_ROUNDS):
        moved = [scales.settle(c) for c in scales.unsettled()]  # a list: each must run
        if not any(moved):
            break
    scales.settle(scales.everything)
    return scales.parts


class _Scales:
    """How many documents of each class each part has too many or too few; the last class is all documents."""

    def __init__(self, parts: Parts, clusters: Clusters, classes: Ints, layout: Layout, free: npt.NDArray[np.bool_]) -> None:
        self.parts = parts.copy()
        self.keys: Hashes = clusters.keys
        self.layout, self.free = layout, free
        self.everything = int(classes.max()) + 1
        counted = (
            pl.DataFrame({"cluster": clusters.of, "class": classes}).group_by("cluster", "class").len("n").sort("cluster", "class")
        )
        cluster, kind, n = (counted[name].to_numpy().astype(np.int64) for name in ("cluster", "class", "n"))
        self.kind, self.n = kind, n  # in the order of clusters: those of cluster i are first[i] to first[i + 1] - 1
        self.first = np.searchsorted(cluster, np.arange(len(clusters) + 1))
        self.sizes = clusters.sizes
        by_kind = np.argsort(kind, kind="stable")
        self.members = cluster[by_kind]
        self.member_first = np.searchsorted(kind[by_kind], np.arange(self.everything + 1))
        have = np.zeros((len(layout.shares), self.everything + 1))
        np.add.at(have, (self.parts[cluster], kind), n)
        have[:, -1] = have[:, :-1].sum(axis=1)
        total = have.sum(axis=0)
        self.off = have - layout.shares[:, None] * total
        smallest = np.full(self.everything + 1, np.inf)
        np.minimum.at(smallest, kind, clusters.sizes[cluster])
        smallest[-1] = 0
        self.slack = np.maximum(np.where(layout.exact, 0, TOLERANCE)[:, None] * total, smallest - 1e-6)

    def unsettled(self) -> list[int]:
        """Classes that are off in some part."""
        found: list[int] = np.flatnonzero((np.abs(self.off) > self.slack + 1e-9).any(axis=0)[:-1]).tolist()
        return found

    def excess(self, part: int, kind: Ints, change: Ints | int = 0) -> Numbers:
        """Documents of these classes that a part has too many or too few, after a change."""
        out: Numbers = np.maximum(np.abs(self.off[part, kind] + change) - self.slack[part, kind], 0.0)
        return out

    def settle(self, c: int) -> bool:
        """Move clusters until class c has its shares, or nothing that could move makes it better; whether any moved."""
        moved = False
        useless: set[tuple[int, int]] = set()
        while (pair := self._wanted(c, useless)) is not None:
            if self._shift(c, *pair):
                moved = True
                useless.clear()
            else:
                useless.add(pair)
        return moved

    def _wanted(self, c: int, useless: set[tuple[int, int]]) -> tuple[int, int] | None:
        """From which part into which, the most pressing first."""
        off, slack = self.off[:, c], self.slack[:, c] + 1e-9
        pairs = [(a, b) for a in range(len(off)) for b in range(len(off)) if off[a] > 0 > off[b] and (a, b) not in useless]
        pairs = [(a, b) for a, b in pairs if off[a] > slack[a] or -off[b] > slack[b]]
        return max(pairs, key=lambda pair: (off[pair[0]] - off[pair[1]], pair), default=None)

    def _shift(self, c: int, a: int, b: int) -> bool:
        """Move clusters from a to b while that makes class c better and no other class worse by as much; whether any moved."""
        last = c == self.everything
        mine = np.arange(len(self.sizes)) if last else self.members[self.member_first[c] : self.member_first[c + 1]]
        mine = mine[(self.parts[mine] == a) & self.free[mine]]
        mine = mine[self._gains(mine, a, b, last=last)]
        low, high = self.layout.bounds[b]
        x = self.layout.coordinates[mine]
        order = np.lexsort((self.keys[mine], np.maximum(np.maximum(low - x, x - high), 0)))
        moved = False
        for cluster in mine[order].tolist():
            if self.off[a, c] <= self.slack[a, c] + 1e-9 and -self.off[b, c] <= self.slack[b, c] + 1e-9:
                break
            if self._gains(np.array([cluster]), a, b, last=last)[0]:
                rows = slice(self.first[cluster], self.first[cluster + 1])
                self.off[a, self.kind[rows]] -= self.n[rows]
                self.off[b, self.kind[rows]] += self.n[rows]
                self.off[a, -1] -= self.sizes[cluster]
                self.off[b, -1] += self.sizes[cluster]
                self.parts[cluster] = b
                moved = True
        return moved

    def _gains(self, clusters: Ints, a: int, b: int, *, last: bool) -> npt.NDArray[np.bool_]:
        """Whether a move from a to b brings the classes nearer to their shares; for the last class: it, and puts none off."""
        counts = self.first[clusters + 1] - self.first[clusters]
        ends = np.cumsum(counts)
        rows = np.arange(int(counts.sum())) + np.repeat(self.first[clusters] - (ends - counts), counts)
        kind, n = self.kind[rows], self.n[rows]
        change = self.excess(a, kind, -n) + self.excess(b, kind, n) - self.excess(a, kind) - self.excess(b, kind)
        total = np.bincount(np.repeat(np.arange(len(clusters)), counts), weights=change, minlength=len(clusters))
        if not last:
            better: npt.NDArray[np.bool_] = total < -1e-9
            return better
        all_of_them, sizes = np.full(len(clusters), self.everything), self.sizes[clusters]
        after = self.excess(a, all_of_them, -sizes) + self.excess(b, all_of_them, sizes)
        good: npt.NDArray[np.bool_] = (total <= 1e-9) & (after < self.excess(a, all_of_them) + self.excess(b, all_of_them) - 1e-9)
        return good
