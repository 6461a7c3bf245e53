"""A document's part is a function of its cluster and the shares, so neither growth nor another order moves it."""

import re
from collections import Counter
from hashlib import blake2b
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splitting import near, placed, split, table, texts

from aigc.core.rules.units import mixed
from aigc.core.splits.places import places, text_hashes
from aigc.core.splits.plan import PARTS
from aigc.errors import AigcError

DISTINCT = texts(40)
MORE = texts(10, seed=1)
HALF = {"validation": 0.25, "test": 0.25}
some = settings(max_examples=6, deadline=None)


def place(text: str) -> float:
    return int.from_bytes(blake2b("".join(text.split()).encode(), digest_size=8, salt=b"aigc split 1").digest()) / 2**64


def test_the_hashes_are_a_contract() -> None:
    """Another value would move documents between the parts of everyone's corpus."""
    assert text_hashes(pl.Series(["Document number 1.", "第1篇文章。"])).tolist() == [
        17_515_535_775_657_630_778,
        1_611_098_698_765_964_623,
    ]
    assert mixed(text_hashes(pl.Series(["第1篇文章。"]))).tolist() == [13_335_855_390_317_931_385]


def test_a_document_without_copies_goes_by_its_own_hash() -> None:
    found = split(table(DISTINCT), **HALF)
    for i, text in enumerate(DISTINCT):
        expected = "test" if place(text) < 0.25 else "validation" if place(text) >= 0.75 else "train"
        assert found.part[f"d{i}"] == expected


@given(st.text(max_size=20), st.sampled_from([" ", "\n", "\t", "　", "\u00a0", "\r\n"]))
def test_white_space_does_not_matter(text: str, space: str) -> None:
    variants = pl.Series([text, space + text, text + space, space.join(text)])
    assert len(set(text_hashes(variants).tolist())) == 1


@st.composite
def corpora(draw: st.DrawFn) -> pl.DataFrame:
    """Some distinct texts, each once or several times, with copies that differ a little, authors, topics and dates."""
    chosen = draw(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2)), min_size=16, max_size=40, unique=True))
    rows = [DISTINCT[i] if change == 0 else near(DISTINCT[i], change) for i, change in chosen]
    size = len(rows)
    values = st.sampled_from([None, "", "甲", "b", "c", "d", "e", "f", "g", "h"])
    topics = st.sampled_from(["news", "诗"])
    return table(
        rows,
        author=draw(st.lists(values, min_size=size, max_size=size)),
        topic=draw(st.lists(topics, min_size=size, max_size=size)),
        date=draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)),
    ).with_columns(pl.col("author").cast(pl.String))


