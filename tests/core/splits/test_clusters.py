"""Clusters are the connected components of copies, near-duplicates, a given column and groups."""

import numpy as np
import polars as pl
from splitting import near, split, table, texts

from aigc.core.splits.clusters import cluster
from aigc.core.splits.documents import Documents
from aigc.core.splits.places import keys_of, text_hashes

TEXTS = texts(10, seed=8)


def clusters_of(
    rows: pl.DataFrame, pairs: list[tuple[int, int]], group_by: tuple[str, ...] = (), field: str | None = None
) -> list[list[int]]:
    documents = Documents(rows["id"], text_hashes(rows["text"]), {name: rows[name] for name in rows.columns}, cluster_field=field)
    edges = pl.DataFrame(pairs, schema={"a": pl.UInt32, "b": pl.UInt32}, orient="row")
    found = cluster(documents, edges, group_by=group_by)
    groups: dict[int, list[int]] = {}
    for row, number in enumerate(found.of.tolist()):
        groups.setdefault(number, []).append(row)
    assert found.sizes.tolist() == [len(groups[i]) for i in range(len(groups))]
    return sorted(groups.values())


def test_copies_are_together_white_space_aside() -> None:
    assert clusters_of(table(["a b", "c", "ab", " a\nb"]), []) == [[0, 2, 3], [1]]


def test_links_of_all_kinds_are_followed_to_the_end() -> None:
    rows = table(TEXTS[:7], author=["x", None, "y", "y", "", "", "x"], cluster=["k", "k", None, None, None, None, None])
    assert clusters_of(rows, [(1, 2)], group_by=("author",), field="cluster") == [[0, 1, 2, 3, 6], [4], [5]]
    assert clusters_of(rows, [], group_by=("author",)) == [[0, 6], [1], [2, 3], [4], [5]], "nothing and blank group nothing"


def test_each_group_column_counts_by_itself() -> None:
    rows = table(TEXTS[:4], author=["x", "x", "y", None], site=["1", "2", "2", "x"])
    assert clusters_of(rows, [], group_by=("author", "site")) == [[0, 1, 2], [3]], "author x is not site x"


def test_numbers_may_be_groups() -> None:
    assert clusters_of(table(TEXTS[:3], part=[1.0, float("nan"), float("nan")]), [], group_by=("part",)) == [[0], [1], [2]]


def test_a_cluster_column_saves_the_search() -> None:
    rows = [TEXTS[0], near(TEXTS[0]), *TEXTS[1:]]
    column = ["k0", "k1", *[f"k{i // 2}" for i in range(4, 13)]]
    given = split(table(rows, cluster=column), validation=0.3, test=0.3)
    assert given.report["clusters"]["found_by"] == "cluster"
    assert given.clusters.of[0] != given.clusters.of[1], "as the column says"
    searched = split(table(rows, cluster=column), validation=0.3, test=0.3, cluster_field=None)
    assert searched.report["clusters"]["found_by"] == "similarity 0.7"
    assert searched.clusters.of[0] == searched.clusters.of[1]


def test_a_key_is_that_of_a_member_and_seldom_changes() -> None:
    """When a member joins a cluster of 9, the key stays in 9 cases of 10."""
    hashes = text_hashes(pl.Series([str(i) for i in range(10_000)]))
    of = np.arange(10_000) // 10
    full = keys_of(of, hashes, 1000)
    assert (full[of].reshape(-1, 10) == hashes.reshape(-1, 10)).any(axis=1).all()
    others = np.arange(10_000) % 10 != 0
    less = keys_of(of[others], hashes[others], 1000)
    assert 0.86 < (less == full).mean() < 0.94
