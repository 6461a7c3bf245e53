"""A document's part is a function of its text and the shares, so neither growth nor another order moves it."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.splits.assign import PARTS, assign, split_tables
from aigc.errors import AigcError

TEXTS = [f"Document number {i}." if i % 2 else f"第{i}篇文章。" for i in range(5000)]


def parts(texts: list[str], validation: float = 0.2, test: float = 0.2) -> list[str]:
    return assign(pl.Series(texts, dtype=pl.String), validation=validation, test=test).to_list()


def split(folder: Path, *tables: pl.DataFrame, validation: float = 0.2, test: float = 0.2) -> dict[str, pl.DataFrame]:
    folder.mkdir()
    paths = []
    for number, table in enumerate(tables):
        paths.append(folder / f"documents-{number:05d}.parquet")
        table.write_parquet(paths[-1])
    seen: list[int] = []
    counts = split_tables(paths, folder, validation=validation, test=test, advance=seen.append)
    assert sum(seen) == sum(map(len, tables))
    found = {name: pl.read_parquet(sorted(folder.glob(f"{name}-*.parquet"))) for name in PARTS}
    assert counts == {name: len(frame) for name, frame in found.items()}
    return found


@given(st.permutations(TEXTS[:30]), st.lists(st.text(max_size=10), max_size=5))
def test_order_and_growth_move_nobody(texts: list[str], more: list[str]) -> None:
    known = dict(zip(TEXTS[:30], parts(TEXTS[:30]), strict=True))
    assert parts([*more, *texts])[len(more) :] == [known[text] for text in texts]


@given(st.text(max_size=20), st.sampled_from([" ", "\n", "\t", "　", "\u00a0", "\r\n"]))
def test_white_space_does_not_matter(text: str, space: str) -> None:
    variants = [text, space + text, text + space, space.join(text)]
    assert len(set(parts(variants))) == 1


@pytest.mark.parametrize("rest", [TEXTS[::2], TEXTS[1::2]], ids=["zh", "en"])
@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.05, 0.3), (0.0, 0.5)])
def test_shares_are_near_what_was_asked_for(rest: list[str], validation: float, test: float) -> None:
    found = parts(rest, validation, test)
    assert found.count("test") / len(rest) == pytest.approx(test, abs=0.03)
    assert found.count("validation") / len(rest) == pytest.approx(validation, abs=0.03)


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_share_only_adds(a: float, b: float, other: float) -> None:
    small, large = sorted((a, b))
    texts = TEXTS[:50]
    for name, before, after in (
        ("test", parts(texts, other, small), parts(texts, other, large)),
        ("validation", parts(texts, small, other), parts(texts, large, other)),
    ):
        assert all(now == name for was, now in zip(before, after, strict=True) if was == name)


def test_without_shares_everything_is_train() -> None:
    assert set(parts(TEXTS[:200], 0, 0)) == {"train"}


def test_nothing_is_lost_and_columns_travel(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": [str(i) for i in range(300)], "text": TEXTS[:300], "标题": ["题"] * 300})
    found = split(tmp_path / "a", table[:100], table[100:])
    assert pl.concat(found.values()).sort("id").equals(table.sort("id"))
    again = split(tmp_path / "b", table.reverse())
    assert all(set(found[name]["id"]) == set(again[name]["id"]) for name in PARTS)


def test_a_part_that_was_not_asked_for_is_an_empty_file(tmp_path: Path) -> None:
    found = split(tmp_path / "a", pl.DataFrame({"id": ["1"], "text": ["只有一篇"]}), validation=0, test=0)
    assert [len(found[name]) for name in PARTS] == [1, 0, 0]


def test_an_empty_part_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"the validation part is empty.*raise split\.validation"):
        split(tmp_path / "a", pl.DataFrame({"id": ["1"], "text": ["one"]}), validation=1e-9, test=0)
