"""What a split is asked for: the numbers and columns of the project file's section."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PARTS", "Plan", "amount"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Plan:
    """The keys of the section `split`; its docs say what each does.

    Attributes:
        validation, test: a share where it is below 1, else a number of documents.
    """

    validation: float = 0.05
    test: float = 0.05
    similarity: float | None = 0.7
    cluster_field: str | None = "cluster"
    group_by: tuple[str, ...] = ()
    stratify: str | None = None
    by: str | None = None
    folds: int | None = None
    fold: int = 0
    keep: Path | None = None
    max_leak: float = 0.0


def amount(value: float, total: int) -> float:
    """A share or a number of documents as a number of documents."""
    return value * total if value < 1 else value
