"""A sample is the rows whose ids have the smallest hashes: the same whatever batches they came in, and uniform."""

from collections.abc import Iterator, Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.documents.reading import Batch, Failure
from aigc.core.documents.sampling import sampled


def batch(ids: Sequence[str], failures: int = 0, **columns: object) -> Batch:
    """A batch whose texts and origins tell which id they belong to."""
    texts = [f"text of {name}" for name in ids]
    frame = pl.DataFrame({"id": ids, "text": texts}, schema={"id": pl.String, "text": pl.String})
    origins = pl.Series("origin", [f"in.jsonl:{name}" for name in ids], dtype=pl.String)
    return Batch(frame.with_columns(**columns), origins, [Failure("in.jsonl:1", "broken", "{")] * failures)  # type: ignore[arg-type]


def drawn(batches: Sequence[Batch], rows: int) -> Batch:
    (one,) = sampled(iter(batches), rows)
    return one


NAMES = st.lists(st.text("ab#文1", min_size=1, max_size=4), min_size=1, max_size=25, unique=True)


@settings(max_examples=60, deadline=None)
@given(names=NAMES, rows=st.integers(1, 30), data=st.data())
def test_batches_and_order_do_not_matter(names: list[str], rows: int, data: st.DataObject) -> None:
    expected = drawn([batch(names)], rows)
    other = data.draw(st.permutations(names))
    cut = data.draw(st.integers(0, len(names)))
    found = drawn([batch(part) for part in (other[:cut], other[cut:]) if part], rows)
    assert set(found.documents["id"]) == set(expected.documents["id"])
    assert len(found.documents) == min(rows, len(names))


@settings(max_examples=40, deadline=None)
@given(names=NAMES, rows=st.integers(1, 30), size=st.integers(1, 7))
def test_a_row_keeps_its_text_and_its_origin(names: list[str], rows: int, size: int) -> None:
    found = drawn([batch(names[i : i + size]) for i in range(0, len(names), size)], rows)
    ids = found.documents["id"].to_list()
    assert found.documents["text"].to_list() == [f"text of {name}" for name in ids]
    assert found.origins.to_list() == [f"in.jsonl:{name}" for name in ids]
    assert ids == [name for name in names if name in ids], "the rows stay in the order of the files"


@given(small=st.integers(1, 12), more=st.integers(0, 12))
@settings(max_examples=20, deadline=None)
def test_a_larger_sample_holds_the_smaller_one(small: int, more: int) -> None:
    names = [f"d{i}" for i in range(20)]
    few, many = (set(drawn([batch(names)], rows).documents["id"]) for rows in (small, small + more))
    assert few <= many


def test_the_first_rows_are_no_likelier_than_the_last() -> None:
    names = [f"d{i}" for i in range(4000)]
    chosen = drawn([batch(names[i : i + 500]) for i in range(0, 4000, 500)], 400).documents["id"]
    early = sum(int(name[1:]) < 2000 for name in chosen)
    assert 150 < early < 250, f"{early} of 400 from the first half: five standard deviations are 50"


def test_columns_of_all_batches_are_there() -> None:
    found = drawn([batch(["a"], n=pl.lit(1)), batch(["b"], n=pl.lit(1.5)), batch(["c"], 标签=pl.lit("x"))], 9)
    assert dict(found.documents.select("id", "n").iter_rows()) == {"a": 1.0, "b": 1.5, "c": None}
    assert found.documents["标签"].to_list() == [None, None, "x"]


def test_broken_rows_are_left_out() -> None:
    found = drawn([batch(["a"], failures=2), batch(["b"], failures=1)], 9)
    assert not found.failures
    assert found.rows == 2


def test_nothing_comes_of_nothing() -> None:
    assert list(sampled(iter([]), 5)) == []


@pytest.mark.parametrize("first", [0, 1])
def test_a_batch_of_broken_rows_only(first: int) -> None:
    batches = [batch([], failures=3), batch(["a", "b"])]
    found = drawn(batches[:: 1 if first == 0 else -1], 5)
    assert found.documents["id"].to_list() == ["a", "b"]


def test_all_input_is_read() -> None:
    seen = 0

    def source() -> Iterator[Batch]:
        nonlocal seen
        for i in range(50):
            seen += 1
            yield batch([f"{i}-{j}" for j in range(10)])

    (found,) = sampled(source(), 7)
    assert len(found.documents) == 7
    assert seen == 50, "the last rows have the same chance as the first"
