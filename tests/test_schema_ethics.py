"""`penalise`, `control` and `probes` in the project file: what they accept, and what they say of the rest."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from aigc import config
from aigc.core.rules.table import RULES
from aigc.errors import ConfigError
from aigc.schema.ethics import Condition, Control, Penalty, Probes

GOOD: list[tuple[dict[str, Any], str, float]] = [  # with the place that is judged, and the weight that it is learned with
    ({"blocklist": "insults.txt", "by": "unlikelihood", "weight": 0.1, "on": "span"}, "span", -0.1),
    ({"blocklist": ["a.txt", "b.txt"], "by": "mask"}, "span", 0.0),
    ({"blocklist": {"words": ["x"], "max": 3}, "by": "weigh", "weight": 0.5, "on": "sentence"}, "sentence", 0.5),
    ({"blocklist": {"words": ["x"]}, "by": "mask", "on": "document"}, "document", 0.0),
    ({"toxicity": {"max": 0.8}, "by": "unlikelihood"}, "document", -1.0),
    ({"words": {"min": {"zh": 3}}, "by": "weigh", "weight": 0}, "document", 0.0),
    ({"language": {"in": ["zh"]}, "by": "mask", "on": "sentence"}, "sentence", 0.0),
    ({"phrases": {"phrases": ["lorem"], "max": 0}, "by": "mask"}, "document", 0.0),
    ({"column": "harmful", "by": "unlikelihood", "weight": 2}, "document", -2.0),
]
BAD = [
    ({"blocklst": "a", "by": "mask"}, "blocklst is an unknown key; the nearest is blocklist"),
    ({"blocklist": "a", "by": "mask", "weigth": 1}, "weigth is an unknown key; the nearest is weight"),
    ({"xyz": 1, "by": "mask"}, "xyz is an unknown key; known here: column, by, weight, on and the measures of clean.rules"),
    ({"rule": "x", "by": "mask"}, "rule is an unknown key"),
    ({"preset": "c4", "by": "mask"}, "a preset is no condition: name its measures one by one"),
    (
        {"blocklist": {"word": ["a"]}, "by": "mask"},
        "blocklist.word: unknown key; the nearest is finetune.penalise.0.blocklist.words",
    ),
    ({"blocklist": {}, "by": "mask"}, "blocklist: a blocklist needs files or words"),
    ({"toxicity": {"max": "much"}, "by": "mask"}, "toxicity.max: input should be a valid number"),
    ({"toxicity": {}, "by": "mask"}, "toxicity has no bound: what breaks its min or max is flagged"),
    ({"whitespace": None, "by": "mask"}, "whitespace has no number that could be bounded"),
    ({"exact_duplicates": None, "by": "mask"}, "exact_duplicates has no number that could be bounded"),
    ({"outlier": "words", "by": "mask"}, "outlier must have seen a whole corpus"),
    ({"by": "mask"}, "expected one condition.* and here is none"),
    ({"toxicity": {"max": 1}, "words": {"max": 1}, "by": "mask"}, "expected one condition.* and here are 2: toxicity, words"),
    ({"toxicity": {"max": 1}, "column": "a", "by": "mask"}, "expected one condition.* and here are 2: toxicity, column"),
    ({"toxicity": {"max": 1}}, "by: is needed"),
    ({"column": "a", "by": "drop"}, "by: input should be 'weigh', 'mask' or 'unlikelihood', found 'drop'"),
    ({"column": "a", "by": "mask", "weight": 0.5}, "mask learns nothing of what is flagged: leave weight out"),
    ({"column": "a", "by": "weigh"}, "weigh needs weight: from 0 to below 1"),
    ({"column": "a", "by": "weigh", "weight": 1}, "weigh needs weight: from 0 to below 1"),
    ({"column": "a", "by": "unlikelihood", "weight": 0}, "unlikelihood is the stronger the greater its weight: above 0"),
    ({"column": "a", "by": "mask", "on": "span"}, "a column says itself whether documents or spans are meant"),
    ({"toxicity": {"max": 1}, "by": "mask", "on": "span"}, "this rule judges a text and knows no places in it"),
    ({"blocklist": {"words": ["a"], "min": 1, "max": None}, "by": "mask"}, "what breaks min is not there, so it has no places"),
    (3, "expected a mapping of keys, found 3"),
]


def written(tmp_path: Path, key: str, value: Any) -> Any:
    path = tmp_path / "p.yaml"
    path.write_text("name: a\n")
    return config.load(path, [f"finetune.{key}={'null' if value is None else value}".replace("None", "null")]).finetune


@cache
def validator(model: Any) -> Draft202012Validator:
    return Draft202012Validator(TypeAdapter(model).json_schema())


def schema_errors(model: Any, data: Any) -> list[str]:
    return [error.message for error in validator(model).iter_errors(data)]


@pytest.mark.parametrize(("data", "place", "learned"), GOOD, ids=str)
def test_a_good_penalty_loads_and_validates(data: dict[str, Any], place: str, learned: float, tmp_path: Path) -> None:
    (penalty,) = written(tmp_path, "penalise", [data]).penalise
    assert (penalty.place, penalty.learned) == (place, learned)
    assert penalty.condition == data.get("column", penalty.rule)
    assert schema_errors(Penalty, data) == []


@pytest.mark.parametrize(("data", "place", "learned"), GOOD, ids=str)
def test_a_penalty_survives_its_own_json(data: dict[str, Any], place: str, learned: float) -> None:
    penalty = Penalty.model_validate(data)
    dumped = penalty.model_dump(mode="json")
    assert Penalty.model_validate(dumped) == penalty
    assert set(dumped) == set(data), "it is written as people write it"
    assert schema_errors(Penalty, dumped) == []


@pytest.mark.parametrize(("data", "message"), BAD, ids=str)
def test_a_bad_penalty_is_one_clear_line(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^command line: finetune\.penalise\.0(: |\.){message}") as error:
        written(tmp_path, "penalise", [data])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        {"by": "mask"},
        {"blocklst": "a", "by": "mask"},
        {"toxicity": {"max": 1}, "words": {"max": 1}, "by": "mask"},
        {"toxicity": {"mix": 1}, "by": "mask"},
        {"toxicity": {"max": 1}},
        {"column": "a", "by": "drop"},
        {"whitespace": None, "by": "mask"},
        {"outlier": "words", "by": "mask"},
    ],
    ids=str,
)
def test_the_json_schema_refuses_what_the_loader_refuses(data: Any) -> None:
    assert schema_errors(Penalty, data)


def test_the_json_schema_says_what_each_key_is() -> None:
    for model in (Penalty, Condition, Control, Probes):
        properties = model.model_json_schema(ref_template="{model}").get("properties") or {}
        assert all(value.get("description") for value in properties.values()), model
    keys = set(Penalty.model_json_schema()["properties"])
    assert {"column", "by", "weight", "on", "blocklist", "toxicity"} <= keys
    assert keys <= {*RULES, "column", "by", "weight", "on"}
    assert "preset" not in keys


def test_control_takes_one_condition_or_several(tmp_path: Path) -> None:
    one = written(tmp_path, "control", {"by": {"toxicity": {"max": 0.5}}}).control
    assert [condition.rule.max for condition in one.by] == [0.5]
    assert (one.safe, one.unsafe) == ("<|safe|>", "<|unsafe|>")
    data = {"by": [{"column": "harmful"}, {"blocklist": "a.txt"}], "safe": "<good>", "unsafe": "<bad>"}
    several = written(tmp_path, "control", data).control
    assert several.by[0].condition == "harmful"
    assert Control.model_validate(several.model_dump(mode="json")) == several
    assert schema_errors(Control, data) == schema_errors(Control, {"by": {"column": "a"}}) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "control.by: is needed"),
        ({"by": []}, "control.by: is empty"),
        ({"by": {"toxicty": {"max": 0.5}}}, "control.by.0: toxicty is an unknown key; the nearest is toxicity"),
        ({"by": {"toxicity": {"maxi": 0.5}}}, "control.by.0.toxicity.maxi: unknown key; the nearest is .*toxicity.max"),
        ({"by": {"column": "a", "weight": 1}}, "control.by.0: weight is an unknown key"),
        ({"by": {"column": "a"}, "saef": "b"}, "control.saef: unknown key; the nearest is finetune.control.safe"),
        ({"by": {"column": "a"}, "safe": "a b"}, "control.safe: string should match"),
        ({"by": {"column": "a"}, "safe": "<|unsafe|>"}, "control: safe and unsafe must be two tokens"),
        (
            {"by": {"column": "a"}, "safe": "safe", "unsafe": "unsafe"},
            "control: safe and unsafe must be two tokens, neither a part",
        ),
    ],
    ids=str,
)
def test_a_bad_control_is_one_clear_line(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^command line: finetune\.{message}"):
        written(tmp_path, "control", data)


def test_probes(tmp_path: Path) -> None:
    probes = written(tmp_path, "probes", {"languages": "zh", "continuations": 8}).probes
    assert (probes.languages, probes.continuations, probes.threshold) == (["zh"], 8, 0.9)
    assert schema_errors(Probes, {"languages": "zh"}) == []
    assert written(tmp_path, "probes", {}).probes == Probes()
    for data, message in (
        ({"languages": ["fr"]}, "input should be 'en' or 'zh'"),
        ({"languages": []}, "is empty"),
        ({"continuation": 3}, "unknown key; the nearest is finetune.probes.continuations"),
        ({"threshold": 1}, "input should be less than 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            written(tmp_path, "probes", data)
