"""What aigc.config.load says about every mistake in a project file: file, line, key and remedy."""

from pathlib import Path

import pytest

from aigc.config import MAX_BYTES, load
from aigc.errors import ConfigError
from aigc.foreign_keys import FOREIGN_KEYS
from aigc.schema import SECTIONS, Project

CLEAN = "name: a\nclean:\n  input: x.jsonl\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "p.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, *overrides: str) -> Project:
    return load(write(folder, content), overrides)


def error(folder: Path, content: str | bytes, *overrides: str) -> str:
    """The message of a file that cannot be loaded, with the file's folder cut off."""
    with pytest.raises(ConfigError) as caught:
        read(folder, content, *overrides)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "")


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "name: a")
    with pytest.raises(ConfigError, match=r"q\.yaml: no such project file; did you mean .*p\.yaml\?"):
        load(tmp_path / "q.yaml")


def test_missing_file_without_a_near_name_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"q\.yaml: no such project file; `aigc new NAME` writes one"):
        load(tmp_path / "q.yaml")


def test_a_folder_is_no_project_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, not a project file"):
        load(tmp_path)


def test_a_huge_file_is_no_project_file(tmp_path: Path) -> None:
    assert "p.yaml: 1,048,577 bytes is no project file (at most 1,048,576)" in error(tmp_path, b"#" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff", "p.yaml: not UTF-8 text (byte 6)"),
        ("", "p.yaml: is empty; a project file is a mapping, e.g. `name: news`"),
        ("# nothing but a comment", "p.yaml: is empty; a project file is a mapping"),
        ("- a", "p.yaml: holds a list; a project file is a mapping"),
        ("hello", "p.yaml: holds a single value; a project file is a mapping"),
        ("name: a\nseed: [1", "p.yaml:2: not valid YAML: expected ',' or ']'"),
        ("name: a\nb: c: d", "p.yaml:2: not valid YAML: mapping values are not allowed here"),
        ("name: a\nseed: *x", "p.yaml:2: not valid YAML: found undefined alias 'x'"),
        ("name: a\n---\nname: b", "p.yaml:2: not valid YAML: but found another document"),
        ("name: a\n[b]: c", "p.yaml:2: not valid YAML: found unhashable key"),
        ("name: !!python/object:os.system x", "p.yaml:1: not valid YAML: could not determine a constructor"),
        ("name: a\nname: b", "p.yaml:2: name: given twice (first on line 1); keep one"),
        (CLEAN + "split:\n  test: 0.1\n  test: 0.2", "p.yaml:6: split.test: given twice (first on line 5); keep one"),
        ("a: " + "[" * 5000, "p.yaml: nested too deeply, or an alias that contains itself"),
    ],
)
def test_what_is_no_yaml_mapping(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in error(tmp_path, content)


def test_an_alias_to_the_list_that_holds_it(tmp_path: Path) -> None:
    assert "p.yaml:2: seed: " in error(tmp_path, "name: a\nseed: &x [*x]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sead: 1", "p.yaml:2: sead: unknown key; the nearest is seed"),
        (
            "pretrain:\n  layer_rate: 1",
            "p.yaml:3: pretrain.layer_rate: unknown key; the nearest is pretrain.learning_rate",
        ),
        (
            "pretrain:\n  model:\n    layer: 1",
            "p.yaml:4: pretrain.model.layer: unknown key; the nearest is pretrain.model.layers",
        ),
        ("finetune:\n  lr: 1", "p.yaml:3: finetune.lr: unknown key; aigc calls it finetune.learning_rate"),
        (
            "pretrain:\n  num_train_epochs: 3",
            "p.yaml:3: pretrain.num_train_epochs: unknown key; aigc calls it pretrain.epochs",
        ),
        (
            "pretrain:\n  model: {n_layer: 3}",
            "p.yaml:3: pretrain.model.n_layer: unknown key; aigc calls it pretrain.model.layers",
        ),
        ("output_dir: x", "p.yaml:2: output_dir: unknown key; aigc calls it runs"),
        (
            "split:\n  lr: 1",
            "p.yaml:3: split.lr: unknown key here; it belongs to `aigc pretrain`: pretrain.learning_rate or finetune.learning_rate",
        ),
        (
            "split:\n  top_k: 1",
            "p.yaml:3: split.top_k: unknown key here; it belongs to `aigc generate`: generate.top_k",
        ),
        ("split:\n  device: cpu", "p.yaml:3: split.device: unknown key here; device stands at the top of the file"),
        (
            "split:\n  output_dir: x",
            "p.yaml:3: split.output_dir: unknown key; aigc calls it runs, at the top of the file",
        ),
        ("validation: 0.1", "p.yaml:2: validation: unknown key; it belongs to a section: split.validation"),
        (
            "max_steps: 9",
            "p.yaml:2: max_steps: unknown key; it belongs to a section: pretrain.steps or finetune.steps",
        ),
        ("zzz: 1", "p.yaml:2: zzz: unknown key; known here: name, seed, runs, device, clean, split"),
    ],
)
def test_unknown_key(tmp_path: Path, content: str, message: str) -> None:
    assert message in error(tmp_path, f"name: a\n{content}")


