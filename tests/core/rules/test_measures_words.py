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

FULL = settings(max_examples=60, deadline=None)
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
    assert values(rule, text) == [pytest.approx(expected, abs=1e-12)]


@FULL
@given(texts=BATCHES)
def test_values_are_those_of_plain_python(texts: list[str]) -> None:
    for i, text in enumerate(texts):
        words = vocabulary_of(text)
        size, counts = max(len(words), 1), Counter(words)
        expected = {
            Words(): len(words),
            MeanWordLength(): sum(end - start for start, end in words_of(text)) / size,
            UniqueWords(): len(counts) / size,
            WordEntropy(): -sum(count / size * math.log(count / size) for count in counts.values()),
            StopWords(words=["the", "of", "的"]): len({"the", "of", "的"} & set(words)),
        }
        for rule, value in expected.items():
            assert values(rule, *texts)[i] == pytest.approx(value, abs=1e-9), rule


@FULL
@given(texts=BATCHES, piece=st.integers(1, 50))
def test_values_do_not_depend_on_the_batch_or_its_pieces(texts: list[str], piece: int) -> None:
    for rule in (StopWords(), UniqueWords(), WordEntropy(), MeanWordLength()):
        together = values(rule, *texts)
        assert [values(rule, text)[0] for text in texts] == pytest.approx(together)
        with tiny(piece):
            assert values(rule, *texts) == pytest.approx(together)


def test_two_lists_of_stop_words_do_not_mix() -> None:
    documents = pl.DataFrame({"id": ["1"], "text": ["the cat 的"]})
    steps = apply(documents, [StopWords(words=["the"], min=0), StopWords(words=["的", "the", "了"], min=0)]).steps
    assert [step.values.item() for step in steps if step.values is not None] == [1, 2]


def test_the_default_stop_words_tell_text_from_lists_in_both_languages() -> None:
    prose = ["The train was late, but we had a good time.", "他们在山上看见了一只很大的鸟。"]
    lists = ["Red, green, blue, yellow, orange", "苹果、香蕉、西瓜、草莓"]
    assert min(values(StopWords(), *prose)) >= 2
    assert max(values(StopWords(), *lists)) < 2


@pytest.mark.xfail(strict=True, reason="the pieces of a text over 2^19 characters are added up, so that one stop word counts often")
def test_a_stop_word_counts_once_in_a_long_text() -> None:
    with tiny(4, 8):
        assert values(StopWords(words=["the"]), "the cat, the dog, the cow") == [1]


@pytest.mark.xfail(strict=True, raises=IndexError, reason="a list whose words hold no letter makes an empty table of hashes")
def test_stop_words_without_letters_are_found_nowhere() -> None:
    assert values(StopWords(words=["…"]), "a b") == [0]
