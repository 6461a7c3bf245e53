"""Prompts and pairs: the bundled ones are whole and polite, and files of a user's own are read or refused with a reason."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc.core.evaluation.probe_sets import Pair, Prompt, bundled_pairs, bundled_prompts, read_pairs, read_prompts
from aigc.core.evaluation.probes import Sampling
from aigc.core.rules.measures.toxicity import Toxicity
from aigc.errors import AigcError

LANGUAGES = ["en", "zh"]
DIMENSIONS = {"gender", "age", "ethnicity", "religion", "region", "occupation"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_prompts_and_pairs_of_every_dimension(language: str) -> None:
    prompts, pairs = bundled_prompts([language]), bundled_pairs([language])
    assert {one.dimension for one in prompts} == {one.dimension for one in pairs} == DIMENSIONS
    assert (len(prompts), len(pairs)) == (19, 20)
    assert {one.language for one in (*prompts, *pairs)} == {language}
    assert len({text for one in prompts for _, text in one.variants}) == sum(len(one.variants) for one in prompts)


def test_groups_take_each_others_place_in_the_bundled_prompts() -> None:
    for one in bundled_prompts(LANGUAGES):
        assert len(one.variants) >= 2
        assert len({text.replace(group, "{group}") for group, text in one.variants}) == 1, one
        assert all(group and text == text.strip() for group, text in one.variants)


def test_bundled_pairs_differ_in_little() -> None:
    for pair in bundled_pairs(LANGUAGES):
        first, second = (set(text.split()) if pair.language == "en" else set(text) for text in (pair.more, pair.less))
        assert pair.more != pair.less
        assert len(first & second) >= 3, pair


def test_no_bundled_prompt_is_toxic_by_itself() -> None:
    texts = [text for one in bundled_prompts(LANGUAGES) for _, text in one.variants]
    values = pl.DataFrame({"text": texts}).select("text", value=Toxicity().value()).sort("value")
    assert values["value"].max() < Sampling().threshold, values.tail(3).rows()  # type: ignore[operator]


def written(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def test_rows_of_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "own.jsonl",
        {"prompt": "那位{group}总是", "groups": ["老师", "司机"], "dimension": "job", "language": "zh"},
        {"prompt": "The {x} was", "group": "x"},
        {"text": "Plain"},
    )
    assert read_prompts(path) == [
        Prompt((("老师", "那位老师总是"), ("司机", "那位司机总是")), "job", "zh"),
        Prompt((("x", "The {x} was"),)),
        Prompt((("", "Plain"),)),
    ]
    table = tmp_path / "own.csv"
    table.write_text("prompt,group\nThe tall one,tall\n", "utf-8")
    assert read_prompts(table) == [Prompt((("tall", "The tall one"),))]


def test_bold_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "bold_gender.json.gz"
    data = {"actors": {"A_B": ["A B is an ", "A B was"]}, "actresses": {"C_D": ["C D is "]}}
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
    expected = [("actors", "A B is an"), ("actors", "A B was"), ("actresses", "C D is")]
    assert read_prompts(path) == [Prompt((one,), "gender", "en") for one in expected]
    rows = tmp_path / "rows.json"
    rows.write_text('[{"prompt": "a"}]')
    assert read_prompts(rows) == [Prompt((("", "a"),))]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"title": "a"}, "own.jsonl:1: a prompt needs the field prompt; fields found: title"),
        ({"prompt": "a {group}"}, "a prompt with {group} needs groups: a list of two names or more"),
        ({"prompt": "a {group}", "groups": ["one"]}, "a prompt with {group} needs groups"),
        ({"prompt": "a", "groups": ["one", "two"]}, "the prompt has groups, and no {group} where their names belong"),
        (3, "own.jsonl:1: "),
    ],
    ids=str,
)
def test_a_row_that_is_no_prompt(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=message.replace("{", r"\{")):
        read_prompts(written(tmp_path / "own.jsonl", row))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text('{"a": {"b": "c"}}')
    (tmp_path / "c.jsonl").write_text("")
    for name, message in (
        ("a.json", r"a\.json: not valid JSON"),
        ("b.json", r"b\.json: a\.b is no list of prompts"),
        ("c.jsonl", r"c\.jsonl: there are no prompts in it"),
        ("none.jsonl", r"none\.jsonl: cannot be read"),
    ):
        with pytest.raises(AigcError, match=message):
            read_prompts(tmp_path / name)


def test_pairs_as_those_of_crows_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(',sent_more,sent_less,bias_type\n0,"The old, slow man.","The young, slow man.",age\n', "utf-8-sig")
    assert read_pairs(path) == [Pair("The old, slow man.", "The young, slow man.", "age")]
    for text, message in (
        ("sent_more,other\na,b\n", "pairs.csv:2: a pair needs the fields sent_more and sent_less; fields found: sent_more, other"),
        ("sent_more,sent_less\na,\n", "pairs.csv:2: a pair needs"),
        ("sent_more,sent_less\na\n", "pairs.csv:2: 1 cells where the header has 2"),
        ("sent_more,sent_less\n", "pairs.csv: there are no pairs in it"),
    ):
        path.write_text(text)
        with pytest.raises(AigcError, match=message):
            read_pairs(path)
