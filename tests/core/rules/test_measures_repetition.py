"""Measures of repetition have known values in Chinese and in English: only true repeats count, and no character twice."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_units import tiny

from aigc.core.rules.apply import apply
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.measures.repetition import (
    DuplicateLineCharacters,
    DuplicateLines,
    DuplicateNgrams,
    DuplicateParagraphCharacters,
    DuplicateParagraphs,
    TopNgram,
)
from aigc.core.rules.rule import Measure
from aigc.core.rules.table import name_of

EVERY: list[Measure] = [
    DuplicateLines(),
    DuplicateLineCharacters(),
    DuplicateParagraphs(),
    DuplicateParagraphCharacters(),
    *(TopNgram(n=n) for n in (2, 3, 4)),
    *(DuplicateNgrams(n=n) for n in range(5, 11)),
]
TEXTS = st.lists(st.sampled_from(["a ", "b ", "cat ", "好", "的", "。", "\n", "\n\n"]), max_size=60).map("".join)


def values(rule: Measure, *texts: str) -> list[float]:
    """What the rule measures, next to another that has a bound."""
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)})
    found = apply(documents, [Characters(min=0), rule]).steps[1].values
    assert found is not None
    return found.to_list()


TEN = "one two three four five six seven eight nine ten"  # 39 letters
TEN_ZH = "春夏秋冬东南西北上下"


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (DuplicateLines(), "a\nb\na\nA \na", 3 / 5),  # the first does not count; case and spaces at the ends do not matter
        (DuplicateLines(), "甲\n乙\n\n甲", 1 / 3),
        (DuplicateLines(), "ABC\nＡＢＣ", 1 / 2),
        (DuplicateLines(), "", 0),
        (DuplicateLineCharacters(), "abc\nabc\nx", 3 / 7),
        (DuplicateLineCharacters(), "上山去\n上山去\n下", 3 / 7),
        (DuplicateLineCharacters(), "a b\na  b", 0),  # spaces inside a line make it another
        (DuplicateParagraphs(), "a\nb\n\na\nb\n\nc", 1 / 3),
        (DuplicateParagraphs(), "甲\n乙\n \n\n甲\n乙", 1 / 2),
        (DuplicateParagraphs(), "a\nb\na\nb", 0),  # one paragraph of four lines
        (DuplicateParagraphCharacters(), "abcd\n\nabcd", 1 / 2),
        (DuplicateParagraphCharacters(), "春天来了\n\n春天来了\n\n夏天", 4 / 10),
        (TopNgram(n=2), "a b c a b", 4 / 5),
        (TopNgram(n=2), "天气好天气", 4 / 5),
        (TopNgram(n=2), "long word aa aa aa", 8 / 14),  # overlapping ones count each
        (TopNgram(n=3), "ab c d x ab c d", 8 / 9),
        (TopNgram(n=3), "我们去他们去我们去", 6 / 9),
        (TopNgram(n=4), "a b c d", 0),  # it stands once: nothing repeats
        (TopNgram(n=4), "一二三四五一二三四", 8 / 9),
        (TopNgram(n=2), "xx yy. a a a a a", 8 / 9),  # the one with most characters, not the commonest
        (DuplicateNgrams(n=5), f"{TEN} {TEN}", 1 / 2),
        (DuplicateNgrams(n=10), f"{TEN}\n\n{TEN}", 1 / 2),
        (DuplicateNgrams(n=10), TEN_ZH + "。" + TEN_ZH, 1 / 2),
        (DuplicateNgrams(n=5), TEN_ZH * 3, 2 / 3),
        (DuplicateNgrams(n=10), f"{TEN} only nine: {TEN[4:]}", 0),
        (DuplicateNgrams(n=9), f"{TEN} only: {TEN[4:]}", 36 / 79),
        (DuplicateNgrams(n=5), "a a a a a a", 5 / 6),  # overlapping repeats, but each character once
        (DuplicateNgrams(n=5), "好" * 6, 5 / 6),
        (DuplicateNgrams(n=5), "a b c d", 0),
        (DuplicateNgrams(n=5), "", 0),
    ],
)
def test_the_value_is_known(rule: Measure, text: str, expected: float) -> None:
    assert values(rule, text) == [pytest.approx(expected)]


@pytest.mark.parametrize("rule", EVERY, ids=name_of)
def test_what_stands_once_repeats_nothing(rule: Measure) -> None:
    texts = [TEN, TEN_ZH, "A short one.", "一句话。", "x", "", "One line.\n\nAnother line.\nA third."]
    assert values(rule, *texts) == [0] * len(texts)


@pytest.mark.parametrize("rule", EVERY, ids=name_of)
def test_other_documents_are_no_repeats(rule: Measure) -> None:
    assert values(rule, TEN_ZH, TEN_ZH, TEN, TEN) == [0] * 4


@pytest.mark.parametrize("n", range(5, 11))
def test_an_endless_loop_is_nearly_all_repetition(n: int) -> None:
    assert min(values(DuplicateNgrams(n=n), "the end is near " * 50, "我们都是好孩子，" * 50)) > 0.9


@settings(max_examples=12, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), piece=st.integers(1, 60))
def test_values_are_shares_and_depend_neither_on_the_batch_nor_on_its_pieces(texts: list[str], piece: int) -> None:
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": texts})

    def all_values(documents: pl.DataFrame) -> list[list[float]]:
        steps = apply(documents, [Characters(min=0), *EVERY]).steps[1:]
        return [step.values.to_list() for step in steps if step.values is not None]

    together = all_values(documents)
    assert all(0 <= value <= 1 for rule, of in zip(EVERY, together, strict=True) for value in of if not isinstance(rule, TopNgram))
    assert [[of[i] for of in together] for i in range(len(texts))] == [
        [of[0] for of in all_values(documents[i : i + 1])] for i in range(len(texts))
    ]
    with tiny(piece):
        assert all_values(documents) == together


@settings(max_examples=12, deadline=None)
@given(text=TEXTS)
def test_longer_ngrams_repeat_no_more_than_shorter_ones(text: str) -> None:
    steps = apply(pl.DataFrame({"id": ["1"], "text": [text]}), [Characters(min=0), *EVERY[-6:]]).steps[1:]
    shares = [step.values.item() for step in steps if step.values is not None]
    assert len(shares) == 6
    assert shares == sorted(shares, reverse=True)


@settings(max_examples=20, deadline=None)
@given(text=TEXTS.filter(lambda text: bool(text.strip())))
def test_said_twice_half_of_it_repeats(text: str) -> None:
    """Two copies as paragraphs: at least half of the lines and of the paragraphs are repeats."""
    doubled = f"{text}\n\n{text}"
    assert values(DuplicateLines(), doubled)[0] >= 0.5
    assert values(DuplicateParagraphs(), doubled)[0] >= 0.5


@pytest.mark.parametrize("text", ["a\nb\n\na\nb", "床前\n明月\n\n床前\n明月"])
def test_half_of_the_characters_of_two_equal_paragraphs_repeat(text: str) -> None:
    assert values(DuplicateParagraphCharacters(), text) == [pytest.approx(1 / 2)]
