"""Distances from what is usual agree with numpy, within each language, and drop the document that lies far out."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigc.core.documents.reading import Reader
from aigc.core.rules.apply import apply, language_of
from aigc.core.rules.corpus import clean_corpus
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.measures.outlier import Outlier
from aigc.core.rules.rule import Corpus
from aigc.core.rules.table import name_of, rule_class

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def robust_z(values: Sequence[float]) -> list[float]:
    """|value - median| / (1.4826 MAD); by the mean absolute deviation times 1.2533 where the MAD is 0. 0 where all are equal."""
    x = np.asarray(values, float)
    distance = np.abs(x - np.median(x))
    scale = 1.4826 * np.median(distance) or 1.2533 * np.mean(distance)
    return (distance / scale).tolist() if scale else [0.0] * len(x)


def distances(rule: Outlier, batches: Sequence[Sequence[str]], folder: Path) -> list[float]:
    """What the rule measures of each text, surveyed batch by batch."""
    frames = [pl.DataFrame({"id": [f"{b} {i}" for i in range(len(texts))], "text": texts}) for b, texts in enumerate(batches)]
    surveys = [folder / f"{i}.survey" for i in range(len(frames))]
    for path, frame in zip(surveys, frames, strict=True):
        rule.survey(frame).write_ipc(path)
    finding = rule.conclude(Corpus(surveys, lambda: iter(frames)))
    found: list[float] = []
    for frame in frames:
        values = apply(frame, [rule], lambda *_: finding).steps[0].values
        assert values is not None
        found += values.to_list()
    return found


LENGTHS = st.lists(st.tuples(st.sampled_from(["字", "x"]), st.sampled_from([1, 1, 1, 2, 3, 5, 8, 90])), min_size=1, max_size=14)


@QUICK
@given(lengths=LENGTHS, cut=st.integers(0, 14))
def test_distances_are_those_of_numpy_within_each_language(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[str, int]], cut: int
) -> None:
    texts = [letter * count for letter, count in lengths]
    texts += ["x", "xx", "xxx"]  # something must vary: see test_a_measure_that_nowhere_varies
    batches = [batch for batch in (texts[:cut], texts[cut:]) if batch]
    found = distances(Outlier(of="characters"), batches, tmp_path_factory.mktemp("outlier"))
    for letter in "字x":
        mine = [i for i, text in enumerate(texts) if text[0] == letter]
        if mine:
            assert [found[i] for i in mine] == pytest.approx(robust_z([len(texts[i]) for i in mine]))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 2, 3, 4, 5], [2 / 1.4826, 1 / 1.4826, 0, 1 / 1.4826, 2 / 1.4826]),
        ([7, 7, 7, 7, 17], [0, 0, 0, 0, 10 / (1.2533 * 2)]),  # MAD 0: the mean deviation is 2
        ([9], [0]),
        ([2, 4], [1 / 1.4826, 1 / 1.4826]),
    ],
)
@pytest.mark.parametrize("letter", ["x", "字"])
def test_the_distances_are_known(tmp_path: Path, letter: str, counts: list[int], expected: list[float]) -> None:
    texts = [letter * count for count in counts]
    assert distances(Outlier(of="characters"), [texts], tmp_path) == pytest.approx(expected)


def test_a_language_is_judged_by_itself(tmp_path: Path) -> None:
    chinese = ["天气很好" * 5, "天气很好" * 6, "天气很好" * 7, "天气很好" * 8]
    english = ["word " * 200, "word " * 210, "word " * 220, "word " * 230]
    mixed = distances(Outlier(of="words"), [chinese + english], tmp_path)
    assert mixed[:4] == pytest.approx(distances(Outlier(of="words"), [chinese], tmp_path))
    assert mixed[4:] == pytest.approx(distances(Outlier(of="words"), [english], tmp_path))
    assert max(mixed) < 3, "long English among short Chinese texts is not far out"


MEASURES = (
    "characters alphanumeric_share digit_share punctuation_share symbol_share upper_share words mean_word_length longest_word "
    "alphabetic_words unique_words word_entropy lines mean_line_length terminal_lines short_lines sentences "
    "duplicate_line_characters"
).split()
SAMPLE = ["One line. And two!\nOne line.", "第一行。\n第一行。#", "A", "二十 20", "", "Plain words, here... (yes)", "好的"]


@pytest.mark.parametrize("of", MEASURES)
def test_every_measure_that_is_offered_has_distances(tmp_path: Path, of: str) -> None:
    documents = pl.DataFrame({"id": [str(i) for i in range(len(SAMPLE))], "text": SAMPLE})
    values = apply(documents, [Characters(min=0), rule_class(of).model_validate({})]).steps[1].values
    assert values is not None
    language = language_of(documents["text"])
    found = distances(Outlier(of=of), [SAMPLE[:3], SAMPLE[3:]], tmp_path)
    for one in ("en", "zh"):
        mine = (language == one).arg_true().to_list()
        assert [found[i] for i in mine] == pytest.approx(robust_z([values[i] for i in mine]))


def test_it_names_what_it_measures_and_keeps_up_to_z() -> None:
    rule = Outlier(of="words", z=3)
    assert name_of(rule) == "outlier words"
    assert rule.bounds() == [("max", 3, None)]
    assert Outlier(of="words").bounds() == [("max", 5, None)]


@pytest.mark.parametrize(
    "wrong", [{"of": "han_share"}, {"of": "perplexity"}, {}, {"of": "words", "z": 0}, {"of": "words", "z": -1}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Outlier.model_validate(wrong)


def test_an_unknown_measure_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValidationError, match=r"outliers of 'wrods'; known: .*words"):
        Outlier(of="wrods")


def test_a_corpus_loses_the_document_that_lies_far_out(tmp_path: Path) -> None:
    rows = [{"id": f"en{i}", "text": "word " * (20 + i)} for i in range(9)] + [{"id": "en far", "text": "word " * 900}]
    rows += [{"id": f"zh{i}", "text": "天气很好。" * (5 + i)} for i in range(9)] + [{"id": "zh far", "text": "天气很好。" * 300}]
    names = []
    for i in range(0, len(rows), 7):
        path = tmp_path / f"{i:02d}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows[i : i + 7]), encoding="utf-8")
        names.append(path)
    folder = tmp_path / "clean"
    folder.mkdir()
    batches = (batch for path in names for batch in Reader().read(path))
    account = clean_corpus(batches, [Outlier(of="words")], folder=folder, max_failed=0)
    dropped = pl.read_parquet(folder / "ledger.parquet").filter(verdict="dropped").sort("id")
    assert dropped.select("id", "rule", "bound").rows() == [
        ("en far", "outlier words", "max 5"),
        ("zh far", "outlier words", "max 5"),
    ]
    expected = [robust_z([*(20 + i for i in range(9)), 900])[-1], robust_z([*(4 * (5 + i) for i in range(9)), 1200])[-1]]
    assert dropped["value"].to_list() == pytest.approx(expected)
    assert (account.kept, account.dropped) == (18, 2)


def test_a_measure_that_nowhere_varies_finds_nothing(tmp_path: Path) -> None:
    assert distances(Outlier(of="characters"), [["天气", "好的", "hello", "hello"]], tmp_path) == [0.0] * 4


@pytest.mark.parametrize("texts", [["same", "same"], ["天气", "好的"]])
def test_nor_does_it_in_a_batch_of_one_language(tmp_path: Path, texts: list[str]) -> None:
    assert distances(Outlier(of="characters"), [texts], tmp_path) == [0.0, 0.0]


@pytest.mark.parametrize("bound", [{"max": 3}, {"min": 1}])
def test_a_bound_of_its_own_is_used_or_refused(bound: dict[str, float]) -> None:
    try:
        rule = Outlier.model_validate({"of": "words", **bound})
    except ValidationError:
        return
    assert (next(iter(bound)), next(iter(bound.values())), None) in rule.bounds()
