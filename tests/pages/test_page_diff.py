"""Differences: nothing is lost, changes are marked by word or character, and no text makes it slow."""

import difflib
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages import diff as page_diff
from aigc.pages.diff import diff, differences

near = st.text(alphabet="ab .\n中文，", max_size=60)


def marked(html: str, name: str) -> list[str]:
    return [str(node.text()) for node in HTMLParser(html).css(name)]


@settings(deadline=None)
@given(st.one_of(near, st.text()), st.one_of(near, st.text()))
def test_the_runs_are_the_two_texts(left: str, right: str) -> None:
    runs = differences(left, right)
    assert "".join(run[0] for run in runs) == left
    assert "".join(run[1] for run in runs) == right
    assert all((one == other) if same else (one != other) for one, other, same in runs)


def test_a_changed_word_is_marked_alone() -> None:
    html = diff("The council met on Tuesday, at noon.", "The council met on Monday, at noon.")
    assert (marked(html, "del"), marked(html, "ins")) == (["Tuesday"], ["Monday"])


def test_a_changed_chinese_character_is_marked_alone() -> None:
    html = diff("委员会星期二开会讨论。", "委员会星期三开会讨论。")
    assert (marked(html, "del"), marked(html, "ins")) == (["二"], ["三"])


def test_words_changed_in_a_row_are_one_change() -> None:
    assert marked(diff("a red old pier here", "a blue new pier here"), "del") == ["red old"]


def test_changed_white_space_can_be_seen() -> None:
    html = diff("one  two\u3000three\u200b", "one two three")
    assert any("·" in mark for mark in marked(html, "del"))
    assert any("␣" in mark for mark in marked(html, "del"))
    assert any("[U+200B]" in mark for mark in marked(html, "del"))


def test_long_sameness_is_folded() -> None:
    long = "the same words again and again, " * 40
    html = diff(f"{long}old {long}", f"{long}new {long}")
    assert marked(html, "del") == ["old"], "a change in the middle is shown, not cut off"
    assert len(HTMLParser(html).css(".fold")) == 4
    assert len(html) < 1500


def test_markup_in_texts_is_shown() -> None:
    html = diff("<p>a</p><script>x()</script>", "a")
    assert not HTMLParser(html).css("script, .text p")
    assert "<script>" in "".join(node.text() for node in HTMLParser(html).css(".text"))


def test_texts_cut_at_one_length_do_not_differ_at_their_ends() -> None:
    body = "".join(chr(0x4E00 + i) for i in range(2_100))
    html = diff(f"旧{body}"[:2_000], body[:2_000])
    assert (marked(html, "del"), marked(html, "ins")) == (["旧"], [])


def test_difflib_gets_no_text_that_makes_it_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of few different tokens are its worst case: 1,000 tokens of `aab` take it 8 s."""
    pairs: list[int] = []

    class Counting(difflib.SequenceMatcher[str]):
        def __init__(self, isjunk: Callable[[str], bool], a: Sequence[str], b: Sequence[str], autojunk: bool) -> None:
            there = Counter(token for token in b if not isjunk(token))
            pairs.append(sum(there[token] for token in a))
            super().__init__(isjunk, a, b, autojunk)

    monkeypatch.setattr(page_diff, "SequenceMatcher", Counting)
    texts = [
        ("aab" * 700, "abb" * 700),
        ("a b " * 500, "b b a " * 400),
        ("中中文" * 600, "中文文" * 600),
        ("x" * 2_000, "y" * 2_000),
    ]
    texts += [("a. a. b. " * 220, "a. b. b. " * 220), (". " * 90_000, ".\n" * 90_000)]
    for left, right in texts:
        left, right = " ".join(left) if left.isalpha() else left, " ".join(right) if right.isalpha() else right
        diff(left, right)
    assert pairs
    assert max(pairs) <= 40_000


def test_equal_and_empty_texts() -> None:
    for left, right in (("", ""), ("a", "a"), ("a", ""), (None, "a")):
        html = diff(left, right)
        assert len(HTMLParser(html).css(".text")) == 2
        assert bool(marked(html, "ins, del")) == (left != right)
