"""Ids are given, or made from the text, and each is used once: as one document after the other would get them."""

import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.documents import ids
from aigc.core.documents.ids import Ids

NAMES = st.sampled_from([None, "", "x", "x#2", "x#3", "x#2#2", "y", "字", "y#10"])
BATCHES = st.lists(st.lists(st.tuples(NAMES, st.sampled_from(["one", "二", ""])), max_size=9), max_size=4)


def one_by_one(batches: list[list[tuple[str | None, str]]]) -> tuple[list[list[str]], int]:
    """What the ids are, said in the plainest way."""
    used: set[str] = set()
    renamed = 0
    all_names = []
    for batch in batches:
        names = []
        for name, text in batch:
            wanted = unique = name or hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
            count = 1
            while unique in used:
                count += 1
                unique = f"{wanted}#{count}"
            used.add(unique)
            names.append(unique)
            renamed += count > 1
        all_names.append(names)
    return all_names, renamed


@settings(max_examples=300, deadline=None)
@given(batches=BATCHES, few=st.integers(1, 4))
def test_batches_get_the_ids_that_single_documents_would_get(batches: list[list[tuple[str | None, str]]], few: int) -> None:
    made = Ids()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "FEW_REPEATS", few)
        found = []
        for batch in batches:
            given_names = pl.Series([name for name, _ in batch], dtype=pl.String)
            found.append(made.unique(given_names, pl.Series([text for _, text in batch], dtype=pl.String)).to_list())
    expected, renamed = one_by_one(batches)
    assert found == expected
    assert made.renamed == renamed


def test_ids_of_content_are_what_they_always_were() -> None:
    made = Ids().unique(None, pl.Series(["The first.", "第二篇。"]))
    assert made.to_list() == ["3040bd16ff53178d", "17340e08f0e89910"]


def test_many_repeats_of_one_id_are_numbered_in_linear_time() -> None:
    made = Ids()
    names = [made.unique(pl.repeat("x", 5000, eager=True), pl.repeat("", 5000, eager=True)) for _ in range(4)]
    assert names[-1][-1] == "x#20000"
    assert made.renamed == 19_999


def test_a_key_costs_eight_bytes_in_few_arrays() -> None:
    made = Ids()
    for start in range(0, 200_000, 1000):
        made.unique(pl.int_range(start, start + 1000, eager=True), pl.repeat("", 1000, eager=True))
    runs = made._used._runs
    assert sum(run.nbytes for run in runs) == 8 * 200_000
    assert len(runs) < 12
