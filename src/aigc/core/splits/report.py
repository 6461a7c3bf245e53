"""A finished split into what report.json says of it."""

from typing import Any

import numpy as np
import polars as pl

from aigc.core.splits.assign import Assignment
from aigc.core.splits.clusters import Clusters
from aigc.core.splits.documents import Documents
from aigc.core.splits.plan import PARTS, Plan, amount
from aigc.core.splits.settle import Settled
from aigc.core.splits.strata import TOLERANCE

__all__ = ["split_report"]

SHOWN = 100  # classes, the largest first


def split_report(documents: Documents, settled: Settled, plan: Plan) -> dict[str, Any]:
    """Documents, parts, shares, classes, clusters, moved, leaks and warnings, ready for JSON."""
    clusters, assignment = settled.clusters, settled.assignment
    total, counts = len(documents), assignment.counts()
    large = clusters.sizes[clusters.sizes > 1]
    source = documents.cluster_field or (None if plan.similarity is None else f"similarity {plan.similarity:g}")
    report: dict[str, Any] = {
        "documents": total,
        "parts": counts,
        "shares": {name: rows / total for name, rows in counts.items()},
        "clusters": {
            "found_by": source,
            "group_by": list(plan.group_by),
            "count": len(large),
            "documents": int(large.sum()),
            "largest": int(clusters.sizes.max()),
            "found_by_check": settled.found_by_check,
        },
        "moved": assignment.moved,
        "leaks": settled.leaks.report(),
    }
    if plan.by is not None:
        report["dates"] = _dates(documents.columns[plan.by], assignment)
    if assignment.folds is not None:
        inside = assignment.folds[assignment.folds >= 0]
        report["folds"] = np.bincount(inside, minlength=plan.folds or 0).tolist()
    classes = None if plan.stratify is None else _classes(documents.labels(plan.stratify), assignment)
    if classes is not None:
        report["classes"] = {name: dict(zip(PARTS, rows, strict=True)) for name, *rows in classes.head(SHOWN).iter_rows()}
    report["warnings"] = _warnings(counts, total, clusters, classes, plan)
    return report


def _dates(values: pl.Series, assignment: Assignment) -> dict[str, list[str]]:
    """The first and the last value of each part, as they stand in the column."""
    frame = pl.DataFrame({"part": assignment.parts, "value": values})
    ranges = frame.group_by("part").agg(first=pl.col("value").min(), last=pl.col("value").max()).sort("part")
    return {PARTS[part]: [str(first), str(last)] for part, first, last in ranges.iter_rows()}


def _classes(labels: pl.Series, assignment: Assignment) -> pl.DataFrame:
    """A row for each class: its name, "" for none, and its documents in each part; the largest class first."""
    frame = pl.DataFrame({"class": labels.fill_null(""), "part": assignment.parts})
    counts = [(pl.col("part") == code).sum().alias(name) for code, name in enumerate(PARTS)]
    found = frame.group_by("class").agg(*counts)
    return found.sort(pl.sum_horizontal(PARTS), "class", descending=[True, False])


def _warnings(counts: dict[str, int], total: int, clusters: Clusters, classes: pl.DataFrame | None, plan: Plan) -> list[str]:
    found = []
    largest = int(clusters.sizes.max())
    wanted = {"validation": amount(plan.validation, total), "test": amount(plan.test, total)}
    if plan.folds is not None:
        wanted["validation"] = (total - counts["test"]) / plan.folds
    for name, asked in wanted.items():
        exact = getattr(plan, name) >= 1 and not (name == "validation" and plan.folds)
        if abs(counts[name] - asked) >= max(TOLERANCE * total, 1) and (exact or largest > 0.2 * asked):
            found.append(
                f"{name} has {counts[name]:,} documents where {asked:,.0f} were asked for: the largest cluster has {largest:,}"
            )
    if classes is not None:
        missed = _missed(classes, wanted, total, largest, plan.folds)
        if missed:
            shown = ", ".join(repr(name) for name in missed[:5])
            found.append(f"stratify: {len(missed):,} classes are off by more than 1 % and more than a cluster: {shown}")
    return found


def _missed(classes: pl.DataFrame, wanted: dict[str, float], total: int, cluster: int, folds: int | None) -> list[str]:
    """Classes without their share in a part."""
    sizes = pl.sum_horizontal(PARTS)
    expected = {name: sizes * asked / total for name, asked in wanted.items()}
    if folds is not None:
        expected["validation"] = (sizes - pl.col("test")) / folds
    off = pl.max_horizontal([(pl.col(name) - value).abs() for name, value in expected.items()])
    allowed = pl.max_horizontal(TOLERANCE * sizes, pl.lit(float(cluster)))
    names: list[str] = classes.filter(off > allowed + 1e-6)["class"].to_list()
    return names
