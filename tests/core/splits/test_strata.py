"""Every class has its share of every part, within 1 % or a cluster, and as few documents as possible leave their place for it."""

from collections import Counter, defaultdict
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splitting import placed, table

from aigc.core.splits.plan import PARTS


def corpus(sizes: dict[str, int], *, cluster: int = 1, seed: int = 0) -> pl.DataFrame:
    """Documents of each class in clusters of up to `cluster`: the texts of one begin alike."""
    draw, rows, topics = Random(seed), [], []
    for name, size in sizes.items():
        left = size
        while left:
            members = min(draw.randint(1, cluster), left)
            stem = f"{draw.getrandbits(120):036d}"
            rows += [f"{stem} {j}" for j in range(members)]
            topics += [name] * members
            left -= members
    return table(rows, topic=topics)


def by_class(rows: pl.DataFrame, where: dict[str, tuple[str, int | None]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, topic in rows.select("id", "topic").iter_rows():
        found[topic][where[name][0]] += 1
    return found


SIZES = {"体育": 3000, "news": 700, "诗": 120, "tiny": 12}


@pytest.mark.parametrize("cluster", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_each_class_has_its_share(cluster: int, seed: int) -> None:
    rows = corpus(SIZES, cluster=cluster, seed=seed)
    where, moved = placed(rows, validation=0.1, test=0.05, stratify="topic")
    plain, _ = placed(rows, validation=0.1, test=0.05)
    for topic, counts in by_class(rows, where).items():
        for part, share in zip(PARTS, (0.85, 0.1, 0.05), strict=True):
            assert abs(counts[part] - share * SIZES[topic]) <= max(0.01 * SIZES[topic], cluster) + 1e-6, (topic, part)
    assert moved["stratify"] == sum(where[name] != plain[name] for name in where)
    assert moved["stratify"] < 0.02 * len(rows), "the hash alone is nearly right"


def test_a_class_that_is_right_is_left_alone() -> None:
    """Only the class that the hash served badly is touched."""
    rows = corpus({"large": 5000, "small": 40}, seed=1)
    where, _ = placed(rows, validation=0.1, test=0.1, stratify="topic")
    plain, _ = placed(rows, validation=0.1, test=0.1)
    assert {rows["topic"][int(name[1:])] for name in where if where[name] != plain[name]} <= {"small"}
    assert by_class(rows, where)["small"] == {"train": 32, "validation": 4, "test": 4}


def test_many_small_classes_together_have_the_share() -> None:
    """A twentieth of ten documents is none or one; all classes together still have about a twentieth."""
    rows = corpus({f"c{i}": 10 for i in range(200)})
    where, _ = placed(rows, validation=0.05, test=0.05, stratify="topic")
    for counts in by_class(rows, where).values():
        assert counts["test"] <= 1 and counts["validation"] <= 1
    assert Counter(part for part, _ in where.values())["test"] == pytest.approx(100, abs=20)


def test_numbers_of_documents_are_met_and_divided_among_the_classes() -> None:
    rows = corpus(SIZES)
    where, _ = placed(rows, validation=300.0, test=100.0, stratify="topic")
    found = by_class(rows, where)
    assert Counter(part for part, _ in where.values()) == {"train": 3432, "validation": 300, "test": 100}
    for topic, counts in found.items():
        assert abs(counts["test"] - 100 * SIZES[topic] / 3832) < 1, topic
        assert abs(counts["validation"] - 300 * SIZES[topic] / 3832) < 1, topic


def test_clusters_that_hold_two_classes() -> None:
    """Authors who write on everything stay whole, and the classes are still within 1 % or so of their shares."""
    draw = Random(0)
    rows = corpus({"a": 2000, "b": 1000, "c": 1000})
    rows = rows.with_columns(author=pl.Series([f"w{draw.randrange(1500)}" for _ in range(len(rows))]))
    where, _ = placed(rows, validation=0.1, test=0.1, stratify="topic", group_by=("author",))
    for topic, counts in by_class(rows, where).items():
        for part in ("validation", "test"):
            size = counts.total()
            assert counts[part] / size == pytest.approx(0.1, abs=0.0101), (topic, part)
    authors = rows.with_columns(part=pl.col("id").replace_strict({name: part for name, (part, _) in where.items()}))
    assert authors.group_by("author").agg(pl.col("part").n_unique())["part"].max() == 1


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_growth_moves_few(seed: int) -> None:
    """20 % more documents: a few near a bound may move; another random split would move a third."""
    rows = corpus({"a": 600, "b": 200, "c": 60}, seed=seed)
    more = corpus({"a": 120, "b": 40, "c": 12}, seed=seed + 1).with_columns(pl.format("n{}", "id").alias("id"))
    before, _ = placed(rows, validation=0.1, test=0.1, stratify="topic")
    after, _ = placed(pl.concat([rows, more]), validation=0.1, test=0.1, stratify="topic")
    assert sum(before[name] != after[name] for name in before) <= 0.08 * len(rows)


def test_documents_without_a_class_are_one() -> None:
    rows = corpus({"a": 100, "none": 100}).with_columns(pl.col("topic").replace("none", None))
    where, _ = placed(rows, validation=0.1, test=0.1, stratify="topic")
    counts = by_class(rows, where)[None]  # type: ignore[index]
    assert all(abs(counts[part] - share) <= 1 for part, share in (("train", 80), ("validation", 10), ("test", 10)))


def test_folds_have_equal_classes_too() -> None:
    rows = corpus({"a": 500, "b": 100})
    where, _ = placed(rows, test=0.1, folds=5, fold=2, stratify="topic")
    for topic, size in (("a", 500), ("b", 100)):
        folds = Counter(where[name][1] for name in rows.filter(topic=topic)["id"])
        inside = size - folds.pop(-1)
        assert set(folds) == {0, 1, 2, 3, 4}
        assert all(abs(count - inside / 5) <= max(0.01 * size, 1) + 1e-6 for count in folds.values()), topic
