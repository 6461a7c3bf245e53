"""Which labels are classes and values, and that a wrong or missing one is told with its documents."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc.core.training.labels import class_numbers, classes_of, values
from aigc.errors import AigcError


def tables(folder: Path, *parts: list[Any], kind: Any = None) -> list[Path]:
    paths = []
    for number, labels in enumerate(parts):
        paths.append(folder / f"train-{number}.parquet")
        pl.DataFrame({"id": [f"d{i}" for i in range(len(labels))], "topic": pl.Series(labels, dtype=kind)}).write_parquet(paths[-1])
    return paths


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([["b", "a", "b"], ["c"]], {"a": 1, "b": 2, "c": 1}),
        ([[10, 2], [2]], {"2": 2, "10": 1}),
        ([[True, False]], {"false": 1, "true": 1}),
        ([["体育", "经济"]], {"体育": 1, "经济": 1}),
    ],
)
def test_classes_are_sorted_and_counted_over_all_tables(tmp_path: Path, parts: list[list[Any]], expected: dict[str, int]) -> None:
    paths = tables(tmp_path, *parts)
    found = classes_of(paths, "topic")
    assert found == expected
    assert list(found) == list(expected)
    numbers = class_numbers(pl.read_parquet(paths[0]), "topic", list(found))
    assert [list(expected)[int(number)] for number in numbers] == [str(label).lower() for label in parts[0]]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([["a", None, ""], ["b", None]], "3 of 5 training documents have no topic"),
        ([["a", "a"]], "topic has only the class 'a' in the training split; two or more are needed"),
        ([[]], "topic has no classes in the training split"),
        ([[0.5, 1.0]], "topic holds Float64; a class is a text, a whole number or true/false"),
    ],
)
def test_labels_that_are_no_classes(tmp_path: Path, parts: list[list[Any]], reason: str) -> None:
    with pytest.raises(AigcError, match=reason):
        classes_of(tables(tmp_path, *parts, kind=None if any(parts) else pl.String), "topic")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="columns found: id, topic; columns needed: kind"):
        classes_of(tables(tmp_path, ["a"]), "kind")


def test_a_class_that_training_never_saw_is_told_with_its_documents() -> None:
    frame = pl.DataFrame({"id": ["v0", "v1", "v2"], "topic": ["a", "d", "d"]})
    with pytest.raises(
        AigcError, match=r"2 of 3 documents have the topic 'd', which no training document has \(ids v1, v2\); known are a, b"
    ):
        class_numbers(frame, "topic", ["a", "b"])
    with pytest.raises(AigcError, match=r"1 of 1 documents has no topic \(id v0\)"):
        class_numbers(pl.DataFrame({"id": ["v0"], "topic": [""]}), "topic", ["a", "b"])


def test_values_are_numbers_or_texts_of_numbers() -> None:
    assert values(pl.DataFrame({"score": [1, 2]}), "score") == [1.0, 2.0]
    assert values(pl.DataFrame({"score": ["1e-1", " 2 "]}), "score") == [0.1, 2.0]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (
            [1.0, float("nan"), None, float("inf")],
            r"3 of 4 documents have a score that is no number \(ids d1, d2, d3; the first is nan\)",
        ),
        (["1", "high"], r"1 of 2 documents has a score that is no number \(id d1; the first is 'high'\)"),
        ([True, False], "score holds Boolean; the task regress needs numbers"),
    ],
)
def test_values_that_are_no_numbers(labels: list[Any], reason: str) -> None:
    frame = pl.DataFrame({"id": [f"d{i}" for i in range(len(labels))], "score": labels})
    with pytest.raises(AigcError, match=reason):
        values(frame, "score")
