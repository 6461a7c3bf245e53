"""`aigc new` writes a project file that is valid as it stands, and with each of the keys that it shows as a comment."""

import re
from pathlib import Path

import pytest

from aigc import config
from aigc.errors import ConfigError
from aigc.stages import new

COMMENT = re.compile(r"^(?P<indent> *)# (?P<key>[a-z_]+: )")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `aigc new news` writes."""
    monkeypatch.chdir(tmp_path)
    new.run("news")
    return tmp_path / "news.yaml"


def test_what_is_written_is_valid_and_not_written_over(written: Path) -> None:
    before = written.read_bytes()
    project = config.load(written)
    assert project.name == "news" and project.generate is not None and project.generate.prompt == "{title}\n"
    with pytest.raises(ConfigError, match="exists already"):
        new.run("news")
    assert written.read_bytes() == before


def test_each_commented_key_is_valid(written: Path) -> None:
    lines = written.read_text("utf-8").splitlines()
    shown = [number for number, line in enumerate(lines) if number and COMMENT.match(line) and "finetune" not in line]
    keys = [found["key"] for line in lines if (found := COMMENT.match(line))]
    assert {"engine: ", "best_of: ", "plan: ", "label: ", "watermark: "} <= set(keys)
    for number in shown:
        some = list(lines)
        some[number] = COMMENT.sub(r"\g<indent>\g<key>", lines[number])
        written.write_text("\n".join(some), "utf-8")
        assert config.load(written).name == "news", lines[number]


def test_the_commented_section_is_valid(written: Path) -> None:
    text = written.read_text("utf-8")
    written.write_text(re.sub(r"(?m)^# ?(?=finetune:|  )", "", text), "utf-8")
    finetune = config.load(written).finetune
    assert finetune is not None and finetune.task == "instruct"
