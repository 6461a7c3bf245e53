"""How values are read from a project file and from overrides."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from aigc.config import load, parse_scalar
from aigc.errors import ConfigError
from aigc.schema import Project

CLEAN = "name: a\nclean:\n  input: x.jsonl\n"


def read(folder: Path, content: str | bytes, *overrides: str) -> Project:
    path = folder / "p.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path, overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("5e-5", 5e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        ("1_000", 1000),
        ("~", None),
        ("", None),
        ("[a, 1]", ["a", 1]),
        ("'1'", "1"),
    ],
)
def test_yaml_traps(text: str, value: object) -> None:
    found = parse_scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("template", ["{title}", "{title}: {date|}", "{ask|写}：", "{a, b}"])
def test_a_template_on_the_command_line_needs_no_second_quotes(tmp_path: Path, template: str) -> None:
    project = read(tmp_path, "name: a\n", f"generate.prompt={template}")
    assert project.generate is not None
    assert project.generate.prompt == template


def test_a_mapping_on_the_command_line_stays_one(tmp_path: Path) -> None:
    project = read(tmp_path, "name: a\n", "generate.best_of={candidates: 3}", "generate.constrain={choices: [a]}")
    assert project.generate is not None
    assert project.generate.best_of is not None
    assert project.generate.best_of.candidates == 3
    assert project.generate.constrain is not None
    with pytest.raises(ConfigError, match=r"command line: generate\.best_of: '\{candidates: 3' is not valid YAML"):
        read(tmp_path, "name: a\n", "generate.best_of={candidates: 3")


def test_traps_in_a_file(tmp_path: Path) -> None:
    text = "name: no\nseed: 0x10\nfinetune: {learning_rate: 1e-4}\nclean: {input: [on, 2024-01-01, 12:30]}\n"
    project = read(tmp_path, text)
    assert project.name == "no"
    assert project.seed == 16
    assert project.finetune is not None
    assert project.finetune.learning_rate == 1e-4
    assert project.clean is not None
    assert project.clean.input == ["on", "2024-01-01", "12:30"]


def test_a_byte_order_mark_and_a_number_as_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfname: 2024\n").name == "2024"


def test_overrides_set_nested_keys_and_create_sections(tmp_path: Path) -> None:
    text = f"{CLEAN}generate:\n"
    project = read(tmp_path, text, "clean.input=[y, z]", "pretrain.model.size=tiny", "seed=7", "generate.top_k=1", "seed=8")
    assert project.clean is not None
    assert project.clean.input == ["y", "z"]
    assert project.pretrain is not None
    assert (project.pretrain.model.size, project.pretrain.model.family) == ("tiny", "gpt2")
    assert project.generate is not None
    assert project.generate.top_k == 1
    assert project.seed == 8
    assert project.split is None


def test_an_override_mends_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, "name: a\nseed: x\n", "seed=1").seed == 1


def test_a_loaded_project_is_frozen(tmp_path: Path) -> None:
    project = read(tmp_path, CLEAN)
    assert project.clean is not None
    for section, key in ((project, "seed"), (project.clean, "text_field")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
