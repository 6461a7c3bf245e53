"""Every passage that is long enough shares a window with the index, wherever it begins; windows know no case, width or mark."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.copies.letters import OVERLAP, PART, STRIDE, WINDOW, folded, letters, letters_of, parts

MIXED = "abcdefghijklmnop雨天早市春眠不觉晓处处闻啼鸟0123456789，。, .!"


def windows(text: str, *, every: bool) -> set[int]:
    return {int(one) for one in letters_of(text).windows(every=every)[1]}


@given(st.text(MIXED, max_size=120), st.text(MIXED, min_size=60, max_size=90), st.text(MIXED, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_passage_of_enough_letters_shares_a_window_with_the_index(before: str, passage: str, behind: str) -> None:
    document, quote = before + "a" + passage + "b" + behind, passage
    weight = int(letters_of(quote).weights[-1])
    if weight >= WINDOW + STRIDE + 4:  # a window may be two letters' weight longer, and so may the step be
        assert windows(document, every=False) & windows(quote, every=True)


@pytest.mark.parametrize(("letter", "least"), [("q", 31), ("雨", 10)])
def test_least_letters_are_as_they_are_told(letter: str, least: int) -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz" if letter == "q" else "".join(chr(0x4E00 + i) for i in range(300))
    rng = np.random.default_rng(1)
    document = "".join(rng.choice(list(alphabet), 400))
    held = windows(document, every=False)
    assert all(held & windows(document[start : start + least], every=True) for start in range(400 - least))
    assert any(not held & windows(document[start : start + least - 1], every=True) for start in range(400 - least))


def test_case_width_marks_and_white_space_change_no_window() -> None:
    plain = "The committee met on Tuesday and decided on 12 bridges"
    other = "the COMMITTEE met, on:\n\nTuesday（and decided）on １２ ｂridges!"
    assert windows(plain, every=True) == windows(folded(pl.Series([other]))[0], every=True) != set()


def test_windows_do_not_reach_into_the_next_text_and_are_the_same_alone() -> None:
    texts = ["a" * 23, "", "雨" * 8, "bcdefghijk" * 5, "。，", "雨" * 7 + "ab", "x" * 24]
    together: list[set[int]] = [set() for _ in texts]
    for every in (True, False):
        for number, some in letters(pl.Series(texts)):
            at, hashes = some.windows(every=every)
            for text, value in zip(np.searchsorted(some.first, at, side="right") - 1, hashes, strict=True):
                together[number + text].add(int(value))
    assert together == [windows(text, every=True) | windows(text, every=False) for text in texts]
    assert [len(found) > 0 for found in together] == [False, False, True, True, False, False, True]


def test_long_texts_are_cut_and_nothing_between_two_parts_is_lost() -> None:
    text = "".join(chr(0x4E00 + i % 20_000) for i in range(3 * PART))
    cut, owners, numbers = parts(pl.Series(["short", text, ""]))
    assert owners.tolist() == [0, *[1] * (len(cut) - 2), 2]
    assert numbers.tolist() == [0, *range(len(cut) - 2), 0]
    assert cut[1] + "".join(part[OVERLAP:] for part in cut[2:-1]) == text
    assert max(map(len, cut)) <= PART
