"""Measures count both languages alike, and the first bound that a value breaks is the reason, in words."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.apply import apply, language_of, measure
from aigc.core.rules.measures.characters import Characters, SymbolShare
from aigc.core.rules.measures.words import MeanWordLength, StopWords, Words
from aigc.core.rules.rule import ByLanguage, Measure
from aigc.core.rules.table import RULES, name_of, rule_class

NEED = {"top_ngram": {"n": 3}, "duplicate_ngrams": {"n": 6}, "phrases": {"phrases": ["the"]}, "blocklist": {"words": ["the"]}}
BESIDE = (
    "outlier",
    "readability",
    "perplexity",
    "missing_facts",
    "invented_numbers",
    "topic",
    "copied_run",
    "copied_share",
)  # or below 0
MEASURES = [
    rule_class(name).model_validate(NEED.get(name, {}))
    for name in RULES
    if issubclass(rule_class(name), Measure) and name not in BESIDE
]


def value(rule: Measure, text: str) -> float:
    return float(measure(pl.Series([text]), rule)[0])


def broken(rule: Measure, text: str) -> str | None:
    entries = apply(pl.DataFrame({"id": ["1"], "text": [text]}), [rule]).ledger
    return entries["bound"].item() if len(entries) else None


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (Characters(), "a b\nc", 3),
        (Characters(), "今天 天气　好", 5),
        (Characters(), "", 0),
        (Words(), "It's a well-known fact, isn't it?", 6),
        (Words(), "今天天气好", 5),
        (Words(), "我用Python写3行代码", 8),
        (Words(), "東京タワー", 5),
        (Words(), "…… !!!", 0),
        (MeanWordLength(), "ab cdef", 3),
        (MeanWordLength(), "今天天气很好。", 1),
        (MeanWordLength(), "", 0),
        (SymbolShare(), "ab#$", 0.5),
        (SymbolShare(), "你好，世界！（真的）“好”——……《书》", 0),
        (SymbolShare(), 'Hello, "world" (really)! It’s – fine…', 0),
        (SymbolShare(), "★★★好", 0.75),
        (SymbolShare(), "", 0),
        (StopWords(), "The cat is on the mat, the mat", 3),
        (StopWords(), "theory of relativity", 1),
        (StopWords(), "我是你的朋友", 4),
        (StopWords(), "", 0),
    ],
)
def test_the_value_is_known(rule: Measure, text: str, expected: float) -> None:
    assert value(rule, text) == pytest.approx(expected)


@pytest.mark.parametrize("rule", MEASURES, ids=name_of)
@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40))
def test_every_text_has_a_finite_value(rule: Measure, text: str) -> None:
    assert 0 <= value(rule, text) < 1e9


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40))
def test_shares_are_shares(text: str) -> None:
    assert 0 <= value(SymbolShare(), text) <= 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Plain English.", "en"),
        ("今天天气很好。", "zh"),
        ("我用Python写代码", "zh"),
        ("The word 猫 means cat.", "en"),
    ],
)
def test_the_language_follows_the_share_of_han_characters(text: str, language: str) -> None:
    assert language_of(pl.Series([text])).item() == language


@pytest.mark.parametrize(
    ("rule", "text", "reason"),
    [
        (Characters(min=3), "ab", "min 3"),
        (Characters(min=3), "abc", None),
        (Characters(max=3), "abc", None),
        (Characters(max=3), "四个汉字", "max 3"),
        (SymbolShare(max=0.25), "★好", "max 0.25"),
        (Characters(), "anything", None),
        (Characters(min=1, max=2), "", "min 1"),
        (Words(min=ByLanguage(en=2, zh=4)), "one", "min 2 (en)"),
        (Words(min=ByLanguage(en=2, zh=4)), "one two", None),
        (Words(min=ByLanguage(en=2, zh=4)), "三个字", "min 4 (zh)"),
        (Words(min=ByLanguage(en=2, zh=4)), "四个汉字", None),
        (Words(max=ByLanguage(zh=2)), "no bound in English", None),
        (Words(max=ByLanguage(zh=2)), "没有例外", "max 2 (zh)"),
    ],
)
def test_the_reason_is_the_bound_in_words(rule: Measure, text: str, reason: str | None) -> None:
    assert broken(rule, text) == reason


def test_bounds_by_language_are_read_from_a_mapping() -> None:
    assert Words.model_validate({"min": {"en": 50, "zh": 80}}).min == ByLanguage(en=50, zh=80)


def test_bounds_that_could_keep_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing could be kept"):
        Characters(min=5, max=4)


@pytest.mark.parametrize("wrong", [{"min": "many"}, {"min": {"fr": 3}}, {"least": 3}, {"min": float("nan")}])
def test_wrong_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Characters.model_validate(wrong)
