"""Measures of characters, lines, sentences and phrases have known values, for a Chinese and an English text alike."""

import polars as pl
import pytest

from aigc.core.rules.apply import apply, measure
from aigc.core.rules.measures.characters import (
    AlphanumericShare,
    Characters,
    DigitShare,
    HanShare,
    PunctuationShare,
    SymbolShare,
    UpperShare,
)
from aigc.core.rules.measures.lines import (
    Braces,
    BulletLines,
    EllipsisLines,
    LineBreaksPerWord,
    Lines,
    MeanLineLength,
    Sentences,
    ShortLines,
    TerminalLines,
)
from aigc.core.rules.measures.phrases import Phrases
from aigc.core.rules.measures.words import EllipsesPerWord
from aigc.core.rules.rule import Measure


def values(rule: Measure, *texts: str) -> list[float]:
    """What the rule measures, next to another that has a bound and counts."""
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)})
    found = apply(documents, [Characters(min=0), rule]).steps[1].values
    assert found is not None
    return found.to_list()


CHARACTERS: list[tuple[Measure, str, float]] = [
    (AlphanumericShare(), "ab 1,", 3 / 4),
    (AlphanumericShare(), "你好 1，", 3 / 4),
    (AlphanumericShare(), "", 0),
    (DigitShare(), "In 2024", 4 / 6),
    (DigitShare(), "２０２４年", 4 / 5),
    (DigitShare(), "二〇二四年", 0),  # Chinese numerals are Han characters
    (HanShare(), "我用 AI", 2 / 4),
    (HanShare(), "カナ is 2", 2 / 5),
    (HanShare(), "none", 0),
    (PunctuationShare(), "Hi, you!", 2 / 7),
    (PunctuationShare(), "你好，世界！", 2 / 6),
    (PunctuationShare(), "《好》——“是”…", 7 / 9),
    (SymbolShare(), "a+b=c", 2 / 5),
    (SymbolShare(), "甲＋乙", 1 / 3),
    (SymbolShare(), "诗：□□山", 0),  # a lost character in an old poem is no symbol
    (SymbolShare(), "cafe\u0301", 0),  # nor is an accent
    (UpperShare(), "ABc d", 2 / 4),
    (UpperShare(), "ＡB天天", 2 / 4),
    (UpperShare(), "天天", 0),
]
LINES: list[tuple[Measure, str, float]] = [
    (Lines(), "one\n\n \u3000\ntwo\n", 2),
    (Lines(), "一\r\n\r\n二", 2),
    (Lines(), " \n", 0),
    (TerminalLines(), 'A.\nB!\nC?\n"D"\nno\nmore,', 4 / 6),
    (TerminalLines(), "甲。\n乙！\n丙？\n“丁。”\n没有\n还有，", 4 / 6),
    (TerminalLines(), "「好」 \n『好』\u3000\n好。\r\n", 1),
    (TerminalLines(), "ends in dots...\nends in one…", 0),
    (TerminalLines(), "", 0),
    (BulletLines(), "- one\n* two\n-three\ntext", 2 / 4),
    (BulletLines(), "• 一\n●二\n　· 三\n第四", 3 / 4),
    (BulletLines(), "—他说\n正文", 1 / 2),
    (EllipsisLines(), "read on...\nend.\nmore…", 2 / 3),
    (EllipsisLines(), "未完……\n完。", 1 / 2),
    (EllipsisLines(), "two dots..", 0),
    (ShortLines(), "x" * 30 + "\n" + "y" * 31, 1 / 2),
    (ShortLines(), "  " + "字" * 30 + "  \n" + "字" * 31, 1 / 2),
    (MeanLineLength(), " a b \nabcde\n", 4),
    (MeanLineLength(), "一二三\n\n四五六七八", 4),
    (MeanLineLength(), "", 0),
    (LineBreaksPerWord(), "a b\nc d", 1 / 4),
    (LineBreaksPerWord(), "天气\n\n\n很好", 1 / 4),  # blank lines are no breaks of their own
    (LineBreaksPerWord(), "……\n！\n", 1),  # no words count as one
    (LineBreaksPerWord(), "", 0),
    (Sentences(), "One. Two! Three? four", 3),
    (Sentences(), "一。二！三？四", 3),
    (Sentences(), 'He said "go." Then "why?"', 2),
    (Sentences(), "他说：“走吧。”她问：“去哪？！”", 2),
    (Sentences(), "pi is 3.14, v1.2 of a.b", 0),
    (Sentences(), "What?!\nOh...", 2),
    (Sentences(), "什么？！\n好吧。。。", 2),
    (Sentences(), "", 0),
    (Braces(), "if (x) { y; } {}", 2),
    (Braces(), "函数（x）｛｝{", 1),
]
PHRASES: list[tuple[Measure, str, float]] = [
    (Phrases(phrases=["lorem ipsum"]), "Lorem ipsum, LOREM IPSUM; lorem  ipsum", 2),
    (Phrases(phrases=["版权所有", "免责声明"]), "版权所有，免责声明：版权所有", 3),
    (Phrases(phrases=["a.b", "c|d", "(e)"]), "axb a.b c c|d e (e)", 3),  # taken as they stand, not as patterns
    (Phrases(phrases=["#tag", "50% off", "a-b", "x\ny"]), "#TAG 50% OFF a-b x\ny", 4),
    (Phrases(phrases=["É"]), "é É e", 2),
]


@pytest.mark.parametrize(("rule", "text", "expected"), CHARACTERS + LINES + PHRASES)
def test_the_value_is_known(rule: Measure, text: str, expected: float) -> None:
    assert values(rule, text) == [pytest.approx(expected)]


@pytest.mark.parametrize("cases", [CHARACTERS, LINES, PHRASES], ids=["characters", "lines", "phrases"])
def test_values_in_a_batch_are_those_of_each_text_alone(cases: list[tuple[Measure, str, float]]) -> None:
    texts = [text for _, text, _ in cases]
    for i, (rule, _, expected) in enumerate(cases):
        assert values(rule, *texts)[i] == pytest.approx(expected)


@pytest.mark.parametrize("rule", [Characters(), Lines(), Sentences(), TerminalLines()], ids=lambda rule: type(rule).__name__)
def test_an_old_line_break_is_white_space(rule: Measure) -> None:
    assert values(rule, "One.\r\nTwo.") == values(rule, "One.\nTwo.")


@pytest.mark.parametrize("texts", [[], ["a", "天气"]])
def test_a_measure_without_bounds_measures_any_number_of_texts(texts: list[str]) -> None:
    found = measure(pl.Series(texts, dtype=pl.String), Characters())
    assert found.to_list() == [len(text) for text in texts]


def test_a_measure_of_the_text_alone_needs_no_other() -> None:
    documents = pl.DataFrame({"id": ["1", "2"], "text": ["lorem ipsum", "好"]})
    assert apply(documents, [Phrases(phrases=["lorem ipsum"], max=0)]).kept["id"].to_list() == ["2"]


def test_one_ellipsis_in_chinese_is_one_ellipsis() -> None:
    assert values(EllipsesPerWord(), "好……", "a...") == [1, 1]
