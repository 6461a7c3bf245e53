"""Readability: Flesch-Kincaid for English, sentence length and rare characters for Chinese."""

import polars as pl
import pytest

from aigc.core.rules.apply import apply, measure
from aigc.core.rules.measures.readability import Readability

PLAIN = "The cat sat on the mat. It was warm. The dog ran to the house."
HARD = (
    "Notwithstanding the aforementioned considerations, the committee unanimously determined that implementation of the "
    "recommended organizational modifications should be postponed indefinitely."
)


def values(*texts: str) -> list[float]:
    return measure(pl.Series(texts, dtype=pl.String), Readability()).to_list()


def test_english_is_the_formula_of_kincaid() -> None:
    # 15 words, 3 sentences, 15 syllables
    assert values(PLAIN) == pytest.approx([0.39 * 15 / 3 + 11.8 * 15 / 15 - 15.59])


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("made", 1),
        ("times", 1),
        ("whole", 1),
        ("table", 2),
        ("wanted", 2),
        ("jumped", 1),
        ("houses", 2),
        ("computer", 3),
        ("Mr", 1),
    ],
)
def test_syllables(word: str, syllables: int) -> None:
    assert values(f"{word}.") == pytest.approx([0.39 + 11.8 * syllables - 15.59])


def test_chinese_is_sentence_length_and_rare_characters() -> None:
    assert values("今天天气很好。我们去公园。") == pytest.approx([11 / 2])
    assert values("我怕魉。") == pytest.approx([3 + 100 / 3]), "魉 is in neither first level"
    assert values("我們聽說過龍。") == pytest.approx([6]), "traditional characters are not rare"


def test_hard_texts_have_more_and_what_has_no_letters_has_none() -> None:
    easy, hard = values(PLAIN, HARD)
    assert hard > easy + 15
    assert values("", "123 456") == [0.0, 0.0]


def test_each_language_has_its_bound() -> None:
    rule = Readability.model_validate({"max": {"en": 12, "zh": 5}})
    documents = pl.DataFrame({"id": ["plain", "hard", "zh"], "text": [PLAIN, HARD, "今天天气很好，我们去公园。"]})
    outcome = apply(documents, [rule])
    assert outcome.kept["id"].to_list() == ["plain"]
    assert outcome.ledger["bound"].to_list() == ["max 12 (en)", "max 5 (zh)"]
