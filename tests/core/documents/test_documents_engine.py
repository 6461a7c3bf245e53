"""The engine finds exactly the rows whose key occurs more than once, as a count by hand does."""

from collections import Counter
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.core.documents.engine import repeated

SCHEMA = {"key": pl.Binary, "id": pl.String, "length": pl.UInt32}
KEYS = st.sampled_from([bytes([n]) * 16 for n in range(6)])


def written(folder: Path, tables: list[list[bytes]]) -> tuple[list[Path], list[tuple[bytes, str, int]]]:
    paths, rows = [], []
    for number, keys in enumerate(tables):
        table = [(key, f"{number}/{i}", i) for i, key in enumerate(keys)]
        paths.append(folder / f"{number}.keys")
        pl.DataFrame(table, schema=SCHEMA, orient="row").write_parquet(paths[-1])
        rows += table
    return paths, rows


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=st.lists(st.lists(KEYS, max_size=6), min_size=1, max_size=3))
def test_repeated_keys_come_back_and_no_other(tmp_path: Path, tables: list[list[bytes]]) -> None:
    paths, rows = written(tmp_path, tables)
    counts = Counter(key for key, _, _ in rows)
    found = repeated(paths)
    assert found.columns == ["key", "id", "length"]
    assert sorted(found.iter_rows()) == sorted(row for row in rows if counts[row[0]] > 1)


def test_nothing_repeated_is_an_empty_table_with_its_columns(tmp_path: Path) -> None:
    paths, _ = written(tmp_path, [[b"a" * 16], []])
    found = repeated(paths)
    assert found.columns == ["key", "id", "length"]
    assert not len(found)
