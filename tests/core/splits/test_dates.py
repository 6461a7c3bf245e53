"""A split in time: the oldest documents are train, the newest test, and nothing in train is newer than the cut."""

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splitting import near, placed, split, table, texts

from aigc.core.splits.dates import moments
from aigc.errors import AigcError

TEXTS = texts(40, seed=3)


def moments_of(values: list[object]) -> list[float]:
    column = pl.Series(values)
    return moments(column, pl.Series([f"d{i}" for i in range(len(values))]), column="date").tolist()


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01",
        "2024-5-1",
        "20240501",
        "2024/05/01",
        "2024年5月1日",
        "2024-05",
        "2024年5月",
        " 2024-05-01T00:00:00Z ",
        "2024-05-01 00:00",
        "2024-05-01T08:00:00+08:00",
        "2024-04-30T19:00:00.000-0500",
        "2024-05-01t00:00:00.000000000z",
    ],
)
def test_the_ways_to_write_a_moment(text: str) -> None:
    first_of_may = datetime.fromisoformat("2024-05-01T00:00:00+00:00").timestamp() * 1e6
    assert moments_of([text, "2023-01-01"])[0] == first_of_may


def test_years_are_dates_beside_dates_and_numbers_by_themselves() -> None:
    assert moments_of(["2024", "2023-12-31"])[0] > moments_of(["2024", "2023-12-31"])[1]
    assert moments_of(["2024", "1999.5"]) == [2024, 1999.5]
    assert moments_of([1714521600, 3]) == [1714521600, 3]
    assert moments_of([date(2024, 5, 2), date(2024, 5, 1)]) == sorted(
        moments_of([date(2024, 5, 1), date(2024, 5, 2)]), reverse=True
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2024-05-01", None, None], r"document 'd1' \(row 2\) has nothing in the column 'date'; 2 of 3 are so"),
        (["2024-05-01", "2024-02-30"], r"document 'd1' \(row 2\) has '2024-02-30', which is no ISO date"),
        (["2024-05-01", "01.05.2024"], r"row 2\) has '01\.05\.2024'"),
        (["2024-05-01", "2024-05-01T25:00"], "row 2"),
        ([1.0, float("nan")], r"document 'd1' \(row 2\) has nothing"),
        ([True, False], "holds Boolean; it needs dates"),
    ],
    ids=str,
)
def test_what_is_no_date_is_an_error_that_names_the_row(values: list[object], message: str) -> None:
    with pytest.raises(AigcError, match=message):
        moments_of(values)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=10, max_size=40), st.sampled_from([(0.2, 0.1), (0.0, 0.3), (0.4, 0.0), (5.0, 2.0)]))
def test_older_documents_come_first_and_equal_dates_stay_together(days: list[int], wanted: tuple[float, float]) -> None:
    rows = table(TEXTS[: len(days)], date=days)
    try:
        where, _ = placed(rows, by="date", validation=wanted[0], test=wanted[1])
    except AigcError as error:
        assert "too few" in str(error)
        assert len(set(days)) < 3
        return
    rank = {"train": 0, "validation": 1, "test": 2}
    parts = [rank[where[f"d{i}"][0]] for i in range(len(days))]
    ordered = sorted(zip(days, parts, strict=True))
    assert [part for _, part in ordered] == sorted(parts)
    assert len({(day, part) for day, part in ordered}) == len(set(days))


def test_the_cut_is_where_the_share_is_nearest() -> None:
    rows = table(TEXTS, date=[i // 4 for i in range(40)])
    found = split(rows, by="date", validation=0.1, test=0.15)
    assert found.report["parts"] == {"train": 32, "validation": 4, "test": 4}, "6 is as far from 4 as from 8: the smaller is taken"
    assert found.report["dates"] == {"train": ["0", "7"], "validation": ["8", "8"], "test": ["9", "9"]}


def test_a_copy_of_an_old_document_takes_it_along() -> None:
    """Were the newer copy put into train, train would know what was written after the cut."""
    rows = table([*TEXTS[:20], near(TEXTS[0])], date=[f"2024-01-{i + 1:02d}" for i in range(21)])
    found = split(rows, by="date", validation=0.0, test=0.1)
    assert {"d0", "d20"} <= found.ids("test")
    assert found.leaks.near == 0


def test_too_few_dates() -> None:
    with pytest.raises(AigcError, match=r"2 different 'date' \(clusters count as one\) are too few for 3 parts"):
        split(table(TEXTS, date=[i % 2 for i in range(40)]), by="date")
