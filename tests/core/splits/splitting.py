"""A whole split of small tables, as the stage does it, for the tests of this folder."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from aigc.core.splits.assign import assign
from aigc.core.splits.clusters import Clusters, cluster
from aigc.core.splits.documents import Documents, read_documents
from aigc.core.splits.leaks import Leaks
from aigc.core.splits.places import text_hashes
from aigc.core.splits.plan import PARTS, Plan
from aigc.core.splits.report import split_report
from aigc.core.splits.settle import settle

__all__ = ["Result", "near", "placed", "split", "table", "texts"]


@dataclass(frozen=True)
class Result:
    """Everything that came of a split."""

    part: dict[str, str]
    fold: dict[str, int | None]
    found: dict[str, pl.DataFrame]
    clusters: Clusters
    leaks: Leaks
    report: dict[str, Any]

    def ids(self, part: str) -> set[str]:
        return {name for name, where in self.part.items() if where == part}


def split(*tables: pl.DataFrame, keep: Path | None = None, save: Path | None = None, **plan: Any) -> Result:
    """Split tables, each a file; `save` keeps the parts in a folder."""
    asked = Plan(keep=keep, **plan)
    with TemporaryDirectory() as name:
        source, folder = Path(name) / "in", save or Path(name) / "out"
        source.mkdir()
        folder.mkdir(exist_ok=True)
        paths = [source / f"documents-{i:05d}.parquet" for i in range(len(tables))]
        for path, one in zip(paths, tables, strict=True):
            one.write_parquet(path)
        steps: list[int] = []
        documents: Documents = read_documents(paths, asked, advance=steps.append)
        settled = settle(paths, folder, asked, documents, advance=steps.append)
        assert not sum(steps) % sum(map(len, tables)), "every row is told to the progress bar, read and written"
        counts = settled.assignment.counts()
        found = {part: pl.concat(map(pl.read_parquet, sorted(folder.glob(f"{part}-*.parquet")))) for part in PARTS}
        assert counts == {part: len(frame) for part, frame in found.items()}
        report = split_report(documents, settled, asked)
    part = {name: where for where, frame in found.items() for name in frame["id"]}
    rows = [row for frame in found.values() for row in frame.iter_rows(named=True)]
    return Result(part, {row["id"]: row.get("fold") for row in rows}, found, settled.clusters, settled.leaks, report)


def placed(rows: pl.DataFrame, **plan: Any) -> tuple[dict[str, tuple[str, int | None]], dict[str, int]]:
    """Part and fold of each id, and what was moved, without files: texts that begin alike are the near-duplicates."""
    asked = Plan(**plan)
    stems = rows.select(stem=pl.col("text").str.head(25)).with_row_index("b")
    pairs = stems.with_columns(a=pl.col("b").first().over("stem")).filter(pl.col("a") != pl.col("b")).select("a", "b")
    columns = {name: rows[name] for name in rows.columns}
    documents = Documents(rows["id"], text_hashes(rows["text"]), columns)
    assignment = assign(documents, cluster(documents, pairs, group_by=asked.group_by), asked)
    folds = [None] * len(rows) if assignment.folds is None else assignment.folds.tolist()
    where = zip((PARTS[code] for code in assignment.parts), folds, strict=True)
    return dict(zip(rows["id"], where, strict=True)), assignment.moved


def texts(count: int, *, units: int = 30, seed: int = 0) -> list[str]:
    """Texts that have nothing in common, in turn English and Chinese."""
    draw = random.Random(seed)
    letters = "bcdfghklmnprstvw"
    words = [a + b + c + d for a in letters for b in "aeiou" for c in letters for d in ("", "er", "ing")]
    made = []
    for i in range(count):
        if i % 2:
            made.append("".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(units)) + "。")
        else:
            made.append(" ".join(draw.choice(words) for _ in range(units)) + ".")
    return made


def near(text: str, change: int = 0) -> str:
    """A near-duplicate: another last word, so that all 5-grams but the last one stay."""
    return f"{text[:-1]} alas{change}." if text.endswith(".") else f"{text[:-1]}{chr(0x4E00 + change)}。"


def table(rows: Sequence[str], **columns: Sequence[Any]) -> pl.DataFrame:
    """Documents named after their texts' places: d0, d1, ..."""
    return pl.DataFrame({"id": [f"d{i}" for i in range(len(rows))], "text": list(rows), **columns})
