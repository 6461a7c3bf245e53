"""Equal documents leave one, white space aside."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repeating import clean

from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.edits.unicode import Whitespace

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.lists(st.text(alphabet="a好 \n\u3000。", max_size=4), min_size=1, max_size=12)


def frame(*texts: str, first: int = 0) -> pl.DataFrame:
    ids = [f"s{first + i}" for i in range(len(texts))]
    return pl.DataFrame({"id": ids, "text": list(texts)}, schema={"id": pl.String, "text": pl.String})


@pytest.mark.parametrize(
    "other", ["春天 来了", " 春天来了\n", "春\u3000天来了", "春天\r\n\t来了", "春天\u00a0来了", "春\u2003天来了"]
)
def test_white_space_of_any_kind_is_aside(tmp_path: Path, other: str) -> None:
    cleaned = clean(tmp_path, [("a", "春天来了"), ("b", other)], [ExactDuplicates()])
    assert cleaned.found() == {"a": ("b", 1.0)}, "the longer one stays"


@pytest.mark.parametrize("other", ["春天来了。", "春天來了", "春天来", "Spring", "ｓpring", "spring\u0301"])
def test_any_other_difference_counts(tmp_path: Path, other: str) -> None:
    assert len(clean(tmp_path, [("a", "春天来了"), ("b", other), ("c", "spring")], [ExactDuplicates()]).kept) == 3


@QUICK
@given(texts=TEXTS, data=st.data())
def test_each_group_leaves_its_longest_then_the_smallest_id(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    rows = [(f"{i * 7 % 13:02}", text) for i, text in enumerate(texts)]
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, text in rows:
        groups.setdefault("".join(text.split()), []).append((-len(text), name))
    keepers = {key: min(group)[1] for key, group in groups.items()}
    wanted = {name: (keepers[key], 1.0) for key, group in groups.items() for _, name in group if name != keepers[key]}
    shuffled = data.draw(st.permutations(rows))
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=3))
    cleaned = clean(tmp_path_factory.mktemp("exact"), shuffled, [ExactDuplicates()], cuts)
    assert cleaned.found() == wanted
    assert cleaned.kept == set(keepers.values())


def test_drop_false_keeps_both_and_names_the_cluster(tmp_path: Path) -> None:
    cleaned = clean(tmp_path, [("a", "same"), ("b", "same"), ("c", "other")], [ExactDuplicates(drop=False)])
    assert cleaned.found("marked") == {"b": ("a", 1.0)}
    assert cleaned.documents["cluster"].to_list() == ["a", "a", "c"]
    assert cleaned.account.dropped == 0


def test_a_batch_from_which_all_were_dropped_is_no_trouble(tmp_path: Path) -> None:
    rules = [ExactDuplicates(), Whitespace(), ExactDuplicates()]
    cleaned = clean(tmp_path, [("a", "same"), ("b", "same"), ("c", "same")], rules, cuts=[1, 2])
    assert cleaned.kept == {"a"}


@QUICK
@given(texts=TEXTS, cut=st.integers(0, 12))
def test_of_samples_the_first_stays_across_batches(texts: list[str], cut: int) -> None:
    seen, rules = Seen(), [ExactDuplicates()]
    kept: list[str] = []
    for first, batch in ((0, texts[:cut]), (min(cut, len(texts)), texts[cut:])):
        kept += apply(frame(*batch, first=first), rules, seen).kept["id"].to_list()
    first_of = {"".join(text.split()): f"s{i}" for i, text in reversed(list(enumerate(texts)))}
    assert kept == sorted(first_of.values(), key=lambda name: int(name[1:]))
