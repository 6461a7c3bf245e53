"""What the sections that train accept, and what they say of what they do not."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from aigc.config import load
from aigc.core.batches.objectives import table
from aigc.core.batches.objectives.masked import Masked
from aigc.errors import ConfigError
from aigc.schema import Project
from aigc.schema.objectives import FAMILIES, OBJECTIVES, default_objective

PARAMETERS: dict[str, dict[str, Any]] = {
    "causal": {},
    "masked": {"share": 0.2, "whole_words": True},
    "masked+next_sentence": {"share": "20%"},
    "masked+sentence_order": {"share": 0.2},
    "span_corruption": {"share": 0.2, "span": 2},
    "denoising": {"share": 0.2, "span": 2.5, "shuffle": False},
    "next_segment": {},
    "fill_in_middle": {"rate": 1},
}
PAIRS = [(name, family) for name, families in FAMILIES.items() for family in families]


def pretrain(**keys: Any) -> dict[str, Any]:
    return {"name": "a", "pretrain": keys}


def as_json(project: Project) -> dict[str, Any]:
    """As it stands in a manifest, without the sections that the file does not have."""
    return {key: value for key, value in project.model_dump(mode="json").items() if value is not None}


def error(folder: Path, *overrides: str) -> str:
    (folder / "p.yaml").write_text("name: a\n")
    with pytest.raises(ConfigError) as caught:
        load(folder / "p.yaml", overrides)
    return str(caught.value).removeprefix("command line: ")


def learned(project: Project) -> Any:
    assert project.pretrain is not None
    return project.pretrain.learned


@cache
def schema() -> dict[str, Any]:
    return Project.model_json_schema()


def complaints(data: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(data)]


@pytest.mark.parametrize(("name", "family"), PAIRS)
@pytest.mark.parametrize("form", ["name", "nothing behind it", "empty", "parameters"])
def test_an_objective_is_a_name_or_a_name_with_parameters(name: str, family: str, form: str) -> None:
    forms: dict[str, Any] = {
        "name": name,
        "nothing behind it": {name: None},
        "empty": {name: {}},
        "parameters": {name: PARAMETERS[name]},
    }
    data = pretrain(objective=forms[form], model={"family": family})
    project = Project.model_validate(data)
    assert complaints(data) == []
    expected = OBJECTIVES[name]() if form != "parameters" else OBJECTIVES[name].model_validate(PARAMETERS[name])
    assert learned(project) == expected
    assert type(learned(project)) is OBJECTIVES[name]
    dumped = as_json(project)
    assert Project.model_validate(dumped) == project
    assert complaints(dumped) == []


def test_every_objective_of_core_can_be_named_and_no_other() -> None:
    assert set(table.OBJECTIVES) == set(OBJECTIVES) == set(FAMILIES) == set(PARAMETERS)
    for name, section in OBJECTIVES.items():
        own = set(section.model_fields) - {"name"}
        assert own == set(PARAMETERS[name])
        assert own <= set(table.OBJECTIVES[name].__dataclass_fields__)
    assert OBJECTIVES["masked"]().model_dump()["share"] == Masked.__dataclass_fields__["share"].default


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert", "t5", "bart"])
def test_each_family_has_an_objective_by_default(family: str) -> None:
    project = Project.model_validate(pretrain(model={"family": family}))
    assert learned(project).name == default_objective(family)
    assert family in FAMILIES[learned(project).name]
    assert project.pretrain is not None
    assert project.pretrain.objective is None  # and the manifest says that nothing was said


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maskd", "pretrain.objective: no objective is called 'maskd'; the nearest is masked"),
        ("qqqqqqqq", "pretrain.objective: no objective is called 'qqqqqqqq'; known: causal, masked, masked+next_sentence"),
        ("5", "pretrain.objective: expected the name of an objective, or one name with its parameters, found 5"),
        ("[causal]", "pretrain.objective: expected the name of an objective, or one name with its parameters"),
        ("{}", "pretrain.objective: expected the name of an objective, or one name with its parameters"),
        ("{causal: , masked: }", "pretrain.objective: expected the name of an objective, or one name with its parameters"),
        ("{masked: 0.2}", "pretrain.objective: the parameters of masked are a mapping"),
        ("{masked: {shre: 1}}", "pretrain.objective.masked.shre: unknown key; the nearest is pretrain.objective.masked.share"),
        ("{causal: {share: 1}}", "pretrain.objective.causal.share: unknown key"),
        ("{causal: {name: masked}}", "pretrain.objective: the name of causal stands before its parameters"),
        ("{masked: {share: 0}}", "pretrain.objective.masked.share: input should be greater than 0, found 0"),
        ("{masked: {share: 1}}", "pretrain.objective.masked.share: input should be less than 1, found 1"),
        ("{span_corruption: {span: 0.5}}", "pretrain.objective.span_corruption.span: input should be greater than or equal to 1"),
        ("{denoising: {span: 0}}", "pretrain.objective.denoising.span: input should be greater than 0"),
        ("{fill_in_middle: {rate: 1.5}}", "pretrain.objective.fill_in_middle.rate: input should be less than or equal to 1"),
    ],
)
def test_a_wrong_objective(value: str, message: str, tmp_path: Path) -> None:
    assert error(tmp_path, f"pretrain.objective={value}").startswith(message)


@pytest.mark.parametrize(
    "value", ["maskd", 5, ["causal"], {}, {"causal": None, "masked": None}, {"masked": {"shre": 1}}, {"masked": 0.2}]
)
def test_an_editor_is_told_of_a_wrong_objective(value: Any) -> None:
    assert complaints(pretrain(objective=value))


@pytest.mark.parametrize(
    ("name", "family"), [(n, f) for n in OBJECTIVES for f in ("gpt2", "llama", "bert", "t5", "bart") if (n, f) not in PAIRS]
)
def test_an_objective_that_is_not_for_the_family(name: str, family: str, tmp_path: Path) -> None:
    said = error(tmp_path, f"pretrain.objective={name}", f"pretrain.model.family={family}")
    assert f"pretrain: objective {name} is not for {family}; it is for {', '.join(FAMILIES[name])}" in said


@pytest.mark.parametrize("size", ["tiny", "small", "base", 10_000, 124_000_000, 1e8])
def test_a_model_has_a_size(size: Any) -> None:
    data = pretrain(model={"size": size})
    project = Project.model_validate(data)
    assert project.pretrain is not None
    assert project.pretrain.model.size == size
    assert complaints(data) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "{size: large}",
            "pretrain.model.size: expected tiny, small, base or a number of parameters, 10,000 or more, found 'large'",
        ),
        ("{size: 9999}", "pretrain.model.size: expected tiny, small, base or a number of parameters, 10,000 or more, found 9999"),
        ("{size: true}", "pretrain.model.size: expected tiny, small, base or a number"),
        ("{size: 1e-4}", "pretrain.model.size: expected tiny, small, base or a number"),
        ("{size: tiny, layers: 2}", "pretrain.model: size decides layers, width and heads: leave out size or layers"),
        (
            "{size: tiny, width: 8, heads: 2}",
            "pretrain.model: size decides layers, width and heads: leave out size or width, heads",
        ),
        ("{layers: 2}", "pretrain.model: heads and width must be given as well, or size instead of all"),
        ("{layers: 2, width: 64}", "pretrain.model: heads must be given as well, or size instead of all"),
        ("{layers: 1, width: 10, heads: 3}", "pretrain.model: width 10 is not a multiple of heads 3"),
        (
            "{family: llama, layers: 1, width: 9, heads: 3}",
            "pretrain.model: width 9 / heads 3 must be even (rotary positions)",
        ),
        ("{family: llama, dropout: 0.1}", "pretrain.model: llama has no dropout; leave it out"),
        ("{family: gpt3}", "pretrain.model.family: input should be 'gpt2', 'llama', 'bert', 't5' or 'bart'"),
    ],
)
def test_a_wrong_model(model: str, message: str, tmp_path: Path) -> None:
    assert message in error(tmp_path, f"pretrain.model={model}")


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("0%", 0.0), ("2.5%", 0.025), ("0.3", 0.3), ("0", 0.0)])
def test_a_share_may_be_written_in_per_cent(text: str, value: float, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(f"name: a\npretrain: {{max_truncated: {text}, warmup: {text}}}\n")
    section = load(tmp_path / "p.yaml").pretrain
    assert section is not None
    assert section.max_truncated == pytest.approx(value)
    assert section.warmup == pytest.approx(value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_truncated=101%", "pretrain.max_truncated: input should be less than or equal to 1"),
        ("max_truncated=x%", "pretrain.max_truncated: input should be a valid number"),
        ("max_truncated=-1%", "pretrain.max_truncated: input should be greater than or equal to 0"),
        ("mixture={by: source}", "pretrain.mixture.weights: is needed; a number for each value of that column"),
        ("mixture={weights: {a: 1}}", "pretrain.mixture.by: is needed; the column that tells the class"),
        ("mixture={by: source, weights: {}}", "pretrain.mixture.weights: is empty"),
        ("mixture={by: source, weights: {a: -1}}", "pretrain.mixture.weights.a: input should be greater than or equal to 0"),
        ("mixture={by: source, weights: {a: 0, b: 0}}", "pretrain.mixture: all weights are 0: nothing is left to train on"),
        (
            "mixture={by: source, weights: {a: 1}, wieghts: {a: 1}}",
            "pretrain.mixture.wieghts: unknown key; the nearest is pretrain.mixture.weights",
        ),
        ("keep=3", "pretrain.keep: expected a mapping of keys, found 3"),
        ("keep={last: 0}", "pretrain.keep.last: input should be greater than or equal to 1"),
        ("keep={bst: 1}", "pretrain.keep.bst: unknown key; the nearest is pretrain.keep.best"),
        ("average=1", "pretrain.average: input should be less than 1"),
        ("compile=maybe", "pretrain.compile: expected auto, true or false, found 'maybe'"),
        ("compile=1", "pretrain.compile: expected auto, true or false, found 1"),
        ("precision=fp16", "pretrain.precision: input should be 'auto', 'fp32' or 'bf16'"),
        ("sharing=zero", "pretrain.sharing: input should be 'replicate' or 'shard'"),
        ("track=mlflow", "pretrain.track.0: input should be 'tensorboard' or 'wandb'"),
        ("tokenizer={vocabulary: 10}", "pretrain.tokenizer.vocabulary: input should be greater than or equal to 300"),
        ("tokenizer={kind: bpee}", "pretrain.tokenizer.kind: input should be 'bpe', 'wordpiece' or 'unigram'"),
        ("context=4", "pretrain.context: input should be greater than or equal to 8"),
        ("patience=0", "pretrain.patience: input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_value(override: str, message: str, tmp_path: Path) -> None:
    assert error(tmp_path, f"pretrain.{override}").startswith(message)


def test_the_best_weights_need_to_be_kept_to_be_the_result(tmp_path: Path) -> None:
    said = error(tmp_path, "pretrain.patience=2", "pretrain.keep.best=0")
    assert "pretrain: patience ends with the best weights: keep.best must be 1 or more" in said
    Project.model_validate(pretrain(keep={"best": 0}))


@pytest.mark.parametrize(
    "keys",
    [
        {"mixture": {"by": "source", "weights": {"news": 0.7, "poems": 3, "": 1}}},
        {"keep": {"last": 1, "best": 0}},
        {"keep": {}},
        {"track": "tensorboard"},
        {"track": ["tensorboard", "wandb"]},
        {"compile": True},
        {"compile": "auto"},
        {"schedule": "wsd", "average": 0.999, "patience": 3, "accumulate": 4, "precision": "bf16", "sharing": "shard"},
        {"tokenizer": {"kind": "unigram", "vocabulary": 300}},
        {"tokenizer": {"start": "gpt2"}},
        {"max_truncated": "1%"},
    ],
    ids=str,
)
@pytest.mark.parametrize("section", ["pretrain", "finetune"])
def test_what_loads_is_what_an_editor_accepts_and_survives_its_own_json(section: str, keys: dict[str, Any]) -> None:
    if section == "finetune" and "tokenizer" in keys:
        pytest.skip("pretrain's own")
    data = {"name": "a", section: keys}
    project = Project.model_validate(data)
    assert complaints(data) == []
    dumped = as_json(project)
    assert Project.model_validate(dumped) == project
    assert complaints(dumped) == []


def test_classes_of_a_mixture_may_be_numbers_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("name: a\npretrain: {mixture: {by: year, weights: {2023: 1, 2024: 2, true: 1}}}\n")
    section = load(tmp_path / "p.yaml").pretrain
    assert section is not None
    assert section.mixture is not None
    assert set(section.mixture.weights) >= {"2023", "2024"}


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("pretrain.per_device_train_batch_size", "pretrain.batch_size"),
        ("pretrain.gradient_accumulation_steps", "pretrain.accumulate"),
        ("pretrain.lr_scheduler_type", "pretrain.schedule"),
        ("pretrain.warmup_steps", "pretrain.warmup"),
        ("pretrain.save_total_limit", "pretrain.keep"),
        ("pretrain.keep_checkpoints", "pretrain.keep"),
        ("pretrain.early_stopping_patience", "pretrain.patience"),
        ("pretrain.ema_decay", "pretrain.average"),
        ("pretrain.torch_compile", "pretrain.compile"),
        ("pretrain.bf16", "pretrain.precision"),
        ("pretrain.report_to", "pretrain.track"),
        ("pretrain.mlm_probability", "pretrain.objective"),
        ("pretrain.fsdp", "pretrain.sharing"),
        ("pretrain.max_seq_length", "pretrain.context"),
        ("pretrain.tokenizer.vocab_size", "pretrain.tokenizer.vocabulary"),
        ("pretrain.model.hidden_size", "pretrain.model.width"),
        ("finetune.model_name_or_path", "finetune.start"),
    ],
)
def test_the_names_of_other_tools(key: str, ours: str, tmp_path: Path) -> None:
    assert error(tmp_path, f"{key}=1") == f"{key}: unknown key; aigc calls it {ours}"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"task": "preference", "mixture": {"by": "source", "weights": {"a": 1}}}, "mixture is for other tasks than preference"),
        ({"vocabulary": {"extend": 5}, "freeze": {"embeddings": True}}, "leave out one of them"),
        ({"label": "topic"}, "label is for the task classify or regress, and the task is language_model"),
        ({"merge": True}, "merge adds adapters in, and there are none"),
        ({"task": "preference", "batch_size": 1}, "a pair stays together"),
    ],
    ids=str,
)
def test_keys_of_finetune_that_do_not_go_together(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Project.model_validate({"name": "a", "finetune": {"start": "gpt2"} | section})
