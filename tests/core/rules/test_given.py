"""Facts that a row gives stand in its text as they are, or the ledger says which one does not; numbers are not made up."""

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from aigc.core.rules.apply import apply
from aigc.core.rules.measures.given import InventedNumbers, MissingFacts
from aigc.core.rules.table import Rules
from aigc.errors import AigcError


def missing(text: str, fact: Any) -> float:
    frame = pl.DataFrame({"id": ["0"], "text": [text], "fact": [fact]})
    (step,) = apply(frame, [MissingFacts(fields=["fact"])]).steps
    assert step.values is not None
    return float(step.values[0])


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ("李雷", "记者李雷报道"),
        ("李雷", "记者 李 雷 报道"),
        ("Li Lei", "by Li\nLei."),
        ("Li Lei", "Ｌｉ Ｌｅｉ"),
        ("2026年11月3日", "于 2026 年 11 月 3 日举行"),
        ("2026年11月3日", "２０２６年１１月３日"),
        ("1,200元", "捐出１，２００元。"),
        ("12", "共12人"),
        ("12", "the 12, and"),
        ("3.5%", "up 3.5%."),
        ("O'Brien", "said O’Brien"),
        (1200, "1200 people"),
        (1200.0, "1200 people"),
        (0.5, "by 0.5 points"),
        ("3 November 2026", "on 3 November\n2026"),
        (None, "nothing"),
        ("", "nothing"),
        ([], "nothing"),
        (["张三", "李四"], "张三和李四"),
        ("5", "3-5 people"),
        ("Amy's", "Amy's shop"),
        ("A380", "an A380 landed"),
    ],
)
def test_a_fact_that_is_there(fact: Any, text: str) -> None:
    assert missing(text, fact) == 0


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ("李雷", "记者李蕾报道"),
        ("2026年11月3日", "2026-11-03"),
        ("2026年11月3日", "2026年11月13日"),
        ("1200", "1,200 people"),
        ("12", "123 people"),
        ("12", "112 people"),
        ("12", "12.5 people"),
        ("12", "0.12"),
        ("200", "1,200 people"),
        ("5", "-5 degrees"),
        ("5", "5万元"),
        ("5", "5% more"),
        ("5", "5 million"),
        ("Li", "Lima"),
        ("Ann", "Joann said"),
        ("Li Lei", "LiLei"),
        (["张三", "李四"], "张三和王五"),
        ("li lei", "Li Lei"),
    ],
)
def test_a_fact_that_is_not_there(fact: Any, text: str) -> None:
    assert missing(text, fact) == 1


def test_the_ledger_says_which_fact_failed() -> None:
    rules = TypeAdapter(Rules).validate_python([{"missing_facts": ["who", "when", "amount"]}])
    frame = pl.DataFrame(
        {
            "id": ["good", "bad", "worse"],
            "text": ["李雷于11月3日捐款1,200元。", "李雷于11月3日捐款1,300元。", "On 3 November a man gave money."],
            "who": ["李雷", "李雷", "Li Lei"],
            "when": ["11月3日", "11月3日", "3 November"],
            "amount": ["1,200元", "1,200元", "1,200 yuan"],
        }
    )
    outcome = apply(frame, rules)
    assert outcome.kept["id"].to_list() == ["good"]
    assert outcome.ledger.select("id", "rule", "value", "bound", "detail").rows() == [
        ("bad", "missing_facts", 1.0, "max 0", "amount: 1,200元"),
        ("worse", "missing_facts", 2.0, "max 0", "who: Li Lei; amount: 1,200 yuan"),
    ]


def test_a_detail_belongs_to_its_own_document_when_another_measure_drops_some() -> None:
    rules = TypeAdapter(Rules).validate_python([{"characters": {"min": 3}}, {"missing_facts": ["who"]}, {"words": {"min": 5}}])
    frame = pl.DataFrame({"id": ["a", "b", "c"], "text": ["x", "nobody is here", "Ann, too"], "who": ["Jo", "Bo", "Ann"]})
    assert apply(frame, rules).ledger.select("id", "rule", "detail").rows() == [
        ("a", "characters", None),
        ("b", "missing_facts", "who: Bo"),
        ("c", "words", None),
    ]


def test_a_field_may_have_the_name_of_a_fact_of_ours() -> None:
    rules = TypeAdapter(Rules).validate_python([{"missing_facts": ["words"]}, {"words": {"min": 1}}])
    frame = pl.DataFrame({"id": ["a"], "text": ["red fox"], "words": ["red fox"]})
    assert len(apply(frame, rules).kept) == 1


def test_a_field_that_no_row_has_is_an_error_that_names_it() -> None:
    frame = pl.DataFrame({"id": ["a"], "text": ["x"], "who": ["x"], "aigc:language": ["en"]})
    with pytest.raises(AigcError, match=r"missing_facts needs the field 'hwo'; fields found: id, who$"):
        apply(frame, [MissingFacts(fields=["hwo"])])


@pytest.mark.parametrize("fields", [[], ["text"], None])
def test_fields_must_be_named(fields: Any) -> None:
    with pytest.raises(ValidationError):
        MissingFacts(fields=fields)


@pytest.mark.parametrize(
    ("text", "facts", "found"),
    [
        ("李雷捐款1200元，共3.5万元。", ["1,200元", "35000"], ""),
        ("三百人到场", ["300"], ""),
        ("Three hundred came; 300 left.", ["300"], ""),
        ("2026年11月3日", ["2026-11-03"], ""),
        ("共有３２０人和17名", ["320"], "17"),
        ("In 2025, 40 of 40 people", ["2026"], "2025; 40"),
        ("二十名学生", ["12"], "二十"),
        ("1. 首先\n2. 其次，3名", [], "3"),
        ("5万元", ["5"], "5万"),
    ],
)
def test_invented_numbers(text: str, facts: list[str], found: str) -> None:
    frame = pl.DataFrame({"id": ["0"], "text": [text], "fact": [facts]}, schema_overrides={"fact": pl.List(pl.String)})
    outcome = apply(frame, [InventedNumbers(fields=["fact"])])
    assert outcome.ledger["detail"].to_list() == ([found] if found else [])
    assert outcome.ledger["value"].to_list() == ([found.count(";") + 1.0] if found else [])
