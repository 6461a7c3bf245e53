"""Measures of words have known values, in Chinese and in English, and agree with plain Python."""

import math
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_units import tiny, vocabulary_of, words_of

from aigc.core.rules.apply import apply
from aigc.core.rules.measures.words import (
    AlphabeticWords,
    EllipsesPerWord,
    HashesPerWord,
    LongestWord,
    MeanWordLength,
    StopWords,
    UniqueWords,
    WordEntropy,
    Words,
)
from aigc.core.rules.rule import Measure

FULL = settings(max_examples=20, deadline=None)
WORDY = st.lists(st.sampled_from(["the ", "The", " of", "cat", "的", "好", "了", "。", " ", "\n", "1"]), max_size=40).map("".join)
BATCHES = st.lists(WORDY, min_size=1, max_size=4)


def values(rule: Measure, *texts: str) -> list[float]:
    """What the rule measures, next to another that has a bound."""
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)})
    found = apply(documents, [Words(min=0), rule]).steps[1].values
    assert found is not None
    return found.to_list()


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (Words(), "Don't panic, it's 10 o'clock", 5),
        (Words(), "别慌，现在10点", 6),
        (Words(), "", 0),
        (MeanWordLength(), "a bcd", 2),
        (MeanWordLength(), "天气 good", 2),  # 天, 气, good
        (MeanWordLength(), "！？", 0),
        (LongestWord(), "a well-known fact", 10),
        (LongestWord(), "非常非常长的一句话没有空格", 1),
        (LongestWord(), "", 0),
        (AlphabeticWords(), "12 cats 3 b4", 2 / 4),
        (AlphabeticWords(), "12 只猫 3", 2 / 4),
        (AlphabeticWords(), "１２", 0),
        (AlphabeticWords(), "", 0),
        (UniqueWords(), "a A b c", 3 / 4),  # case does not matter
        (UniqueWords(), "好好学习", 3 / 4),
        (UniqueWords(), "Ａ a", 1 / 2),  # nor does width
        (UniqueWords(), "", 0),
        (WordEntropy(), "a b c d", math.log(4)),
        (WordEntropy(), "天天好好", math.log(2)),
        (WordEntropy(), "a a a b", math.log(4) - 3 * math.log(3) / 4),
        (WordEntropy(), "same same", 0),
        (WordEntropy(), "", 0),
        (HashesPerWord(), "# a ## b c d", 3 / 4),
        (HashesPerWord(), "#话题#很好", 2 / 4),
        (HashesPerWord(), "###", 3),
        (EllipsesPerWord(), "a... b... c", 2 / 3),
        (EllipsesPerWord(), "嗯…好…", 2 / 2),
        (EllipsesPerWord(), "a.. b.", 0),
        (EllipsesPerWord(), "so......", 1),  # a row of dots is one ellipsis
        (StopWords(words=["the", "of"]), "The theory of THE cat", 2),
        (StopWords(words=["的", "了"]), "我的书，你的书", 1),
        (StopWords(words=["don't"]), "I don't", 1),
        (StopWords(words=["don't"]), "do not dont", 0),
        (StopWords(words=["the", "The", "的"]), "the 的", 2),  # one written twice counts once
    ],
)
def test_the_value_is_known(rule: Measure, text: str, expected: float) -> None:
    assert values(rule, text) == [pytest.approx(expected, abs=1e-9)]


RULES = [MeanWordLength(), UniqueWords(), WordEntropy(), StopWords(words=["the", "of", "的"])]


def all_values(*texts: str) -> list[list[float]]:
    """What RULES measure: a list for each."""
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)})
    return [step.values.to_list() for step in apply(documents, [Words(min=0), *RULES]).steps[1:] if step.values is not None]


def in_plain_python(text: str) -> list[float]:
    """What RULES should measure."""
    words = vocabulary_of(text)
    size, counts = max(len(words), 1), Counter(words)
    return [
        sum(end - start for start, end in words_of(text)) / size,
        len(counts) / size,
        -sum(count / size * math.log(count / size) for count in counts.values()),
        len({"the", "of", "的"} & set(words)),
    ]


@FULL
@given(texts=BATCHES, piece=st.integers(1, 50))
def test_values_are_those_of_plain_python_in_any_batch_and_pieces(texts: list[str], piece: int) -> None:
    expected = [in_plain_python(text) for text in texts]
    found = all_values(*texts)
    with tiny(piece):
        cut = all_values(*texts)
    for i, text in enumerate(texts):
        for one in ([of[i] for of in found], [of[i] for of in cut], [of[0] for of in all_values(text)]):
            assert one == pytest.approx(expected[i], abs=1e-9)


def test_two_lists_of_stop_words_do_not_mix() -> None:
    documents = pl.DataFrame({"id": ["1"], "text": ["the cat 的"]})
    steps = apply(documents, [StopWords(words=["the"], min=0), StopWords(words=["的", "the", "了"], min=0)]).steps
    assert [step.values.item() for step in steps if step.values is not None] == [1, 2]


def test_the_default_stop_words_tell_text_from_lists_in_both_languages() -> None:
    prose = ["The train was late, but we had a good time.", "他们在山上看见了一只很大的鸟。"]
    lists = ["Red, green, blue, yellow, orange", "苹果、香蕉、西瓜、草莓"]
    assert min(values(StopWords(), *prose)) >= 2
    assert max(values(StopWords(), *lists)) < 2


def test_a_stop_word_counts_once_in_a_long_text() -> None:
    with tiny(4, 8):
        assert values(StopWords(words=["the"]), "the cat, the dog, the cow") == [1]


def test_stop_words_without_letters_are_found_nowhere() -> None:
    assert values(StopWords(words=["…"]), "a b") == [0]
