"""The best of several candidates, and the pairs that a preference is learned from."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aigc.core.documents.reading import rows_of
from aigc.core.generation.request import Drawn
from aigc.core.rules.table import RULES
from aigc.core.training.formats import format_of
from aigc.core.training.rows import Asked
from aigc.errors import AigcError
from aigc.production.candidates import Candidate, best, nats_per_token, pairs, scores
from aigc.schema.decoding import BestOf

TEXTS = ["The rain fell.", "Rain rain rain rain rain rain.", "雨下了一夜，早晨的街道很安静。", "A a."]
NUMBERS = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=1, max_size=8)


def _likely(*values: float | None) -> list[Candidate]:
    return [Candidate("x", value) for value in values]


def test_a_weight_means_the_same_for_nats_and_for_counts() -> None:
    one = [Candidate(text, float(len(text.replace(" ", "")))) for text in TEXTS]
    (by_count,), (by_nats,) = scores([one], {"characters": 1.0}), scores([one], {"likelihood": 1.0})
    assert by_count == pytest.approx(by_nats)
    assert sum(by_count) == pytest.approx(0) and sum(x * x for x in by_count) == pytest.approx(len(TEXTS))


def test_weights_add_up_and_less_may_be_better() -> None:
    one = [Candidate(text, float(number)) for number, text in enumerate(TEXTS)]
    (both,) = scores([one], {"unique_words": 2.0, "likelihood": -0.5})
    (unique,), (likely,) = scores([one], {"unique_words": 1.0}), scores([one], {"likelihood": 1.0})
    assert both == pytest.approx([2 * a - 0.5 * b for a, b in zip(unique, likely, strict=True)])
    assert best(scores([one], {"characters": -1.0})[0]) == 3
    assert best(scores([one], {"han_share": 1.0})[0]) == 2
    assert best(scores([[Candidate(text) for text in TEXTS[:2]]], {"unique_words": 1.0})[0]) == 0


@given(NUMBERS, st.floats(0.1, 10), st.floats(-10, 10))
def test_scale_and_place_of_a_measure_decide_nothing(values: list[float], factor: float, shift: float) -> None:
    (plain,) = scores([_likely(*values)], {"likelihood": 1.0})
    (other,) = scores([_likely(*(value * factor + shift for value in values))], {"likelihood": 1.0})
    if len(set(values)) > 1 and max(values) - min(values) > 1e-2:
        assert other == pytest.approx(plain, abs=1e-6)
        assert values[best(plain)] == max(values)
    if len(set(values)) == 1:
        assert plain == [0.0] * len(values)


@given(NUMBERS)
def test_ties_go_to_the_first_and_order_decides_nothing_else(values: list[float]) -> None:
    (found,) = scores([_likely(*values)], {"likelihood": 1.0})
    assert best(found) == values.index(max(values))
    (turned,) = scores([_likely(*values[::-1])], {"likelihood": 1.0})
    assert turned[::-1] == found


def test_samples_are_judged_among_themselves() -> None:
    samples = [[Candidate(text) for text in TEXTS], [], [Candidate(TEXTS[1]), Candidate(TEXTS[0])]]
    together = scores(samples, {"characters": 1.0, "unique_words": 1.0})
    assert together == [scores([one], {"characters": 1.0, "unique_words": 1.0})[0] if one else [] for one in samples]
    assert scores([], {"characters": 1.0}) == []


def test_what_has_no_value_is_the_worst() -> None:
    for weight in (1.0, -1.0):
        (found,) = scores([_likely(None, -1.0, -2.0, float("nan"))], {"likelihood": weight})
        assert found[0] == found[3] == min(found)
    assert scores([_likely(None, None)], {"likelihood": 1.0}) == [[0.0, 0.0]]


def test_likelihood_is_by_token_the_end_counted() -> None:
    assert nats_per_token(Drawn("ab", 3, "end", likelihood=-8.0)) == -2.0
    assert nats_per_token(Drawn("ab", 4, "length", likelihood=-8.0)) == -2.0
    assert nats_per_token(Drawn("", 0, "end", likelihood=-8.0)) == -8.0
    assert nats_per_token(Drawn("", 0, "stop", likelihood=0.0)) == 0.0
    assert nats_per_token(Drawn("ab", 3, "end")) is None


def test_finetune_reads_the_pairs_back(tmp_path: Path) -> None:
    rows = [
        *pairs("写一句关于雨的话：", ["雨停了。", "雨，雨，雨，雨。", "雨下了一夜。"], [0.1, -1.3, 1.2]),
        *pairs("Rain: ", [" It rained.", "Rain rain."], [1.0, -1.0]),
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    frame = pl.DataFrame([row for _, row in rows_of(file)])
    form = format_of(frame.schema, Asked("preference"))
    assert form.name == "chosen and rejected" and form.chat is None
    read = [(one.prompt, one.completion, one.alternative) for one in form.read(frame)]
    assert read == [
        ("写一句关于雨的话：", "雨下了一夜。", "雨停了。"),
        ("写一句关于雨的话：", "雨下了一夜。", "雨，雨，雨，雨。"),
        ("Rain: ", " It rained.", "Rain rain."),
    ]
    assert [(row["score_chosen"], row["score_rejected"]) for row in rows] == [(1.2, 0.1), (1.2, -1.3), (1.0, -1.0)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["a", "b"], [0.0, 0.0]),  # nothing is preferred
        (["a", "a", " a\n"], [1.0, 0.0, 0.0]),
        ([" ", "b"], [1.0, 0.0]),
        (["a", ""], [1.0, 0.0]),
        (["a"], [0.0]),
    ],
)
def test_there_is_no_pair_without_a_preference(texts: list[str], found: list[float]) -> None:
    assert list(pairs("p", texts, found)) == []


def test_a_loser_that_came_twice_is_one_pair() -> None:
    assert [row["rejected"] for row in pairs("p", ["a", "b", "c", "b "], [0.0, -1.0, 3.0, -1.0])] == ["a", "b"]


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ({"likelyhood": 1}, "no measure is called 'likelyhood'; the nearest is likelihood"),
        ({"unique_word": 1}, "no measure is called 'unique_word'; the nearest is unique_words"),
        ({"qqq": 1}, "no measure is called 'qqq'"),
        ({"whitespace": 1}, "whitespace is no measure"),
        ({"exact_duplicates": 1}, "exact_duplicates is no measure"),
        ({"outlier": 1}, "outlier must have seen a whole corpus"),
        ({"perplexity": 1}, "perplexity has no value by its name alone: it needs checkpoint"),
        ({"phrases": 1}, "phrases has no value by its name alone: it needs"),
        ({"blocklist": 1}, "blocklist has no value by its name alone"),
        ({"likelihood": 0, "words": 0}, "all weights are 0"),
        ({}, "at least 1 item"),
    ],
)
def test_what_cannot_be_compared_is_an_error_of_the_project_file(by: dict[str, float], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        BestOf(by=by)


def test_every_measure_that_a_project_may_name_gives_numbers(tmp_path: Path) -> None:
    named = []
    for name in RULES:
        try:
            named.append(next(iter(BestOf(by={name: 1.0}).by)))
        except ValidationError:
            continue
    assert {"characters", "unique_words", "language", "duplicate_lines"} <= set(named)
    one = [Candidate(text) for text in [*TEXTS, ""]]
    for name in named:
        if name.startswith("copied_"):
            with pytest.raises(AigcError, match=f"{name}: no index of training documents"):
                scores([one], {name: -1.0})
            with pytest.raises(AigcError, match="nowhere"):
                scores([one], {name: -1.0}, tmp_path / "nowhere")
            continue
        (found,) = scores([one], {name: 1.0})
        assert len(found) == len(one) and all(abs(value) <= len(one) for value in found), name
