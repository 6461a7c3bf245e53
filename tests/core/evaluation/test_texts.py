"""ROUGE, BLEU and chrF of texts in both languages equal sacrebleu, a naive ROUGE, and figures worked out by hand."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from aigc.core.evaluation.intervals import values_of
from aigc.core.evaluation.overlap import longest_common
from aigc.core.evaluation.texts import text_metrics
from aigc.errors import AigcError

EN = ["the", "The", "cat", "Mat.", "don't", "well-known", "U.S.", "3,000", "x_y", "(hi)", "a", "\n", "--", "''", "\t", "$5.20"]
ZH = ["的", "猫", "坐", "在", "垫", "子", "上", "，", "。", "《", "AI", " ", "３", "12"]
english = st.lists(st.sampled_from(EN), max_size=14).map(" ".join)
chinese = st.lists(st.sampled_from(ZH), max_size=14).map("".join)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def of(predictions: list[str], references: list[str]) -> dict[str, float]:
    return values_of(text_metrics(predictions, references), len(references))


def naive_lcs(a: list[str], b: list[str]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        last = row[:]
        for j, y in enumerate(b, 1):
            row[j] = last[j - 1] + 1 if x == y else max(last[j], row[j - 1])
    return row[-1]


def naive_rouge(prediction: str, reference: str) -> dict[str, float]:
    """As Google's rouge-score 0.1.2 without stemming: lower case, runs of a-z and 0-9, F1."""
    sides = [re.sub(r"[^a-z0-9]+", " ", text.lower()).split() for text in (prediction, reference)]
    found = {}
    for n in (1, 2):
        told, wanted = (Counter(zip(*(side[i:] for i in range(n)), strict=False)) for side in sides)
        found[f"rouge{n}"] = f1((told & wanted).total(), told.total(), wanted.total())
    return found | {"rougeL": f1(naive_lcs(*sides), *map(len, sides))}


def f1(both: int, told: int, wanted: int) -> float:
    precision, recall = both / max(told, 1), both / max(wanted, 1)
    return 2 * precision * recall / (precision + recall) if both else 0.0


def test_rouge_of_chinese_is_by_characters_worked_out_by_hand() -> None:
    """他们讨论旧码头 against 委员会讨论旧渡轮码头。: 7 and 10 units; 5 shared, 3 pairs of 6 and 9, and the five in order."""
    found = of(["他们讨论旧码头"], ["委员会讨论旧渡轮码头。"])
    assert found["rouge1"] == pytest.approx(2 * 5 / 17)
    assert found["rouge2"] == pytest.approx(2 * 3 / 15)
    assert found["rougeL"] == pytest.approx(2 * 5 / 17)
    assert of(["头码旧论讨"], ["讨论旧码头"])["rougeL"] == pytest.approx(2 * 1 / 10), "order counts for ROUGE-L"


def test_rouge_takes_words_of_mixed_text_whole_and_folds_case_and_width() -> None:
    assert of(["使用ＡＩ写新闻"], ["使用 ai 写诗"])["rouge1"] == pytest.approx(2 * 4 / (6 + 5))
    assert of(["Le café est fermé"], ["le CAFÉ"])["rouge1"] == pytest.approx(2 * 2 / 6), "letters beyond a-z are letters"


@given(st.lists(st.tuples(english, english), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_rouge_of_english_equals_rouge_score(pairs: list[tuple[str, str]]) -> None:
    found = of([a for a, _ in pairs], [b for _, b in pairs])
    for name in ("rouge1", "rouge2", "rougeL"):
        assert found[name] == pytest.approx(np.mean([naive_rouge(a, b)[name] for a, b in pairs])), name


@given(st.lists(st.tuples(english, english), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_bleu_and_chrf_of_english_equal_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [a for a, _ in pairs], [b for _, b in pairs]
    found = of(predictions, references)
    assert found["bleu"] == pytest.approx(BLEU(tokenize="13a").corpus_score(predictions, [references]).score)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(predictions, [references]).score)


@given(st.lists(st.tuples(chinese, chinese.map(lambda text: text + "猫坐在垫子上猫坐在")), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_bleu_and_chrf_of_chinese_equal_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [a for a, _ in pairs], [b for _, b in pairs]
    found = of(predictions, references)
    assert found["bleu"] == pytest.approx(BLEU(tokenize="zh").corpus_score(predictions, [references]).score)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(predictions, [references]).score)


def test_bleu_cuts_chinese_into_characters_because_the_reference_is_chinese() -> None:
    told, wanted = ["港务委员会讨论旧渡轮码头的用途"], ["港务委员会星期二讨论旧渡轮码头"]
    assert of(told, wanted)["bleu"] > 50, "cut at spaces alone, both would be one word and nothing in common"
    mixed = of([*told, "the cat sat on the mat today"], [*wanted, "the cat sat on the mat"])
    assert mixed["bleu"] > 50, "each document by its own language"


@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_text_gives_figures_within_their_range(pairs: list[tuple[str, str]]) -> None:
    found = of([a for a, _ in pairs], [b for _, b in pairs])
    assert set(found) == {"exact_match", "rouge1", "rouge2", "rougeL", "bleu", "chrf"}
    assert all(0 <= value <= (100.0001 if name in ("bleu", "chrf") else 1) for name, value in found.items())
    same = of([b for _, b in pairs], [b for _, b in pairs])
    assert same["exact_match"] == 1 and found["chrf"] <= same["chrf"] + 1e-6


@given(st.lists(st.tuples(st.sampled_from([*EN, *ZH]), st.sampled_from([*EN, *ZH])), min_size=2, max_size=6), st.data())
@settings(max_examples=30, deadline=None)
def test_a_draw_of_documents_is_measured_as_if_it_were_the_corpus(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs)).filter(any))
    repeated = [pair for pair, times in zip(pairs, counts, strict=True) for _ in range(times)]
    metrics = text_metrics([a for a, _ in pairs], [b for _, b in pairs])
    drawn = {name: metric(np.array([counts], np.float64))[0] for name, metric in metrics.items()}
    assert drawn == pytest.approx(of([a for a, _ in repeated], [b for _, b in repeated]))


@pytest.mark.parametrize(
    ("told", "wanted", "exact"), [("", "", 1), ("", "a cat", 0), ("a cat", "", 0), (" \n", "", 1), ("。", "", 0)]
)
def test_empty_texts_match_nothing_but_each_other(told: str, wanted: str, exact: int) -> None:
    assert of([told], [wanted]) == {"exact_match": exact, "rouge1": 0, "rouge2": 0, "rougeL": 0, "bleu": 0, "chrf": 0}


def test_exact_match_ignores_white_space_at_the_ends_and_nothing_else() -> None:
    assert of([" Yes\n", "yes", "a  b"], ["Yes", "Yes", "a b"])["exact_match"] == pytest.approx(1 / 3)


@given(st.lists(st.integers(0, 4), max_size=90), st.lists(st.integers(0, 4), max_size=90))
@settings(max_examples=80, deadline=None)
def test_the_longest_common_subsequence_equals_the_table(left: list[int], right: list[int]) -> None:
    assert longest_common(left, right) == naive_lcs(list(map(str, left)), list(map(str, right)))


def test_a_long_text_counts_whole() -> None:
    word = "春 rain "
    found = of([word * 180_000], [word * 180_000 + "end"])
    assert found["rouge1"] == pytest.approx(720_000 / 720_001) and found["exact_match"] == 0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="1 predictions, but 2 references"):
        text_metrics(["a"], ["a", "b"])
    with pytest.raises(AigcError, match="no documents"):
        text_metrics([], [])
