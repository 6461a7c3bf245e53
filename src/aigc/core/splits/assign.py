"""Clusters into train, validation and test, by a stable hash; and what an impossible request is told."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from aigc.core.rules.units import Ints, mixed
from aigc.core.splits.clusters import Clusters
from aigc.core.splits.dates import cut_by_date, moments
from aigc.core.splits.documents import Documents
from aigc.core.splits.fill import nearest
from aigc.core.splits.kept import FREE, kept_clusters, kept_documents
from aigc.core.splits.places import places
from aigc.core.splits.plan import PARTS, Plan, amount
from aigc.core.splits.strata import Layout, Parts, balanced
from aigc.errors import AigcError

__all__ = ["Assignment", "assign"]

_TRAIN, _VALIDATION, _TEST = range(3)
_FOLD_SALT = 1


@dataclass(frozen=True)
class Assignment:
    """Where each document goes.

    Attributes:
        parts: the place in PARTS, of each document.
        folds: the fold of each document, -1 in test; None without folds.
        moved: documents that are not where the hash says, and why: "stratify", "keep"; "keep_conflicts" were moved off a kept part.
    """

    parts: Parts
    folds: npt.NDArray[np.int16] | None
    moved: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Documents in each part."""
        rows = np.bincount(self.parts, minlength=len(PARTS)).tolist()
        return dict(zip(PARTS, rows, strict=True))


def assign(documents: Documents, clusters: Clusters, plan: Plan) -> Assignment:
    """A part for each document; clusters are never separated.

    By hash a cluster's part depends on its own documents and the shares alone: it stays when the corpus grows, and when a
    share grows no document leaves that part. Numbers of documents, `stratify` and `by` look at the whole corpus, so growth may move
    some of it.

    Raises:
        AigcError: a part that was asked for would be empty, or the request cannot be met.
    """
    total = len(documents)
    if plan.folds is not None:  # one fold takes the place of validation
        plan = replace(plan, validation=0.0)
    _refuse_too_many(plan, total)
    if plan.by is not None:
        parts = cut_by_date(moments(documents.columns[plan.by], documents.ids, column=plan.by), clusters, plan)
        assignment = Assignment(parts[clusters.of], None)
        _refuse_empty(assignment, clusters, documents, plan)
        return assignment
    classes = None if plan.stratify is None else _classes(documents, plan.stratify)
    moved: dict[str, int] = {}
    kept = np.full(len(clusters), FREE, dtype=np.int8)
    plain, layout = _by_hash(clusters, plan, kept, total)
    if plan.keep is not None:
        earlier = kept_documents(plan.keep, documents.ids)
        if plan.folds is not None:  # the fold decides between train and validation
            earlier = np.where(earlier == _VALIDATION, _TRAIN, earlier).astype(np.int8)
        kept = kept_clusters(earlier, clusters)
        hashed = plain
        plain, layout = _by_hash(clusters, plan, kept, total)
        moved["keep"] = _rows(clusters, (kept != FREE) & (kept != hashed))
        moved["keep_conflicts"] = int(((earlier != FREE) & (earlier != kept[clusters.of])).sum())
    parts = plain
    if classes is not None:
        parts = balanced(plain, clusters, classes, layout, kept == FREE)
        moved["stratify"] = _rows(clusters, parts != plain)
    folds = None
    if plan.folds is not None:
        folds, moved_folds = _folds(clusters, parts, classes, plan.folds)
        if classes is not None:
            moved["stratify"] += moved_folds
        parts = np.where(folds == plan.fold, _VALIDATION, parts).astype(np.int8)
    assignment = Assignment(parts[clusters.of], None if folds is None else folds[clusters.of], moved)
    _refuse_empty(assignment, clusters, documents, plan)
    return assignment


def _by_hash(clusters: Clusters, plan: Plan, kept: Parts, total: int) -> tuple[Parts, Layout]:
    """The part of each cluster, and where the parts lie."""
    place = places(clusters.keys)
    parts = np.zeros(len(clusters), dtype=np.int8)
    order = np.argsort(clusters.keys, kind="stable")
    order = order[kept[order] == FREE]
    edges = {_TEST: 0.0, _VALIDATION: 1.0}
    for code, value, direction in ((_TEST, plan.test, 1), (_VALIDATION, plan.validation, -1)):
        if not value:
            continue
        if value < 1:
            inside = place < value if code == _TEST else place >= 1 - value
            edges[code] = value if code == _TEST else 1 - value
            parts[inside & (parts == 0)] = code
            continue
        free = order[::direction]
        free = free[parts[free] == 0]
        wanted = int(value) - _rows(clusters, kept == code)
        chosen = free[nearest(clusters.sizes[free], wanted)]
        parts[chosen] = code
        if len(chosen):
            edges[code] = float(place[chosen].max() if code == _TEST else place[chosen].min())
    parts = np.where(kept == FREE, parts, kept).astype(np.int8)
    shares = np.array([0.0, amount(plan.validation, total) / total, amount(plan.test, total) / total])
    shares[0] = 1 - shares.sum()
    exact = np.array([plan.validation >= 1 or plan.test >= 1, plan.validation >= 1, plan.test >= 1])
    bounds = np.array([[edges[_TEST], edges[_VALIDATION]], [edges[_VALIDATION], 1.0], [0.0, edges[_TEST]]])
    return parts, Layout(shares, exact, bounds, place)


