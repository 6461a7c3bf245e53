"""Documents into written parts that have nothing in common: search, assign, write, check, and again with what the check found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from aigc.core.splits.assign import Assignment, assign
from aigc.core.splits.clusters import Clusters, cluster, near_pairs
from aigc.core.splits.documents import Documents
from aigc.core.splits.leaks import Leaks, find_leaks
from aigc.core.splits.plan import Plan
from aigc.core.splits.write import write_parts

__all__ = ["Settled", "settle"]

_ROUNDS = 4


@dataclass(frozen=True)
class Settled:
    """A written split.

    Attributes:
        found_by_check: near-duplicates that the search had missed and the check found, and which were joined then.
    """

    clusters: Clusters
    assignment: Assignment
    leaks: Leaks
    found_by_check: int


def settle(paths: Sequence[Path], folder: Path, plan: Plan, documents: Documents, *, advance: Callable[[int], None]) -> Settled:
    """Write the parts and check them.

    The search finds nearly all near-duplicates, not all. Where the check, which reads the written files, finds one more between
    two parts, the two are joined and the parts are written again, a few times at most. Clusters that come from a column are
    taken as they are.

    Raises:
        AigcError: the request cannot be met.
    """
    pairs = near_pairs(paths, plan, documents)
    missed = 0
    for turn in range(_ROUNDS):
        clusters = cluster(documents, pairs, group_by=plan.group_by)
        assignment = assign(documents, clusters, plan)
        write_parts(paths, folder, assignment, advance=advance)
        leaks = find_leaks(folder, similarity=plan.similarity)
        if not len(leaks.between) or documents.cluster_field is not None or turn == _ROUNDS - 1:
            break
        missed += len(leaks.between)
        written = pl.Series(np.argsort(assignment.parts, kind="stable"), dtype=pl.UInt32)  # the document of each written row
        pairs = pl.concat([pairs, leaks.between.select(pl.lit(written).gather(pl.col("a", "b")).name.keep())])
    return Settled(clusters, assignment, leaks, missed)
