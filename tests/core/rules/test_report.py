"""The report adds up, is the same for any batches and order, and says what the ledger says."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.core.documents.reading import Batch, Failure
from aigc.core.rules.corpus import clean_corpus
from aigc.core.rules.duplicates.contained import Contained
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.duplicates.near import NearDuplicates
from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.edits.unicode import Whitespace
from aigc.core.rules.measures.outlier import Outlier
from aigc.core.rules.measures.words import Words
from aigc.core.rules.report import report_of
from aigc.core.rules.rule import Rule
from aigc.pages import clean as page

RULES: list[Rule] = [
    Whitespace(),
    HtmlToText(),
    Words(min=8),
    Outlier(of="words", z=100),
    ExactDuplicates(),
    NearDuplicates(similarity=0.6),
    Contained(every=1),
]


def corpus(count: int = 60) -> pl.DataFrame:
    """Both languages, with tags, short texts, copies, near-copies and excerpts."""
    draw = random.Random(4)
    letters = [chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(300)]
    words = ["".join(draw.choices("bcdfgklmnprst", k=2) + draw.choices("aeiou", k=2)) for _ in range(300)]
    rows = []
    for i in range(count):
        text = "".join(draw.choices(letters, k=90)) + "。" if i % 2 else " ".join(draw.choices(words, k=60)) + "."
        rows += [text, *([text] if i % 9 == 0 else []), *([text + "再见。" if i % 2 else text + " bye"] if i % 7 == 0 else [])]
        rows += [f"<p>{text}</p>"] if i % 11 == 0 else []
        rows += [text[: len(text) // 3]] if i % 5 == 0 else []
    rows += ["short", "短", "a b c"]
    topics = [f"topic {i % 4}" for i in range(len(rows))]
    return pl.DataFrame({"id": [f"d{i}" for i in range(len(rows))], "text": rows, "topic": topics})


def batches_of(documents: pl.DataFrame, size: int, failures: int = 0) -> list[Batch]:
    broken = [Failure(f"in.jsonl:{i}", "not valid JSON", "{") for i in range(failures)]
    parts = [documents[start : start + size] for start in range(0, len(documents), size)]
    return [
        Batch(part, pl.Series("origin", [f"in.jsonl:{name}" for name in part["id"]]), broken if i == 0 else [])
        for i, part in enumerate(parts)
    ]


def reported(
    batches: Sequence[Batch], rules: Sequence[Rule] = RULES, warn_share: float = 0.5
) -> tuple[dict[str, Any], pl.DataFrame]:
    """The report and the ledger."""
    with TemporaryDirectory() as folder:
        account = clean_corpus(iter(batches), rules, folder=Path(folder), max_failed=0.5)
        report = report_of(account, renamed_ids=0, warn_share=warn_share)
        return report, pl.read_parquet(Path(folder) / "ledger.parquet")


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, Any], pl.DataFrame]:
    return reported(batches_of(corpus(), 1000, failures=2))


def test_the_sums_add_up(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, _ = whole
    assert report["failed"] == 2
    assert report["read"] == report["kept"] + report["dropped"] + report["failed"]
    by_language = report["languages"].values()
    assert sum(one["read"] for one in by_language) == report["read"] - report["failed"]
    assert sum(one["kept"] for one in by_language) == report["kept"]
    assert sum(one["dropped"] for one in by_language) == report["dropped"]
    assert sum(sum(step["dropped"].values()) for step in report["steps"] if "dropped" in step) == report["dropped"]


def test_each_rule_took_something(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    """Else the other tests of this file say nothing."""
    report, _ = whole
    idle = {step["rule"] for step in report["steps"] if not sum((step.get("dropped") or step["edited"]).values())}
    assert idle <= {"whitespace", "outlier words"}


def test_a_step_sees_what_those_before_it_left(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, _ = whole
    left = report["read"] - report["failed"]
    for step in report["steps"]:
        assert step["seen"] == left, step["rule"]
        left -= sum(step.get("dropped", {}).values())
    assert left == report["kept"]


def test_a_histogram_holds_all_that_the_measure_saw(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, _ = whole
    measures = [step for step in report["steps"] if step["kind"] == "measure"]
    assert measures
    for step in measures:
        assert sum(sum(one["counts"]) for one in step["histogram"].values()) == step["seen"]
        assert set(step["histogram"]) == {"en", "zh"}


def test_the_report_says_what_the_ledger_says(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, ledger = whole
    for step in report["steps"]:
        verdict = "edited" if step["kind"] == "edit" else "dropped"
        assert sum(step[verdict].values()) == len(ledger.filter(verdict=verdict, rule=step["rule"])), step["rule"]
        for example in step["examples"]:
            row = ledger.filter(id=example["id"], rule=step["rule"]).row(0, named=True)
            for key in ("value", "bound", "keeper", "similarity"):
                assert key not in example or example[key] == row[key]


def test_clusters_are_those_of_the_ledger(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, ledger = whole
    for step in report["steps"]:
        if step["kind"] == "duplicates":
            keepers = ledger.filter(rule=step["rule"])["keeper"].value_counts()
            assert step["clusters"]["count"] == len(keepers)
            sizes = {one["keeper"]: one["size"] for one in step["clusters"]["largest"]}
            assert all(count + 1 == sizes.get(keeper, count + 1) for keeper, count in keepers.iter_rows())
            assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
            texts = {one["keeper"]: one["text"] for one in step["clusters"]["largest"]}
            kept = set(ledger.filter(verdict="kept")["id"])
            assert all(texts[keeper] for keeper in texts if keeper in kept), "the reader sees what was repeated"


def test_a_keeper_that_was_dropped_later_is_shown_as_well() -> None:
    text = "今天天气很好，我们一起去公园散步，然后回家做饭，晚上再看一本书。"
    documents = pl.DataFrame({"id": ["a", "b", "c"], "text": [text, text, text + "真好。"]})
    report, _ = reported(batches_of(documents, 8), [ExactDuplicates(), NearDuplicates(similarity=0.6)])
    assert report["steps"][0]["examples"][0]["keeper_text"] == text
    assert [one["text"] for one in report["steps"][0]["clusters"]["largest"]] == [text]


@pytest.mark.parametrize("rule", [ExactDuplicates(drop=False), NearDuplicates(drop=False), Contained(drop=False)])
def test_what_is_only_marked_is_not_told_as_dropped(rule: Rule) -> None:
    text = "今天天气很好，我们一起去公园散步，然后回家做饭，晚上再看一本书。"
    documents = pl.DataFrame({"id": ["a", "b"], "text": [text, text]})
    report, _ = reported(batches_of(documents, 8), [rule])
    assert report["kept"] == 2
    assert sum(report["steps"][0].get("dropped", {}).values()) == report["dropped"] == 0
    assert "No flow" not in page.render(report)


@settings(max_examples=6, deadline=None)
@given(size=st.integers(3, 70), seed=st.integers(0, 99))
def test_batches_and_order_do_not_matter(whole: tuple[dict[str, Any], pl.DataFrame], size: int, seed: int) -> None:
    documents = corpus().sample(fraction=1, shuffle=True, seed=seed)
    report, _ = reported(batches_of(documents, size, failures=2))
    assert report == whole[0]


def test_it_is_json_and_comes_back_the_same(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, _ = whole
    assert json.loads(json.dumps(report, ensure_ascii=False, allow_nan=False)) == report


def test_columns_are_counted_with_the_commonest_first() -> None:
    documents = corpus().with_columns(source=pl.lit("a"), license=pl.lit(None, dtype=pl.String))
    report, _ = reported(batches_of(documents, 30), [])
    assert report["columns"]["source"] == {"a": report["kept"]}
    assert report["columns"]["license"] == {"": report["kept"]}
    assert sum(report["columns"]["topic"].values()) == report["kept"]
    counts = list(report["columns"]["topic"].values())
    assert counts == sorted(counts, reverse=True)


def test_only_the_first_failures_are_shown_but_all_are_counted() -> None:
    report, _ = reported(batches_of(corpus(), 1000, failures=30), [])
    assert report["failed"] == 30
    assert [one["origin"] for one in report["failures"]] == [f"in.jsonl:{i}" for i in range(10)]


def test_values_of_one_count_have_an_order_of_their_own() -> None:
    documents = pl.DataFrame({"id": ["a", "b"], "text": ["one", "two"], "topic": ["x", "y"]})
    here, there = (reported(batches_of(one, 1), [])[0]["columns"]["topic"] for one in (documents, documents[::-1]))
    assert list(here) == list(there)


@pytest.mark.parametrize(("share", "warned"), [(0.4, True), (0.6, False)])
def test_a_preset_that_takes_much_of_a_language_is_warned_of(share: float, warned: bool) -> None:
    zh = ["很短的一篇。", "这一篇比较长，有很多很多的字，所以留下来。"] * 10
    documents = pl.DataFrame({"id": [f"d{i}" for i in range(20)], "text": zh})
    report, _ = reported(batches_of(documents, 8), [Words(min=8, preset="gopher")], warn_share=share)
    expected = "the preset gopher drops 50.0% of zh (10 of 20 documents); is it meant for such texts?"
    assert report["warnings"] == ([expected] if warned else [])


def test_a_rule_of_ones_own_is_not_warned_of() -> None:
    documents = pl.DataFrame({"id": ["a", "b", "c"], "text": ["短", "也短", "这一篇长一些，所以要留下来。"]})
    assert reported(batches_of(documents, 8), [Words(min=8)])[0]["warnings"] == []


def test_the_page_shows_the_numbers_of_the_report(whole: tuple[dict[str, Any], pl.DataFrame]) -> None:
    report, _ = whole
    html = page.render(report | {"name": "news"})
    tree = HTMLParser(html)
    text = tree.body.text() if tree.body else ""
    assert [node.text() for node in tree.css("h1")] == ["news"]
    for step in report["steps"]:
        assert step["rule"] in text
    assert f"{report['kept']:,}" in text
    assert "Does not add up" not in text
    assert "not accounted for" not in text
    assert "NaN" not in html