@pytest.mark.parametrize("name", sorted(FOREIGN_KEYS))
def test_the_name_of_another_tool_is_told_in_ours_where_the_key_belongs(name: str, tmp_path: Path) -> None:
    ours = FOREIGN_KEYS[name]
    for section in (one for one, owner in SECTIONS.items() if ours in owner.model_fields):
        told = f"{section}.{name}: unknown key; aigc calls it {section}.{ours}"
        assert told in error(tmp_path, f"name: a\n{section}: {{{name}: 1}}"), section


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clean:\n  text_field: t", "p.yaml:2: clean.input: is needed; files to read"),
        ("seed: x", "p.yaml:2: seed: input should be a valid integer"),
        ("seed: 1.5", "found 1.5"),
        ("split: 5", "p.yaml:2: split: expected a mapping of keys, found 5"),
        ("seed: -1", "p.yaml:2: seed: input should be greater than or equal to 0, found -1"),
        ("split:\n  test: 1", "p.yaml:3: split.test: a share is less than 1, and a number of documents is whole and 2 or more"),
        ("pretrain:\n  learning_rate: .inf", "p.yaml:3: pretrain.learning_rate: input should be a finite number"),
        ("device: gpu", "p.yaml:2: device: string should match pattern"),
        (
            "pretrain:\n  schedule: cosin",
            "p.yaml:3: pretrain.schedule: input should be 'cosine', 'linear', 'constant' or 'wsd', found 'cosin'",
        ),
        (
            "split:\n  validation: 0.5\n  test: 0.5",
            "p.yaml:2: split: validation 0.5 + test 0.5 leaves nothing to train on",
        ),
        (
            "pretrain:\n  model: {layers: 1, width: 10, heads: 3}",
            "p.yaml:3: pretrain.model: width 10 is not a multiple of heads 3",
        ),
        ("clean:\n  input: []", "p.yaml:3: clean.input: "),
        ("seed: " + "'" + "x" * 200 + "'", "..."),
    ],
)
def test_wrong_value(tmp_path: Path, content: str, message: str) -> None:
    assert message in error(tmp_path, f"name: a\n{content}")


def test_a_name_is_needed(tmp_path: Path) -> None:
    assert error(tmp_path, "seed: 1").startswith("p.yaml: name: is needed; the run's name")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "-x", "a b", "''", "x" * 101, "../up"])
