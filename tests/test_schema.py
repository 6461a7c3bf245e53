"""The JSON Schema of the project file agrees with what the loader accepts, and every example file is valid."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aigc import config
from aigc.core.rules.table import RULES
from aigc.errors import ConfigError
from aigc.schema import FOREIGN_KEYS, SECTIONS, Project

EXAMPLES = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))

GOOD_RULES = [
    *(name for name, rule in RULES.items() if not any(field.is_required() for field in rule.model_fields.values())),
    {"redact": ["email"]},
    {"redact": {"kinds": ["email", "phone"]}},
    {"whitespace": None},
    {"whitespace": {}},
    {"characters": {"min": 1}},
    {"words": {"max": 2.5}},
    {"mean_word_length": {"min": 1, "max": 2}},
    {"symbol_share": {"max": 0.1}},
    {"stop_words": {"min": {"en": 2}, "max": {"zh": 3}}},
    {"exact_duplicates": {}},
]
BAD_RULES = [
    "whitespce",
    5,
    None,
    [],
    {},
    {"whitespace": {"min": 1}},
    {"words": {"mim": 1}},
    {"words": {"min": "x"}},
    {"words": {"min": {"fr": 1}}},
    {"words": 5},
    {"redact": ["emal"]},
    {"redact": []},
    {"redact": {"kind": ["email"]}},
    {"words": {"min": 1}, "characters": {"min": 1}},
]


def _with_rule(rule: Any) -> dict[str, Any]:
    return {"name": "a", "clean": {"input": "x", "rules": [rule]}, "generate": {"rules": [rule]}}


@cache
def _schema() -> dict[str, Any]:
    return Project.model_json_schema()


def _errors(data: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(_schema()).iter_errors(data)]


def test_the_schema_is_draft_2020_12() -> None:
    Draft202012Validator.check_schema(_schema())


def test_every_reference_in_the_schema_resolves() -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [ref for item in node for ref in references(item)]
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        return []

    found = set(references(_schema()))
    assert found
    assert {ref for ref in found if ref.removeprefix("#/$defs/") not in _schema()["$defs"]} == set()


def test_every_key_is_described() -> None:
    models = {"Project": _schema()["properties"]} | {name: model["properties"] for name, model in _schema()["$defs"].items()}
    nameless = {
        f"{model}.{key}"
        for model, keys in models.items()
        if model != "ByLanguage"
        for key, value in keys.items()
        if not value.get("description")
    }
    assert nameless == set()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_and_validates(path: Path) -> None:
    assert isinstance(config.load(path), Project)
    assert _errors(config.parse_scalar(path.read_text("utf-8"))) == []


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("rule", GOOD_RULES, ids=str)
def test_a_good_rule_loads_and_validates(rule: Any) -> None:
    Project.model_validate(_with_rule(rule))
    assert _errors(_with_rule(rule)) == []


def test_every_rule_is_among_the_good_ones() -> None:
    assert {rule if isinstance(rule, str) else next(iter(rule)) for rule in GOOD_RULES} == set(RULES)


@pytest.mark.parametrize("rule", BAD_RULES, ids=str)
def test_a_bad_rule_neither_loads_nor_validates(rule: Any, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: a\n")
    with pytest.raises(ConfigError, match=r"command line: generate\.rules"):
        config.load(path, [f"generate.rules=[{_yaml(rule)}]"])
    assert _errors(_with_rule(rule))


def _yaml(rule: Any) -> str:
    return "null" if rule is None else str(rule)  # YAML reads Python's lists and dicts of words and numbers


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": 1.5},
        {"name": "a", "seed": -1},
        {"name": "a", "sead": 1},
        {"name": "a", "clean": {}},
        {"name": "a", "split": 1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_loader_refuses(data: dict[str, Any]) -> None:
    assert _errors(data)


def test_a_project_survives_its_own_json() -> None:
    rules = [rule for rule in GOOD_RULES if rule != {"whitespace": None}]
    data = {
        "name": "a",
        "runs": "elsewhere/runs",
        "clean": {"input": ["x", "y"], "rules": rules},
        "split": {"validation": 0.1},
        "pretrain": {"epochs": 3, "model": {"family": "llama", "width": 64, "heads": 2}},
        "finetune": {"start": "gpt2"},
        "generate": {"prompts": ["a", {"title": "b"}], "rules": rules},
    }
    project = Project.model_validate(data)
    dumped = project.model_dump(mode="json")
    assert Project.model_validate(dumped) == project
    assert Project.model_validate(dumped).model_dump(mode="json") == dumped
    assert _errors(dumped) == []


def test_the_names_of_other_tools_lead_to_keys_that_exist() -> None:
    fields = {field for section in SECTIONS.values() for field in section.model_fields} | set(Project.model_fields)
    fields |= set(_schema()["$defs"]["Tokenizer"]["properties"]) | set(_schema()["$defs"]["Architecture"]["properties"])
    assert set(FOREIGN_KEYS.values()) <= fields
    assert not set(FOREIGN_KEYS) & fields, "a key of ours is no foreign name"
