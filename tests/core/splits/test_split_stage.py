"""The stage `split`: keys of the project file, what it writes and says, and that a leak stops it."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError
from splitting import near, table, texts

from aigc import runs
from aigc.core.splits.plan import Plan
from aigc.errors import AigcError
from aigc.runs import Sources
from aigc.schema import Project, Split
from aigc.stages import split

TEXTS = texts(60, seed=9)


def cleaned(folder: Path, rows: pl.DataFrame, **section: Any) -> Project:
    """A project whose clean stage is finished and kept these rows."""
    data = {"name": "p", "runs": folder / "runs", "clean": {"input": "x", "rules": []}, "split": section}
    project = Project.model_validate(data)
    with runs.stage(project, "clean", Sources()) as stage:
        half = len(rows) // 2
        rows[:half].write_parquet(stage.folder / "documents-00000.parquet")
        rows[half:].write_parquet(stage.folder / "documents-00001.parquet")
        stage.rows = {"read": len(rows), "kept": len(rows)}
    return project


def test_rows_are_conserved_and_the_report_says_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table([*TEXTS, near(TEXTS[0])], topic=["诗" if i % 3 else "news" for i in range(61)])
    project = cleaned(tmp_path, rows, validation=0.2, test=12, stratify="topic", group_by="id")
    split.run(project)
    folder = runs.stage_folder(project, "split")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    counts = runs.rows_of(folder)
    assert counts == {"read": 61, **report["parts"]}
    assert counts["train"] + counts["validation"] + counts["test"] == 61
    assert counts["test"] == 12
    assert sum(report["shares"].values()) == pytest.approx(1)
    assert {name: sum(parts.values()) for name, parts in report["classes"].items()} == {"诗": 40, "news": 21}
    assert report["clusters"] == {
        "found_by": "similarity 0.7",
        "group_by": ["id"],
        "count": 1,
        "documents": 2,
        "largest": 2,
        "found_by_check": 0,
    }
    assert (report["leaks"]["exact"], report["leaks"]["near"], report["leaks"]["pairs"]) == (0, 0, [])
    said = capsys.readouterr()
    assert said.out == ""
    assert "leaks: 0; 2 documents are in 1 clusters" in said.err
    assert "validation" in said.err


def test_a_leak_stops_the_stage_and_leaves_nothing(tmp_path: Path) -> None:
    """The column says that the copies are not one cluster; the check does not believe it."""
    rows = table([near(TEXTS[i // 2], i % 2) for i in range(60)], cluster=[f"c{i}" for i in range(60)])
    project = cleaned(tmp_path, rows, validation=0.3, test=0.3)
    with pytest.raises(AigcError, match=r"held-out documents have a copy in train.*split\.cluster_field=null"):
        split.run(project)
    assert not (runs.root(project) / "split").exists()
    split.run(cleaned(tmp_path, rows, validation=0.3, test=0.3, max_leak=0.99))
    split.run(cleaned(tmp_path, rows, validation=0.3, test=0.3, cluster_field=None))


def test_a_run_can_keep_its_own_split_when_documents_arrive(tmp_path: Path) -> None:
    split.run(project := cleaned(tmp_path, table(TEXTS[:40]), validation=0.2, test=0.2))
    folder = runs.stage_folder(project, "split")
    before = {part: set(pl.read_parquet(folder / f"{part}-*.parquet")["id"]) for part in ("train", "validation", "test")}
    split.run(cleaned(tmp_path, table(TEXTS), validation=0.1, test=0.3, keep=folder))
    for part, ids in before.items():
        assert ids <= set(pl.read_parquet(folder / f"{part}-*.parquet")["id"])


def test_a_large_cluster_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(TEXTS, author=["甲"] * 25 + [f"a{i}" for i in range(35)])
    project = cleaned(tmp_path, rows, validation=0.0, test=26, group_by=["author"])
    split.run(project)
    assert "warning" not in capsys.readouterr().err
    small = cleaned(tmp_path, table(TEXTS, author=[f"a{i // 20}" for i in range(60)]), validation=0, test=15, group_by=["author"])
    split.run(small)
    assert "test has 20 documents where 15 were asked for: the largest cluster has 20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"validation": 1}, "a share is less than 1, and a number of documents is whole and 2 or more"),
        ({"test": 20.5}, "a number of documents is whole"),
        ({"test": -0.1}, "greater than or equal to 0"),
        ({"validation": 0.5, "test": 0.5}, "validation 0.5 \\+ test 0.5 leaves nothing to train on"),
        ({"by": "date", "stratify": "topic"}, "by cuts in time, so stratify cannot be had as well"),
        ({"by": "date", "folds": 3}, "so folds cannot"),
        ({"by": "date", "keep": "old"}, "so keep cannot"),
        ({"fold": 1}, "fold 1 needs folds of 2 or more"),
        ({"folds": 3, "fold": 3}, "fold 3 needs folds of 4 or more"),
        ({"similarity": 0.1}, "greater than or equal to 0.5"),
    ],
    ids=str,
)
def test_keys_that_cannot_be(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Split.model_validate(section)


def test_the_section_and_the_plan_have_the_same_keys_and_defaults() -> None:
    assert {**dict(Split()), "group_by": ()} == vars(Plan())
