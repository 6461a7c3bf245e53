"""A label column into the classes it names and the number that each document is to tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from aigc.core.documents.tables import read_tables
from aigc.errors import AigcError

__all__ = ["class_numbers", "classes_of", "values"]


def classes_of(tables: Sequence[Path], column: str) -> dict[str, int]:
    """The classes of the training split and how many documents each has, in the order of their numbers.

    Texts are sorted as texts, whole numbers as numbers; true and false are classes too.

    Raises:
        AigcError: there is no such column, it holds something else, a document has no label, or there are fewer than two classes.
    """
    counts: Counter[str | int] = Counter()
    missing = 0
    for frame in read_tables(tables):
        labels = _named(frame, column)
        kind = labels.dtype
        if not (kind in (pl.String, pl.Boolean, pl.Null) or kind.is_integer() or isinstance(kind, pl.Categorical | pl.Enum)):
            raise AigcError(
                f"finetune.label: {column} holds {kind}; a class is a text, a whole number or true/false (numbers: task regress)"
            )
        counts.update(labels.drop_nulls().to_list())
        missing += labels.null_count() + counts.pop("", 0)
    if missing:
        total = missing + sum(counts.values())
        raise AigcError(f"finetune.label: {missing:,} of {total:,} training documents have no {column}")
    if len(counts) < 2:
        only = f"only the class {_shown(next(iter(counts)))!r}" if counts else "no classes"
        raise AigcError(f"finetune.label: {column} has {only} in the training split; two or more are needed")
    return {_shown(label): counts[label] for label in sorted(counts)}


def class_numbers(frame: pl.DataFrame, column: str, classes: Sequence[str]) -> list[float]:
    """The number of each document's class.

    Raises:
        AigcError: a document has no label, or one that the training split does not have.
    """
    labels = _named(frame, column)
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(classes)}
    found = [None if label is None or label == "" else _shown(label) for label in labels.to_list()]
    unseen = Counter(label for label in found if label not in numbers)
    if unseen:
        first, count = next(iter(unseen.items()))
        rows = [row for row, label in enumerate(found) if label == first]
        what = f"no {column}" if first is None else f"the {column} {first!r}, which no training document has"
        raise AigcError(
            f"finetune.label: {_counted(count, len(frame))} {what} ({_ids(frame, rows)}); known are {', '.join(classes)}"
        )
    return [float(numbers[label]) for label in found if label is not None]


def values(frame: pl.DataFrame, column: str) -> list[float]:
    """The value of each document; a text that is a number counts as one.

    Raises:
        AigcError: a document has none, or it is no finite number.
    """
    labels = _named(frame, column)
    if not (labels.dtype.is_numeric() or labels.dtype in (pl.String, pl.Null)):
        raise AigcError(f"finetune.label: {column} holds {labels.dtype}; the task regress needs numbers")
    numbers = labels.str.strip_chars() if labels.dtype == pl.String else labels
    numbers = numbers.cast(pl.Float64, strict=False)
    bad = (~numbers.is_finite()).fill_null(True).arg_true().to_list()
    if bad:
        shown = labels[bad[0]]
        raise AigcError(
            f"finetune.label: {_counted(len(bad), len(frame))} a {column} that is no number "
            f"({_ids(frame, bad)}; the first is {shown!r})"
        )
    return numbers.to_list()


def _named(frame: pl.DataFrame, column: str) -> pl.Series:
    if column not in frame.columns:
        raise AigcError(f"finetune.label: columns found: {', '.join(frame.columns)}; columns needed: {column}")
    return frame[column]


def _shown(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _counted(count: int, total: int) -> str:
    return f"{count:,} of {total:,} documents {'has' if count == 1 else 'have'}"


def _ids(frame: pl.DataFrame, rows: Sequence[int]) -> str:
    """The first ids, as a user can look them up."""
    if "id" not in frame.columns:
        return f"the first is row {rows[0]}"
    return (
        ("id " if len(rows) == 1 else "ids ")
        + ", ".join(map(str, frame["id"].gather(list(rows[:3]))))
        + (" ..." if len(rows) > 3 else "")
    )
