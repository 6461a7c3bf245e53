"""Documents into clusters: what must not be separated, be it copies, near-duplicates or a common value of a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from aigc.core.documents.tables import read_tables
from aigc.core.rules.duplicates.similar import components, similar_pairs
from aigc.core.rules.units import Hashes, Ints
from aigc.core.splits.documents import Documents
from aigc.core.splits.places import keys_of, value_hashes
from aigc.core.splits.plan import Plan

__all__ = ["Clusters", "cluster", "near_pairs"]


@dataclass(frozen=True)
class Clusters:
    """Which documents stay together.

    Attributes:
        of: the cluster number of each document, from 0 up, without gaps.
        keys: the hash that decides where each cluster goes.
        sizes: documents in each cluster.
    """

    of: Ints
    keys: Hashes
    sizes: Ints

    def __len__(self) -> int:
        return len(self.sizes)


def near_pairs(paths: Sequence[Path], plan: Plan, documents: Documents) -> pl.DataFrame:
    """Pairs of near-duplicates (columns a, b: row numbers), searched in the texts where no column names the clusters already."""
    if plan.similarity is None or documents.cluster_field is not None:
        return pl.DataFrame(schema={"a": pl.UInt32, "b": pl.UInt32})
    return similar_pairs(lambda: read_tables(paths, ["text"]), similarity=plan.similarity).select("a", "b")


def cluster(documents: Documents, pairs: pl.DataFrame, *, group_by: Sequence[str] = ()) -> Clusters:
    """Join copies (white space aside), pairs, documents of the same cluster and documents with the same value of a column.

    A cluster's key is taken from the values of the group columns, where a member has one, so that another document of the same
    author does not move the author; else from the texts.
    """
    links = [_links(pl.Series(documents.hashes)), pairs.select(pl.col("a", "b").cast(pl.Int64))]
    if documents.cluster_field is not None:
        labels = documents.labels(documents.cluster_field)
        links += [_links(labels), _pointers(labels, documents.ids)]
    groups = {name: documents.labels(name) for name in group_by}
    links += map(_links, groups.values())
    roots = components(pl.concat(links).unique(maintain_order=True), len(documents))
    of = (np.cumsum(roots == np.arange(len(roots))) - 1)[roots]  # a root is a row, the smallest of its component
    count = int(of.max()) + 1
    keys = keys_of(of, documents.hashes, count)
    named: list[tuple[Ints, Hashes]] = []
    for name, values in groups.items():
        filled = values.is_not_null()
        if filled.any():
            named.append((of[filled.to_numpy()], value_hashes(values.filter(filled), name)))
    if named:
        members = np.concatenate([member for member, _ in named])
        by_value = keys_of(members, np.concatenate([hashes for _, hashes in named]), count)
        has_value = np.zeros(count, dtype=bool)
        has_value[members] = True
        keys = np.where(has_value, by_value, keys)
    return Clusters(of, keys, np.bincount(of, minlength=count).astype(np.int64))


def _pointers(labels: pl.Series, ids: pl.Series) -> pl.DataFrame:
    """Each row with the document whose id is its label: clean calls a cluster by the document that stays."""
    rows = pl.DataFrame({"id": labels}).with_row_index("a").drop_nulls()
    named = pl.DataFrame({"id": ids}).with_row_index("b")
    linked = rows.join(named, on="id").filter(pl.col("a") != pl.col("b"))
    return linked.select(pl.col("a", "b").cast(pl.Int64))


def _links(labels: pl.Series) -> pl.DataFrame:
    """Each row with the first row of the same label; null labels and first rows are left out."""
    rows = (
        pl.DataFrame({"label": labels}).with_row_index("b").filter(pl.col("label").is_not_null() & pl.lit(labels.is_duplicated()))
    )
    linked = rows.with_columns(a=pl.col("b").first().over("label")).filter(pl.col("a") != pl.col("b"))
    return linked.select(pl.col("a", "b").cast(pl.Int64))
