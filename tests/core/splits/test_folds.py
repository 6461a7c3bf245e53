"""k-fold: every document that is not test is validation exactly once, and its fold depends on nothing but its cluster."""

import pytest
from splitting import near, split, table, texts

ROWS = table([text for i, text in enumerate(texts(60, seed=5)) for text in [text, near(text)][: 1 + i % 2]])


def test_each_document_is_validation_once() -> None:
    runs = [split(ROWS, folds=4, fold=fold, test=0.1) for fold in range(4)]
    assert len({frozenset(run.ids("test")) for run in runs}) == 1, "test is the same in every run"
    held = [name for run in runs for name in run.ids("validation")]
    assert sorted(held) == sorted(set(ROWS["id"]) - runs[0].ids("test"))
    assert all(run.leaks.share == 0 for run in runs)


def test_the_column_says_which_fold() -> None:
    run = split(ROWS, folds=4, fold=2, test=0.1)
    assert {run.fold[name] for name in run.ids("validation")} == {2}
    assert {run.fold[name] for name in run.ids("train")} == {0, 1, 3}
    assert {run.fold[name] for name in run.ids("test")} == {None}
    assert sum(run.report["folds"]) == len(ROWS) - len(run.ids("test"))


def test_folds_do_not_depend_on_the_size_of_test() -> None:
    small, large = split(ROWS, folds=4, test=0.0), split(ROWS, folds=4, test=0.3)
    assert large.ids("test")
    assert all(large.fold[name] in (small.fold[name], None) for name in small.fold)


def test_folds_are_of_about_one_size() -> None:
    rows = table([f"{i}" for i in range(4000)])
    folds = split(rows, folds=5, test=0.0, validation=0.9, similarity=None).report["folds"]
    assert folds == pytest.approx([800] * 5, abs=120)


def test_folds_of_equal_classes_are_nothing_to_warn_of() -> None:
    rows = table([f"{i}" for i in range(4000)], topic=["a" if i % 4 else "诗" for i in range(4000)])
    found = split(rows, folds=5, test=0.2, stratify="topic", similarity=None)
    assert found.report["warnings"] == []
    assert found.report["parts"]["validation"] == pytest.approx(640, abs=40), "a fifth of what is not test"