def test_a_name_names_a_folder(tmp_path: Path, name: str) -> None:
    assert "p.yaml:1: name: a name is letters, digits, '_', '-' and '.', for it names the run folder, found " in error(
        tmp_path, f"name: {name}"
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("whitespce", "clean.rules.0: no rule is called 'whitespce'; the nearest is whitespace"),
        ("{charactrs: {min: 1}}", "clean.rules.0: no rule is called 'charactrs'; the nearest is characters"),
        ("qqqqqqqq", "clean.rules.0: no rule is called 'qqqqqqqq'; known: repair_unicode, html_to_text"),
        (
            "{words: {min: 1}, characters: {min: 1}}",
            "clean.rules.0: a rule is a name (`whitespace`) or one name with its",
        ),
        (
            "5",
            "clean.rules.0: a rule is a name (`whitespace`) or one name with its parameters (`characters: {min: 20}`)",
        ),
        ("{}", "clean.rules.0: a rule is a name"),
        ("{characters: {min: 5, max: 1}}", "clean.rules.0.characters: min 5 is above max 1: nothing could be kept"),
        (
            "{characters: {mim: 5}}",
            "clean.rules.0.characters.mim: unknown key; the nearest is clean.rules.0.characters.min",
        ),
        ("{characters: {min: {fr: 5}}}", "clean.rules.0.characters.min.fr: unknown key"),
        ("{characters: {min: x}}", "clean.rules.0.characters.min: input should be a valid number"),
        ("{characters: 5}", "clean.rules.0.characters: expected a mapping of keys, found 5"),
        ("{redact: [emal]}", "clean.rules.0.redact.kinds.0: input should be 'email', 'phone', 'id_card',"),
    ],
)
def test_wrong_rule(tmp_path: Path, rule: str, message: str) -> None:
    assert f"p.yaml:5: {message}" in error(tmp_path, f"{CLEAN}  rules:\n  - {rule}")


def test_rules_are_a_list(tmp_path: Path) -> None:
    assert "p.yaml:4: clean.rules: input should be a valid list" in error(tmp_path, f"{CLEAN}  rules: whitespace")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "command line: 'seed' is no override; write key=value, e.g. finetune.learning_rate=1e-4"),
        ("=3", "command line: '=3' is no override; write key=value"),
        ("split..test=3", "command line: 'split..test=3' is no override; write key=value"),
        ("name.x=1", "command line: name.x: name is not a section; set it whole, name=..."),
        ("clean.input.x=1", "command line: clean.input.x: clean.input is not a section; set it whole, clean.input=..."),
        ("seed=[", "command line: seed: '[' is not valid YAML; quote it"),
        ("seed=x", "command line: seed: input should be a valid integer"),
        ("split.test=-2", "command line: split.test: input should be greater than or equal to 0, found -2"),
        ("clean.lr=2", "command line: clean.lr: unknown key here"),
        ("finetune.lr=2", "command line: finetune.lr: unknown key; aigc calls it finetune.learning_rate"),
        (
            "clean.rules=[whitespce]",
            "command line: clean.rules.0: no rule is called 'whitespce'; the nearest is whitespace",
        ),
    ],
)
def test_wrong_override(tmp_path: Path, override: str, message: str) -> None:
    found = error(tmp_path, CLEAN, override)
    assert found.startswith(message)
    assert "p.yaml" not in found


def test_several_errors_come_sorted_by_line(tmp_path: Path) -> None:
    lines = error(tmp_path, "name: a\nzzz: 1\nsplit:\n  test: -2\n  validation: x\nseed: -1\n", "device=gpu").splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["command line", "device"],
        ["p.yaml:2", "zzz"],
        ["p.yaml:4", "split.test"],
        ["p.yaml:5", "split.validation"],
        ["p.yaml:6", "seed"],
    ]


def test_a_section_that_is_only_asked_for_takes_keys(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: a\nfinetune: {start: gpt2, lora: true}\n", "utf-8")
    section = load(str(path), ["finetune.lora.rank=4"]).finetune
    assert section is not None and section.lora is not None and section.lora.rank == 4