PLANS = [
    {},
    {"validation": 3.0, "test": 4.0},
    {"group_by": ("author",)},
    {"stratify": "topic"},
    {"stratify": "topic", "validation": 4.0, "test": 4.0},
    {"by": "date"},
    {"folds": 3},
    {"folds": 3, "stratify": "topic", "fold": 1},
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
@given(rows=corpora(), random=st.randoms(use_true_random=False))
@some
def test_the_order_of_rows_does_not_matter(plan: dict[str, Any], rows: pl.DataFrame, random: Random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    try:
        first = placed(rows, **{**HALF, **plan})
    except AigcError as error:
        with pytest.raises(AigcError, match=re.escape(str(error).split(":")[1])):
            placed(rows[order], **{**HALF, **plan})
        return
    assert placed(rows[order], **{**HALF, **plan}) == first


@pytest.mark.parametrize("plan", [{}, {"group_by": ("author",)}, {"folds": 3}], ids=str)
@given(rows=corpora(), data=st.data())
@some
def test_growth_moves_nobody(plan: dict[str, Any], rows: pl.DataFrame, data: st.DataObject) -> None:
    """20 % more documents arrive, none of them like an old one; some are by authors who are known already."""
    more = MORE[: len(rows) // 5]
    authors = data.draw(st.lists(st.sampled_from([None, "甲", "b", "new"]), min_size=len(more), max_size=len(more)))
    fresh = table(more, author=authors, topic=["news"] * len(more), date=[5] * len(more))
    fresh = fresh.with_columns(pl.format("n{}", "id").alias("id"), pl.col("author").cast(pl.String))
    try:
        before, _ = placed(rows, **{**HALF, **plan})
        after, _ = placed(pl.concat([fresh, rows]), **{**HALF, **plan})
    except AigcError as error:
        assert "part is empty" in str(error), "so few documents may leave a part empty, and that is all that may go wrong"
        return
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("plan", PLANS, ids=str)
@given(rows=corpora())
@some
def test_what_belongs_together_stays_together(plan: dict[str, Any], rows: pl.DataFrame) -> None:
    try:
        where, _ = placed(rows, **{**HALF, **plan})
    except AigcError:
        return
    parts = rows.with_columns(part=pl.Series([str(where[name]) for name in rows["id"]]), stem=pl.col("text").str.head(25))
    assert parts.group_by("stem").agg(pl.col("part").n_unique())["part"].max() == 1, "near-duplicates begin alike"
    if plan.get("group_by"):
        authors = parts.filter(pl.col("author") != "").group_by("author").agg(pl.col("part").n_unique())
        assert authors["part"].max() in (1, None)


MANY = [text for i, text in enumerate(texts(120, seed=2)) for text in [text, *(near(text, j) for j in range(i % 3))]]
CORPUS = table(
    MANY,
    author=[f"a{i // 7}" if i % 2 else None for i in range(len(MANY))],
    topic=[("news", "诗")[i // 80 % 2] for i in range(len(MANY))],
    date=[i % 50 for i in range(len(MANY))],
)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_read_and_written_the_parts_share_nothing_in_any_order(plan: dict[str, Any]) -> None:
    first = split(CORPUS, **{**HALF, **plan})
    second = split(CORPUS[100:].reverse(), CORPUS[:100], **{**HALF, **plan})
    assert (second.part, second.fold, second.report["moved"]) == (first.part, first.fold, first.report["moved"])
    assert (first.leaks.exact, first.leaks.near, first.leaks.share) == (0, 0, 0)
    assert first.report["clusters"]["documents"] > 100, "there was something to leak"


def test_a_larger_share_only_adds() -> None:
    rows = table(DISTINCT)
    small, large = split(rows, validation=0.1, test=0.2), split(rows, validation=0.3, test=0.3)
    assert small.ids("test") < large.ids("test")
    assert small.ids("validation") < large.ids("validation")


def test_shares_are_near_what_was_asked_for() -> None:
    hashes = text_hashes(pl.Series([f"Document {i}" if i % 2 else f"第{i}篇文章" for i in range(20_000)]))
    assert (places(hashes) < 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (places(hashes) >= 0.9).mean() == pytest.approx(0.1, abs=0.008)


def test_large_clusters_are_not_drawn_to_one_part() -> None:
    """By the smallest hash of its members, a cluster of 20 would be in a test part of 5 % in 64 of 100 cases."""
    rows = table([f"{i} {j}" for i in range(1000) for j in range(20)], cluster=[f"c{i}" for i in range(1000) for _ in range(20)])
    found = split(rows, validation=0.05, test=0.05, similarity=None)
    assert found.report["shares"]["test"] == pytest.approx(0.05, abs=0.025)
    assert found.report["shares"]["validation"] == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize(("validation", "test"), [(7.0, 12.0), (2.0, 0.2), (0.0, 5.0)])
def test_a_number_of_documents_is_met(validation: float, test: float) -> None:
    found = split(table(DISTINCT), validation=validation, test=test)
    counts = Counter(found.part.values())
    assert counts["validation"] == validation
    assert counts["test"] == test or test < 1
    assert sum(counts.values()) == len(DISTINCT)


def test_a_number_of_documents_takes_the_ends_of_the_hash() -> None:
    """So that another number, or a share, agrees on who is nearest to test."""
    found = split(table(DISTINCT), validation=5.0, test=8.0)
    ranked = sorted(range(len(DISTINCT)), key=lambda i: place(DISTINCT[i]))
    assert found.ids("test") == {f"d{i}" for i in ranked[:8]}
    assert found.ids("validation") == {f"d{i}" for i in ranked[-5:]}


def test_a_number_of_documents_is_met_as_nearly_as_clusters_allow() -> None:
    sizes = [3] * 6 + [7] * 3
    rows = table(
        [f"{i} {j}" for i, size in enumerate(sizes) for j in range(size)],
        cluster=[f"c{i}" for i, n in enumerate(sizes) for _ in range(n)],
    )
    assert split(rows, validation=0.0, test=10.0, similarity=None).report["parts"]["test"] == 10
    assert split(rows, validation=0.0, test=8.0, similarity=None).report["parts"]["test"] == 7
    found = split(rows, validation=0.0, test=5.0, similarity=None)
    assert found.report["parts"]["test"] == 6, "5 is as near to 6 as to no sum below it"
    assert found.report["warnings"] == ["test has 6 documents where 5 were asked for: the largest cluster has 7"]


def test_nothing_is_lost_and_columns_travel() -> None:
    rows = table(DISTINCT, 标题=["题"] * len(DISTINCT))
    found = split(rows[:10], rows[10:], **HALF)
    assert pl.concat(found.found.values()).sort("id").equals(rows.sort("id"))
    assert all(frame["id"].to_list() == sorted(frame["id"], key=lambda name: int(name[1:])) for frame in found.found.values())


def test_a_part_that_was_not_asked_for_is_an_empty_file() -> None:
    found = split(table(["只有一篇"]), validation=0.0, test=0.0)
    assert [len(found.found[name]) for name in PARTS] == [1, 0, 0]
    assert found.leaks.share == 0


ONE_AUTHOR = table(DISTINCT, author=["甲"] * len(DISTINCT))
ALIKE = table([near(DISTINCT[0], i) for i in range(30)])


@pytest.mark.parametrize(
    ("rows", "plan", "message"),
    [
        (
            table(["one"]),
            {"validation": 1e-9, "test": 0.0},
            r"the validation part is empty: 1e-09 of 1 documents is too few; raise split\.v",
        ),
        (
            table(DISTINCT),
            {"validation": 20.0, "test": 20.0},
            r"validation 20 \+ test 20 leaves nothing of 40 documents to train on",
        ),
        (table(DISTINCT), {"validation": 0.5, "test": 20.0}, "leaves nothing of 40 documents"),
        (table(DISTINCT), {"test": 100.0, "validation": 0.0}, "test 100 leaves nothing of 40 documents"),
        (
            ONE_AUTHOR,
            {"group_by": ("author",)},
            r"40 of 40 documents are one cluster .*share a value of author, or repeat.*group_by",
        ),
        (
            ALIKE,
            {},
            r"30 of 30 documents are one cluster and cannot be separated \(they repeat each other, such as 'd\d+'\); raise",
        ),
        (table(DISTINCT), {"group_by": ("auhtor",)}, r"split\.group_by: there is no column 'auhtor'; columns found: id, text"),
        (
            ONE_AUTHOR,
            {"stratify": "auhtor"},
            r"split\.stratify: there is no column 'auhtor'; the nearest is 'author'; columns found: id",
        ),
        (ONE_AUTHOR, {"by": "Author"}, r"split\.by: there is no column 'Author'; the nearest is 'author'"),
        (ONE_AUTHOR, {"cluster_field": "minhash"}, r"split\.cluster_field: there is no column 'minhash'"),
        (table(DISTINCT), {"stratify": "id"}, "'id' has 40 classes for 40 documents; a class needs two or more"),
        (table(DISTINCT, tags=[["a"]] * 40), {"group_by": ("tags",)}, r"the column 'tags' holds List\(String\); it needs one text"),
        (table(DISTINCT, fold=[0] * 40), {"folds": 3}, "writes a column 'fold', and the documents have one already"),
        (table(DISTINCT), {"folds": 41}, "41 folds of 40 documents"),
        (table([]), {}, "no documents; there is nothing to split"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str | dict) else "",
)
def test_what_cannot_be_done_is_said(rows: pl.DataFrame, plan: dict[str, Any], message: str) -> None:
    with pytest.raises(AigcError, match=message):
        split(rows, **plan)
