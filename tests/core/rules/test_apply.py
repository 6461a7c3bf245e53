"""A list of rules runs in order, loses no document, and leaves a ledger row for each decision."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules import ledger
from aigc.core.rules.apply import Outcome, Seen, apply
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.edits.redact import Redact
from aigc.core.rules.edits.sentences import FinishSentence
from aigc.core.rules.edits.unicode import Whitespace
from aigc.core.rules.measures.characters import Characters, SymbolShare
from aigc.core.rules.measures.words import StopWords, Words
from aigc.core.rules.rule import ByLanguage, Rule


def documents(*texts: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [str(i) for i in range(len(texts))], "text": list(texts)}, schema={"id": pl.String, "text": pl.String}
    )


def entries(outcome: Outcome, *columns: str) -> list[tuple[object, ...]]:
    return outcome.ledger.select(columns).rows()


def test_rules_run_in_order() -> None:
    long_inside_tags = documents("<p>短</p>")
    assert not len(apply(long_inside_tags, [HtmlToText(), Characters(min=5)]).kept)
    assert apply(long_inside_tags, [Characters(min=5), HtmlToText()]).kept["text"].to_list() == ["短"]


def test_a_dropped_document_is_not_seen_by_the_next_rule() -> None:
    outcome = apply(documents("a", "写信给 a@b.com 吧"), [Characters(min=3), Characters(min=5), Redact()])
    assert entries(outcome, "id", "verdict", "rule") == [("0", "dropped", "characters"), ("1", "edited", "redact")]


def test_an_edit_is_in_the_ledger_only_where_it_changed_something() -> None:
    outcome = apply(documents("a  b", "不变", "c "), [Whitespace()])
    assert entries(outcome, "id", "verdict", "rule") == [("0", "edited", "whitespace"), ("2", "edited", "whitespace")]
    assert outcome.kept["text"].to_list() == ["a b", "不变", "c"]


def test_a_drop_says_value_and_bound() -> None:
    rules = [Words(min=ByLanguage(en=3, zh=4)), SymbolShare(max=0.5)]
    outcome = apply(documents("two words", "三个字", "★★★★ a b c", "this one stays", "这篇留下来"), rules)
    assert outcome.kept["id"].to_list() == ["3", "4"]
    assert sorted(entries(outcome, "id", "verdict", "rule", "value", "bound")) == [
        ("0", "dropped", "words", 2.0, "min 3 (en)"),
        ("1", "dropped", "words", 3.0, "min 4 (zh)"),
        ("2", "dropped", "symbol_share", 4 / 7, "max 0.5"),
    ]


def test_the_first_broken_measure_is_the_only_reason() -> None:
    rules = [Characters(min=5), Words(min=5)]
    assert entries(apply(documents("a"), rules), "rule", "bound") == [("characters", "min 5")]
    assert entries(apply(documents("a"), rules[::-1]), "rule", "bound") == [("words", "min 5")]


def test_a_measure_sees_the_text_as_edited_before_it() -> None:
    outcome = apply(documents("<b>五个字在此</b>"), [HtmlToText(), Characters(max=5), Characters(min=5)])
    assert len(outcome.kept) == 1


def test_dropped_documents_are_as_they_stood() -> None:
    outcome = apply(documents("a  b"), [Whitespace(), Characters(min=9)])
    assert outcome.dropped["text"].to_list() == ["a b"]


def test_a_repeated_document_names_its_keeper() -> None:
    outcome = apply(documents("同一篇", "another", "同 一篇"), [ExactDuplicates()], Seen())
    assert outcome.kept["id"].to_list() == ["0", "1"]
    assert entries(outcome, "id", "verdict", "rule", "keeper") == [("2", "dropped", "exact_duplicates", "0")]


def test_seen_keeps_the_first_across_batches() -> None:
    seen = Seen()
    first = documents("hello", "你好")
    second = documents("你 好", "new").with_columns(id=pl.Series(["a", "b"]))
    assert apply(first, [ExactDuplicates()], seen).kept["id"].to_list() == ["0", "1"]
    outcome = apply(second, [ExactDuplicates()], seen)
    assert outcome.kept["id"].to_list() == ["b"]
    assert entries(outcome, "id", "keeper") == [("a", "1")]


def test_other_columns_travel_on() -> None:
    frame = documents("a b", "c").with_columns(title=pl.Series(["标题", None]))
    outcome = apply(frame, [Whitespace(), Characters(min=2)])
    assert outcome.kept.row(0, named=True) == {"id": "0", "text": "a b", "title": "标题"}
    assert outcome.dropped.columns == frame.columns


def test_an_empty_batch_gives_empty_tables_with_their_columns() -> None:
    outcome = apply(documents(), [HtmlToText(), Whitespace(), Redact(), Characters(min=3), ExactDuplicates()], Seen())
    assert (len(outcome.kept), len(outcome.dropped), len(outcome.ledger)) == (0, 0, 0)
    assert outcome.kept.columns == outcome.dropped.columns == ["id", "text"]
    assert outcome.ledger.columns == list(ledger.SCHEMA)


def test_no_rules_keep_everything() -> None:
    frame = documents("a", "乙")
    outcome = apply(frame, [])
    assert outcome.kept.equals(frame)
    assert not len(outcome.ledger)


RULES = st.lists(
    st.sampled_from(
        [
            Whitespace(),
            HtmlToText(),
            FinishSentence(),
            Characters(min=2),
            Characters(max=8),
            Words(min=ByLanguage(en=1, zh=2)),
            SymbolShare(max=0.5),
            StopWords(min=1),
            ExactDuplicates(),
        ]
    ),
    max_size=5,
)
PIECES = st.lists(st.sampled_from(["的", "中文", "the ", "cat. ", "<p>", "★", "。", "\n", " "]), max_size=5).map("".join)


@settings(max_examples=80, deadline=None)
@given(rules=RULES, texts=st.lists(PIECES, max_size=6))
def test_every_document_is_kept_or_dropped_once(rules: list[Rule], texts: list[str]) -> None:
    frame = documents(*texts)
    outcome = apply(frame, rules, Seen())
    dropped = outcome.ledger.filter(verdict="dropped")
    assert sorted(outcome.kept["id"].to_list() + outcome.dropped["id"].to_list()) == sorted(frame["id"].to_list())
    assert sorted(dropped["id"].to_list()) == sorted(outcome.dropped["id"].to_list())
    assert outcome.kept["id"].to_list() == sorted(outcome.kept["id"].to_list(), key=int)
    assert dropped["rule"].null_count() == 0
    assert dropped.filter(pl.col("bound").is_null() == pl.col("keeper").is_null()).is_empty()
    assert set(dropped["keeper"].drop_nulls()) <= set(frame["id"])
