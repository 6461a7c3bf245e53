"""A search is checked before its first trial: its keys, what they may be, and whether that is valid at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aigc import config
from aigc.errors import ConfigError
from aigc.schema import Project, Search
from aigc.schema.search import Candidates, direction_of
from aigc.search import variants

FILE = """\
name: p
split: {validation: 0.1}
pretrain:
  model: {layers: 2, width: 32, heads: 2}
search:
  stage: pretrain
  keys:
"""


def mistake(folder: Path, *keys: str, overrides: tuple[str, ...] = ()) -> str:
    path = folder / "p.yaml"
    path.write_text(FILE + "".join(f"    {key}\n" for key in keys), "utf-8")
    with pytest.raises(ConfigError) as caught:
        variants.read(path, overrides)
    return str(caught.value).replace(f"{folder}/", "")


def search(**given: Any) -> Search:
    return Search.model_validate({"stage": "pretrain"} | given)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("pretrain.lerning_rate: {log: [1e-5, 1e-3]}", "pretrain.lerning_rate: unknown key; the nearest is pretrain.learning_rate"),
        ("pretrain.lr: [1e-4]", "pretrain.lr: unknown key; aigc calls it pretrain.learning_rate"),
        ("pretrain.model.rank: [1]", "pretrain.model.rank: unknown key; known here: family, size, layers, width, heads, dropout"),
        ("pretrain.warmup: {range: [0, 1.5], step: 0.5}", "pretrain.warmup: input should be less than 1, found 1.5"),
        ("pretrain.batch_size: {int: [0, 8]}", "pretrain.batch_size: input should be greater than or equal to 1, found 0"),
        ("pretrain.batch_size: {range: [4, 8]}", "pretrain.batch_size: input should be a valid integer, got a number with a fract"),
        (
            "pretrain.schedule: [cosine, square]",
            "pretrain.schedule: input should be 'cosine', 'linear', 'constant' or 'wsd', found",
        ),
        ("pretrain.context.x: [1]", "pretrain.context: input should be a valid integer"),
    ],
)
def test_a_key_or_a_value_that_cannot_be_is_told_with_its_line(key: str, told: str, tmp_path: Path) -> None:
    assert mistake(tmp_path, key, "pretrain.epochs: [1, 2]").startswith(f"p.yaml:8: search.keys: {told}")


def test_values_that_go_together_with_some_of_the_others_are_valid(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(f"{FILE}    pretrain.model.width: [24, 33]\n", "utf-8")
    assert variants.read(tmp_path / "p.yaml").file.name == "p.yaml"
    told = mistake(tmp_path, "pretrain.model.width: [33, 35]")
    assert told.startswith("p.yaml:8: search.keys: pretrain.model: width 33 is not a multiple of heads 2")


def test_every_wrong_key_is_told_at_once_without_trying_all_combinations(tmp_path: Path) -> None:
    keys = [f"pretrain.key{i}: [1, 2]" for i in range(40)]  # 2^40 of them would not end
    told = mistake(tmp_path, *keys).splitlines()
    assert [line.split(":")[1] for line in told] == [str(line) for line in range(8, 48)]


def test_keys_on_the_command_line_are_paths_too(tmp_path: Path) -> None:
    told = mistake(tmp_path, "pretrain.epochs: [1]", overrides=("search.keys.pretrain.warmup=[0, 2]",))
    assert told == "command line: search.keys: pretrain.warmup: input should be less than 1, found 2"
    path = tmp_path / "p.yaml"
    found = variants.read(path, ["search.keys.pretrain.warmup={log: [1e-3, 1e-1]}"]).project({}).search
    assert found is not None and found.keys["pretrain.warmup"].ends == (1e-3, 1e-1)


def test_a_stage_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("name: p\nsearch: {keys: {finetune.epochs: [1]}}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"p.yaml: search.stage: there is no section 'finetune' in this file"):
        variants.read(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"keys": {"pretrain.epochs": {"rnage": [1, 2]}}}, "expected a list of choices"),
        ({"keys": {"pretrain.epochs": {"range": [1, 2], "int": [1, 2]}}}, "expected one of"),
        ({"keys": {"pretrain.epochs": {"range": [2, 1]}}}, "must be less than the second"),
        ({"keys": {"pretrain.epochs": {"log": [0, 1]}}}, "log needs numbers above 0"),
        ({"keys": {"pretrain.epochs": {"log": [1, 2], "step": 0.1}}}, "log and step exclude each other"),
        ({"keys": {"pretrain.epochs": {"range": [1, 2], "step": 3}}}, "step 3 is more than from 1 to 2"),
        ({"keys": {"pretrain.epochs": {"int": [1, 4], "step": 1.5}}}, "step 1.5 is no whole number"),
        ({"keys": {"pretrain.epochs": [1, 1]}}, "a choice is given twice"),
        ({"keys": {"pretrain.epochs": []}}, "at least 1 item"),
        ({"keys": {}}, "at least 1 item"),
        ({"keys": {"finetune.epochs": [1]}}, "finetune.epochs makes no difference to a trial"),
        ({"keys": {"pretrain.model": [None], "pretrain.model.width": [8]}}, "pretrain.model.width is a part of pretrain.model"),
        ({"keys": {"pretrain.epochs": [1]}, "metric": "quality"}, "direction is needed"),
        ({"keys": {"pretrain.epochs": {"range": [1, 2]}}, "sampler": "grid"}, "pretrain.epochs cannot be counted"),
        ({"keys": {"seed": {"int": [0, 100_000]}}, "sampler": "grid"}, "a grid of 100,001 combinations is too large"),
    ],
)
def test_what_a_search_may_not_be(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        search(**given)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("validation_loss", "minimize"), ("bits_per_byte", "minimize"), ("validation_accuracy", "maximize"), ("macro_f1", "maximize"),
     ("rouge_l", "maximize"), ("pair_loss", "minimize"), ("perplexity", "minimize"), ("speed", None), ("f1_error", None)],
)  # fmt: skip
def test_the_name_of_a_metric_tells_its_direction(metric: str, direction: str | None) -> None:
    assert direction_of(metric) == direction


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 20))
def test_steps_begin_at_the_first_number_and_stay_within(low: int, span: int, step: int) -> None:
    step = min(step, span)
    tenths = Candidates.model_validate({"range": [low / 10, (low + span) / 10], "step": step / 10})
    whole = Candidates.model_validate({"int": [low, low + span], "step": step})
    assert whole.points == list(range(low, low + span + 1, step))
    assert tenths.points == [number / 10 for number in range(low, low + span + 1, step)]
    assert tenths.ends == (tenths.points[0], tenths.points[-1])


def test_a_grid_has_every_combination_once() -> None:
    found = search(sampler="grid", keys={"pretrain.epochs": [1, 2], "seed": {"int": [0, 4], "step": 2}}).grid
    assert found == [{"pretrain.epochs": epochs, "seed": seed} for epochs in (1, 2) for seed in (0, 2, 4)]


def test_yaml_numbers_are_numbers() -> None:
    text = "{name: p, search: {keys: {finetune.learning_rate: {log: [1e-5, 1e-3]}, finetune.average: [null, 0.99]}}}"
    found = Project.model_validate(config.parse_scalar(text)).search
    assert found is not None
    assert found.keys["finetune.learning_rate"].ends == (1e-5, 1e-3) and found.keys["finetune.learning_rate"].log
    assert found.keys["finetune.average"].choices == [None, 0.99]


def test_a_search_survives_its_own_json() -> None:
    keys = {"pretrain.epochs": [1, None], "seed": {"int": [1, 8], "log": True}, "pretrain.warmup": {"range": [0, 0.2], "step": 0.1}}
    assert Search.model_validate(search(keys=keys).model_dump(mode="json")) == search(keys=keys)


def test_the_short_forms_are_in_the_json_schema() -> None:
    shown = json.dumps(Project.model_json_schema()["$defs"]["Search"]["properties"]["keys"])
    assert all(f'"{form}"' in shown for form in ("choices", "range", "int", "log", "step"))
