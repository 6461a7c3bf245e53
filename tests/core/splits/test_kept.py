"""An earlier split is kept: its documents stay, whatever the hash or the share says, and what repeats them follows."""

from pathlib import Path

import pytest
from splitting import near, split, table, texts

from aigc.errors import AigcError

TEXTS = texts(60, seed=4)
OLD = table(TEXTS[:40])


@pytest.mark.parametrize(
    "plan", [{"validation": 0.1, "test": 0.4}, {"validation": 3.0, "test": 3.0}, {"validation": 0.3, "test": 0.1}], ids=str
)
def test_documents_keep_their_part_when_the_shares_change(plan: dict[str, float], tmp_path: Path) -> None:
    before = split(OLD, save=tmp_path / "old", validation=0.2, test=0.2)
    after = split(table(TEXTS), keep=tmp_path / "old", **plan)
    assert {name: after.part[name] for name in before.part} == before.part


def test_new_documents_go_by_hash_and_what_was_kept_counts(tmp_path: Path) -> None:
    split(OLD, save=tmp_path / "old", validation=0.2, test=0.2)
    plain, after = (
        split(table(TEXTS), validation=0.2, test=0.2),
        split(table(TEXTS), keep=tmp_path / "old", validation=0.2, test=0.2),
    )
    assert after.part == plain.part
    assert after.report["moved"] == {"keep": 0, "keep_conflicts": 0}
    filled = split(table(TEXTS), keep=tmp_path / "old", validation=15.0, test=14.0)
    assert (filled.report["parts"]["validation"], filled.report["parts"]["test"]) == (15, 14)


def test_a_near_duplicate_of_a_kept_document_follows_it(tmp_path: Path) -> None:
    before = split(OLD, save=tmp_path / "old", validation=0.3, test=0.3)
    for part in ("train", "validation", "test"):
        old = next(i for i in range(40) if before.part[f"d{i}"] == part)
        for change in range(2):
            rows = table([*TEXTS[:40], near(TEXTS[old], change)])
            assert split(rows, keep=tmp_path / "old", validation=0.3, test=0.3).part["d40"] == part


def test_what_was_trained_on_is_never_tested_on(tmp_path: Path) -> None:
    """A new text by one author joins a document of train and one of test: both are train now, and it is told."""
    before = split(OLD, save=tmp_path / "old", validation=0.2, test=0.2)
    train, test, validation = (sorted(before.ids(part))[0] for part in ("train", "test", "validation"))

    def with_author(*names: str) -> dict[str, str]:
        authors = ["甲" if f"d{i}" in names else None for i in range(40)]
        found = split(table(TEXTS[:40], author=authors), keep=tmp_path / "old", validation=0.2, test=0.2, group_by=("author",))
        assert found.report["moved"]["keep_conflicts"] == 1
        return found.part

    assert with_author(train, test)[test] == "train"
    assert with_author(validation, test)[test] == "validation"


def test_a_stratified_split_leaves_kept_documents(tmp_path: Path) -> None:
    before = split(OLD, save=tmp_path / "old", validation=0.2, test=0.2)
    rows = table(TEXTS, topic=["a" if i < 45 else "b" for i in range(60)])
    after = split(rows, keep=tmp_path / "old", stratify="topic", validation=0.2, test=0.2)
    assert {name: after.part[name] for name in before.part} == before.part


def test_the_test_part_is_kept_with_folds(tmp_path: Path) -> None:
    before = split(OLD, save=tmp_path / "old", validation=0.0, test=0.4)
    after = split(table(TEXTS), keep=tmp_path / "old", folds=3, test=0.1)
    assert before.ids("test") <= after.ids("test")
    assert not before.ids("train") & after.ids("test")


def test_a_folder_that_holds_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"split\.keep: .*nowhere holds no train-\*\.parquet; name the folder of a finished split"):
        split(OLD, keep=tmp_path / "nowhere")
    split(OLD, save=tmp_path / "old", validation=0.2, test=0.2)
    renamed = table(TEXTS).with_columns(id="x" + table(TEXTS)["id"])
    with pytest.raises(AigcError, match=r"none of the 40 ids of .*old is among these documents; ids are compared"):
        split(renamed, keep=tmp_path / "old")
