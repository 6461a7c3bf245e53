"""The JSON Schema of the project file agrees with what the loader accepts, and every example file is valid."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aigc import config
from aigc.core.rules.presets import PRESETS
from aigc.core.rules.rule import Duplicates, Surveyor
from aigc.core.rules.table import RULES, rule_class
from aigc.errors import ConfigError
from aigc.foreign_keys import FOREIGN_KEYS
from aigc.schema import SECTIONS, Clean, Project

EXAMPLES = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))

CLASSES = {name: rule_class(name) for name in RULES}
GOOD_RULES = [
    *(
        name
        for name, rule in CLASSES.items()
        if name != "blocklist" and not any(f.is_required() for f in rule.model_fields.values())
    ),
    {"blocklist": {"words": ["傻逼", "idiot"]}},
    {"topic": {"checkpoint": "x", "in": ["sport"]}},
    {"missing_facts": {"fields": ["who"]}},
    {"invented_numbers": {"fields": ["amount"]}},
    {"top_ngram": {"n": 2, "max": 0.2}},
    {"duplicate_ngrams": {"n": 5, "max": 0.2}},
    {"phrases": ["lorem ipsum"]},
    {"perplexity": {"checkpoint": "gpt2", "max": 100}},
    {"outlier": {"of": "words", "z": 3}},
    {"decontaminate": ["test.jsonl"]},
    {"near_duplicates": 0.8},
    {"language": {"in": ["zh"], "min": 0.6}},
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
    {"preset": "goffer"},
    {"outlier": {"z": 3}},
    "blocklist",
    {"duplicate_ngrams": {"n": 4}},
]
CORPUS_ONLY = {name for name, rule in CLASSES.items() if issubclass(rule, Surveyor) and not issubclass(rule, Duplicates)}


def _with_rule(rule: Any) -> dict[str, Any]:
    of_samples = [] if _name(rule) in CORPUS_ONLY else [rule]
    return {"name": "a", "clean": {"input": "x", "rules": [rule]}, "generate": {"rules": of_samples}}


def _name(rule: Any) -> Any:
    return next(iter(rule), None) if isinstance(rule, dict) else rule if isinstance(rule, str) else None


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
    defined = {name: model["anyOf"][-1] if "anyOf" in model else model for name, model in _schema()["$defs"].items()}
    models = {"Project": _schema()["properties"]} | {name: model["properties"] for name, model in defined.items()}
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
    assert set(map(_name, GOOD_RULES)) == set(RULES)


@pytest.mark.parametrize("name", sorted(CORPUS_ONLY))
def test_what_needs_a_corpus_is_no_rule_for_samples(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: a\n")
    rule = next(rule for rule in GOOD_RULES if _name(rule) == name)
    with pytest.raises(ConfigError, match=rf"generate\.rules: {name}.* whole corpus"):
        config.load(path, [f"generate.rules=[{_yaml(rule)}]"])


def test_a_preset_stands_for_its_rules() -> None:
    project = Project.model_validate({"name": "a", "clean": {"input": "x", "rules": ["whitespace", {"preset": "c4"}]}})
    assert project.clean is not None
    assert [rule.preset for rule in project.clean.rules] == [None, "c4", "c4", "c4", "c4"]
    assert Clean.model_validate(project.clean.model_dump(mode="json")) == project.clean


def test_every_preset_loads() -> None:
    for name in PRESETS:
        assert Project.model_validate(_with_rule({"preset": name}) | {"generate": None})


def test_without_rules_the_default_preset_counts() -> None:
    project = Project.model_validate({"name": "a", "clean": {"input": "x"}})
    assert project.clean is not None
    assert {rule.preset for rule in project.clean.rules} == {"default"}
    assert Clean(input=["x"], rules=[]).rules == []


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
    of_samples = [rule for rule in rules if _name(rule) not in CORPUS_ONLY]
    data = {
        "name": "a",
        "runs": "elsewhere/runs",
        "clean": {"input": ["x", "y"], "rules": rules},
        "split": {"validation": 0.1},
        "pretrain": {"epochs": 3, "model": {"family": "llama", "layers": 2, "width": 64, "heads": 2}},
        "finetune": {"start": "gpt2", "task": "classify", "label": "topic", "lora": True},
        "evaluate": {"answers": 3},
        "generate": {"prompts": ["a", {"title": "b"}], "rules": of_samples},
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