def _folds(clusters: Clusters, parts: Parts, classes: Ints | None, count: int) -> tuple[npt.NDArray[np.int16], int]:
    """The fold of each cluster, -1 for test: by a second hash, so that it does not depend on the size of test; and rows moved."""
    place = places(mixed(clusters.keys, _FOLD_SALT))
    plain = np.minimum(place * count, count - 1).astype(np.int8)
    inside = parts != _TEST
    plain[~inside] = count
    if classes is None:
        return np.where(inside, plain, -1).astype(np.int16), 0
    borders = np.arange(count + 1) / count
    bounds = np.stack([borders[:-1], borders[1:]], axis=1)
    rows = inside[clusters.of]
    numbers = np.cumsum(inside) - 1  # of the clusters that are not in test
    rest = Clusters(numbers[clusters.of[rows]], clusters.keys[inside], clusters.sizes[inside])
    layout = Layout(np.full(count, 1 / count), np.zeros(count, dtype=bool), bounds, place[inside])
    _, dense = np.unique(classes[rows], return_inverse=True)
    found = balanced(plain[inside], rest, dense.astype(np.int64), layout, np.ones(len(rest), dtype=bool))
    folds = np.full(len(clusters), -1, dtype=np.int16)
    folds[inside] = found
    return folds, _rows(rest, found != plain[inside])


def _rows(clusters: Clusters, chosen: npt.NDArray[np.bool_]) -> int:
    return int(clusters.sizes[chosen].sum())


def _classes(documents: Documents, column: str) -> Ints:
    """The class of each document, numbered by name; those without one are a class too."""
    labels = documents.labels(column)
    count = labels.n_unique()
    if 2 * count > len(labels) and count > 1:
        raise AigcError(
            f"split.stratify: {column!r} has {count:,} classes for {len(labels):,} documents; a class needs two or more"
        )
    ranks: Ints = labels.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return ranks - int(ranks.min())


def _refuse_too_many(plan: Plan, total: int) -> None:
    wanted = amount(plan.validation, total) + amount(plan.test, total)
    if wanted >= total:
        asked = " + ".join(f"{name} {getattr(plan, name):g}" for name in ("validation", "test") if getattr(plan, name))
        raise AigcError(f"split: {asked} leaves nothing of {total:,} documents to train on; lower one")
    if plan.folds is not None and plan.folds > total:
        raise AigcError(f"split.folds: {plan.folds} folds of {total:,} documents; lower it")


def _refuse_empty(assignment: Assignment, clusters: Clusters, documents: Documents, plan: Plan) -> None:
    """One line that says why a part has nothing."""
    counts, total = assignment.counts(), len(documents)
    wanted = {"train": 1.0, "validation": plan.validation, "test": plan.test}
    if plan.folds is not None:
        wanted["validation"] = 1 / plan.folds
    for name, value in wanted.items():
        if not value or counts[name]:
            continue
        largest = int(clusters.sizes.max())
        key = "folds" if name == "validation" and plan.folds is not None else name
        if largest > 1 and 2 * largest > total:
            member = documents.ids[int(np.argmax(clusters.of == int(clusters.sizes.argmax())))]
            why = "share a value of " + " or ".join(plan.group_by) + ", or " if plan.group_by else ""
            raise AigcError(
                f"split: the {name} part is empty: {largest:,} of {total:,} documents are one cluster and cannot be separated "
                f"(they {why}repeat each other, such as {member!r}); {_loosen(plan)}"
            )
        asked = f"{value:.3g} of {total:,} documents" if value < 1 else f"{value:,.0f} documents"
        few = f"{asked} is too few" + (f" for clusters of {clusters.sizes.min():,} or more" if clusters.sizes.min() > 1 else "")
        do = "lower split.folds" if key == "folds" else f"raise split.{name}" if name != "train" else "lower split.validation"
        raise AigcError(f"split: the {name} part is empty: {few}; {do}")


def _loosen(plan: Plan) -> str:
    if plan.group_by:
        return "leave a column out of split.group_by, or raise split.similarity"
    return "raise split.similarity, or drop near-duplicates in clean"
