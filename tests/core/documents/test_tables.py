"""Frames survive the way through parquet files, and columns of different types find one that holds both."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.core.documents.tables import TableWriter, common_schema, fitted, read_tables

SCHEMA = {"id": pl.String(), "text": pl.String(), "year": pl.Int64()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 5), max_size=5), rows=st.integers(1, 4))
def test_what_is_written_is_read_again_in_order(tmp_path: Path, sizes: list[int], rows: int) -> None:
    frames = [
        pl.DataFrame({"id": [f"{i}-{j}" for j in range(n)], "text": ["文字\n"] * n, "year": [j or None for j in range(n)]},
                     schema=SCHEMA)
        for i, n in enumerate(sizes)
    ]  # fmt: skip
    for old in tmp_path.glob("*"):
        old.unlink()
    with TableWriter(tmp_path, "part", SCHEMA) as writer:
        for frame in frames:
            writer.write(frame)
    back = list(read_tables(sorted(tmp_path.glob("part-*.parquet")), rows=rows))
    assert pl.concat([pl.DataFrame(schema=SCHEMA), *back]).equals(pl.concat([pl.DataFrame(schema=SCHEMA), *frames]))
    assert writer.rows == sum(sizes)


def test_a_table_without_rows_still_has_its_file_and_columns(tmp_path: Path) -> None:
    with TableWriter(tmp_path, "ledger", SCHEMA, whole=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.parquet"]
    assert dict(pl.read_parquet_schema(tmp_path / "ledger.parquet")) == SCHEMA


def test_an_empty_first_frame_hides_no_later_rows(tmp_path: Path) -> None:
    full = pl.DataFrame({"id": ["1"], "text": ["x"], "year": [1]}, schema=SCHEMA)
    with TableWriter(tmp_path, "part", SCHEMA) as writer:
        writer.write(full.clear())
        writer.write(full)
        writer.write(full.clear())
    assert pl.read_parquet(tmp_path / "part-00000.parquet").equals(full)


def test_large_tables_go_to_several_numbered_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.core.documents.tables.FILE_BYTES", 10)
    frame = pl.DataFrame({"id": ["1"], "text": ["long enough"], "year": [1]}, schema=SCHEMA)
    with TableWriter(tmp_path, "part", SCHEMA) as writer:
        for _ in range(3):
            writer.write(frame)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert sum(len(part) for part in read_tables(tmp_path / name for name in names)) == 3


def test_only_the_asked_columns_are_read(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["1"], "text": ["x"]}).write_parquet(tmp_path / "a.parquet")
    assert [frame.columns for frame in read_tables([tmp_path / "a.parquet"], ["text"])] == [["text"]]


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        (pl.Null(), pl.Int64(), pl.Int64()),
        (pl.Int64(), pl.Null(), pl.Int64()),
        (pl.Null(), pl.Null(), pl.String()),
        (pl.Int64(), pl.Float64(), pl.Float64()),
        (pl.Int64(), pl.String(), pl.String()),
        (pl.Struct({"a": pl.Int64()}), pl.String(), pl.String()),
        (pl.List(pl.String()), pl.Int64(), pl.String()),
    ],
    ids=str,
)
def test_one_type_holds_both(a: pl.DataType, b: pl.DataType, common: pl.DataType) -> None:
    assert common_schema([{"x": a}, {"x": b}]) == {"x": common}
    assert common_schema([{"x": b}, {"x": a}]) == {"x": common}


def test_every_column_of_all_files_is_in_the_schema_in_the_order_met() -> None:
    schema = common_schema([{"id": pl.String(), "b": pl.Int64()}, {"id": pl.String(), "a": pl.Boolean()}])
    assert list(schema.items()) == [("id", pl.String()), ("b", pl.Int64()), ("a", pl.Boolean())]


def test_a_fitted_frame_has_exactly_the_schema() -> None:
    frame = pl.DataFrame({"n": [1, None], "s": [{"键": "值"}, None], "gone": [1, 2]})
    schema = {"s": pl.String(), "n": pl.Float64(), "new": pl.List(pl.String())}
    after = fitted(frame, schema)
    assert dict(after.schema) == schema
    assert json.loads(after["s"][0]) == {"键": "值"}
    assert after["s"][1] is None
    assert after["n"].to_list() == [1.0, None]
    assert after["new"].to_list() == [None, None]


def test_fitting_keeps_the_number_of_rows_even_where_all_columns_are_new() -> None:
    assert len(fitted(pl.DataFrame({"a": [1, 2, 3]}), {"a": pl.Int64(), "b": pl.String()})) == 3
    assert len(fitted(pl.DataFrame({"s": [{"a": 1}]}), {"s": pl.String()})) == 1
    assert len(fitted(pl.DataFrame(schema={"s": pl.Struct({"a": pl.Int64()})}), {"s": pl.String()})) == 0
