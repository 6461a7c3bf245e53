"""What a rule did is counted by language, adds up over batches, and comes with the same examples whatever the batches."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.apply import apply, language_of
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.edits.unicode import Whitespace
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.measures.words import Words
from aigc.core.rules.rule import Measure, Rule
from aigc.core.rules.steps import CUT, StepCount, count_step, edges_of, examples_of

TEXTS = st.lists(st.sampled_from(["好", "中文。", " cat", "<b>x</b>", "\n\n", " "]), max_size=5).map("".join)


def table(texts: Sequence[str], names: Sequence[str] | None = None) -> pl.DataFrame:
    ids = names if names is not None else [f"d{i}" for i in range(len(texts))]
    return pl.DataFrame({"id": list(ids), "text": list(texts)}, schema={"id": pl.String, "text": pl.String})


def counted(documents: pl.DataFrame, rule: Rule) -> StepCount:
    (step,) = apply(documents, [rule]).steps
    return count_step(step, language_of(step.seen["text"]))


def found(count: StepCount, rule: Rule) -> dict[str, object]:
    return count.told(rule)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=12), cut=st.integers(0, 12), rule=st.sampled_from([Words(min=2), HtmlToText()]))
def test_the_counts_of_batches_add_up(texts: list[str], cut: int, rule: Rule) -> None:
    documents = table(texts)
    total = StepCount()
    for part in (documents[:cut], documents[cut:]):
        total.add(counted(part, rule))
    assert found(total, rule) == found(counted(documents, rule), rule)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_each_document_is_in_one_bin_of_its_language(texts: list[str]) -> None:
    count = counted(table(texts), Characters(min=3))
    assert {name: int(bins.sum()) for name, bins in count.histogram.items()} == dict(count.seen)
    assert all(count.hit[name] <= count.seen[name] for name in count.hit)


@pytest.mark.parametrize("scale", ["share", "count", "ratio"])
def test_edges_grow(scale: Literal["share", "count", "ratio"]) -> None:
    edges = edges_of(scale)
    assert all(low < high for low, high in pairwise(edges))
    assert edges[0] == 0


def test_a_value_on_a_border_belongs_to_the_bin_above() -> None:
    # the bins of a count begin at 0, 1, 2, 3, 4, 6: a bound `min 4` cuts between two bins, not through one
    told = found(counted(table(["abc", "abcd", "abcde"]), Characters(min=1)), Characters(min=1))
    assert told["histogram"] == {"en": {"edges": [3.0, 4.0, 6.0], "counts": [1, 2]}}


class Fixed(Measure):
    """A value that the text says."""

    def value(self) -> pl.Expr:
        return pl.col("text").cast(pl.Float64)


def test_values_beyond_the_last_edge_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.core.rules.steps.name_of", lambda _rule: "fixed")
    monkeypatch.setattr("aigc.core.rules.apply.name_of", lambda _rule: "fixed")
    count = counted(table(["-1", "0", "1", "7"]), Fixed(min=0))
    assert count.histogram["en"].tolist() == [2, *[0] * 48, 2], "below and above go into the outermost bins"


def test_both_languages_have_the_same_edges() -> None:
    told = found(counted(table(["a cat " * 40, "一只猫。", "狗"]), Characters(min=1)), Characters(min=1))
    histogram = told["histogram"]
    assert isinstance(histogram, dict)
    assert histogram["en"]["edges"] == histogram["zh"]["edges"]
    assert {name: sum(one["counts"]) for name, one in histogram.items()} == {"en": 1, "zh": 2}
    assert all(len(one["edges"]) == len(one["counts"]) + 1 for one in histogram.values())


def test_a_measure_that_saw_nothing_has_no_histogram() -> None:
    assert found(StepCount(), Words(min=2))["histogram"] == {}


def test_a_measure_without_bounds_is_only_counted() -> None:
    count = counted(table(["abc", "abcd"]), Characters())
    assert (count.hit, count.histogram["en"].sum()) == ({}, 2)


def test_what_a_step_says_of_itself() -> None:
    texts = ["<p>One story.</p>", "plain", "一篇<b>文章</b>"]
    told = found(counted(table(texts), HtmlToText()), HtmlToText())
    assert (told["rule"], told["kind"], told["seen"], told["edited"]) == ("html_to_text", "edit", 3, {"en": 1, "zh": 1})
    assert "dropped" not in told
    measured = found(counted(table(texts), Words(min=2)), Words(min=2, preset="gopher"))
    assert (measured["kind"], measured["preset"], measured["bounds"]) == ("measure", "gopher", ["min 2"])
    assert measured["dropped"] == {"en": 1, "zh": 0}


def test_an_example_of_a_measure_has_value_and_bound() -> None:
    (example,) = (example for _, example in counted(table(["two words", "three words here"]), Words(min=3)).examples)
    assert example == {"id": "d0", "text": "two words", "value": 2.0, "bound": "min 3"}


def test_an_example_of_a_duplicate_names_its_keeper() -> None:
    documents = table(["同一篇", "同一篇", "另一篇"])
    keepers = pl.DataFrame({"keeper": [None, "d0", None], "similarity": [None, 1.0, None]})
    (step,) = apply(documents, [ExactDuplicates()], lambda _rule, _documents: keepers).steps
    assert [one for _, one in examples_of(step)] == [{"id": "d1", "text": "同一篇", "keeper": "d0", "similarity": 1.0}]


def test_an_example_of_an_edit_begins_shortly_before_the_change() -> None:
    text = "好" * 5000 + "  \t " + "坏" * 5000
    ((_, example),) = counted(table([text]), Whitespace()).examples
    before = example["before"].index("坏")
    assert 80 <= before < 90, "the change is among what is shown, with a little before it"
    assert len(example["before"]) == CUT
    assert example["before"] != example["after"]


def test_a_long_text_is_cut() -> None:
    ((_, example),) = counted(table(["长" * 10_000]), Characters(max=5)).examples
    assert len(example["text"]) == CUT


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(list(range(12))), size=st.integers(1, 12))
def test_examples_are_the_same_in_any_order(order: list[int], size: int) -> None:
    names = [f"n{i}" for i in order]
    documents = table([f"text {i}" for i in order], names)
    total = StepCount()
    for start in range(0, 12, size):
        total.add(counted(documents[start : start + size], Words(min=9)))
    smallest = counted(table([f"text {i}" for i in range(12)], [f"n{i}" for i in range(12)]), Words(min=9))
    assert total.examples == smallest.examples
    assert len(total.examples) == 3


def test_counting_changes_nothing_of_what_is_added() -> None:
    one, other = (counted(table(["abc"] * size), Characters(min=5)) for size in (1, 2))
    before = {name: bins.copy() for name, bins in other.histogram.items()}
    one.add(other)
    one.add(other)
    assert all(np.array_equal(bins, other.histogram[name]) for name, bins in before.items())
    assert (one.seen.total(), other.seen.total()) == (5, 2)
