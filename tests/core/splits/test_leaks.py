"""The leak check finds what is planted between parts, by reading the files alone."""

from pathlib import Path

import polars as pl
import pytest
from splitting import near, table, texts

from aigc.core.splits.leaks import Leak, Leaks, find_leaks, refuse_leaks
from aigc.errors import AigcError

TEXTS = texts(60, seed=6)


def written(folder: Path, **parts: list[str]) -> Path:
    for name in ("train", "validation", "test"):
        rows = table(parts.get(name, []))
        rows.with_columns(id=pl.format(f"{name}{{}}", "id"), text=pl.col("text").cast(pl.String)).write_parquet(
            folder / f"{name}-00000.parquet"
        )
    return folder


def test_parts_that_share_nothing(tmp_path: Path) -> None:
    found = find_leaks(written(tmp_path, train=TEXTS[:40], validation=TEXTS[40:50], test=TEXTS[50:]), similarity=0.7)
    assert (found.exact, found.near, found.share, found.ngram_share, found.pairs) == (0, 0, 0, 0, [])
    assert found.ngram_documents == 20
    refuse_leaks(found, max_leak=0.0, cluster_field=None)


def test_copies_and_near_duplicates_are_told_apart_and_counted_by_document(tmp_path: Path) -> None:
    train = [*TEXTS[:20], " ".join(TEXTS[0]), near(TEXTS[1], 1), near(TEXTS[1], 2)]
    validation = [TEXTS[0], *TEXTS[20:24]]
    test = [near(TEXTS[1], 3), near(TEXTS[20]), *TEXTS[24:27]]
    found = find_leaks(written(tmp_path, train=train, validation=validation, test=test), similarity=0.7)
    assert (found.exact, found.near) == (1, 2)
    assert found.parts == {
        "validation in train": {"documents": 5, "exact": 1, "near": 0},
        "test in train": {"documents": 5, "exact": 0, "near": 1},
        "test in validation": {"documents": 5, "exact": 0, "near": 1},
    }
    assert found.share == pytest.approx(0.2), "two of ten are in train; the third only in validation"
    assert found.pairs[0] == Leak("validationd0", "validation", "traind0", "train", 1.0), "white space aside"
    assert [(leak.id, leak.other_part) for leak in found.pairs[1:]] == [("testd0", "train"), ("testd1", "validation")]
    assert all(0.7 <= leak.similarity < 1 for leak in found.pairs[1:])


def test_a_shared_passage_is_no_copy_but_is_told(tmp_path: Path) -> None:
    """13 units in a row, in English and in Chinese, inside documents that have nothing else in common; 12 are not enough."""
    english, chinese = TEXTS[2], TEXTS[3]
    test = [
        f"{TEXTS[4][:-1]} {' '.join(english.split()[5:18])}",
        f"{TEXTS[5][:-1]}{chinese[5:18]}",
        f"{TEXTS[7][:-1]}{chinese[5:17]}",
    ]
    found = find_leaks(written(tmp_path, train=TEXTS[:4], test=test), similarity=0.7)
    assert (found.exact, found.near, found.ngram_documents) == (0, 0, 3)
    assert found.ngram_share == pytest.approx(2 / 3)


def test_copies_alone_where_no_similarity_is_asked_for(tmp_path: Path) -> None:
    folder = written(tmp_path, train=TEXTS[:4], test=[TEXTS[0], near(TEXTS[1])])
    found = find_leaks(folder, similarity=None)
    assert (found.exact, found.near) == (1, None)


def test_no_more_than_a_hundred_pairs_are_listed(tmp_path: Path) -> None:
    many = texts(130, units=8, seed=7)
    found = find_leaks(written(tmp_path, train=many, test=many), similarity=None)
    assert found.exact == 130
    assert len(found.pairs) == 100


def test_too_many_leaks_stop_the_stage(tmp_path: Path) -> None:
    folder = written(tmp_path, train=TEXTS[:10], validation=TEXTS[20:22], test=[TEXTS[0], *TEXTS[30:37]])
    found = find_leaks(folder, similarity=0.7)
    message = (
        r"1 of 10 held-out documents have a copy in train, more than split\.max_leak allows \(0\.05\): testd0 = traind0 \(1\.00\)$"
    )
    with pytest.raises(AigcError, match=message):
        refuse_leaks(found, max_leak=0.05, cluster_field=None)
    refuse_leaks(found, max_leak=0.1, cluster_field=None)
    with pytest.raises(
        AigcError, match=r"the clusters came from the column 'cluster': set split\.cluster_field=null to search for them"
    ):
        refuse_leaks(found, max_leak=0.0, cluster_field="cluster")


def test_an_empty_part_leaks_nothing(tmp_path: Path) -> None:
    found = find_leaks(written(tmp_path, train=TEXTS[:5]), similarity=0.7)
    assert isinstance(found, Leaks)
    assert found.share == 0
