"""Words on the command line that YAML would read as something else, and the schema that editors read."""

import json
from pathlib import Path

import pytest

from command import Aigc

PROJECT = "name: p\nclean: {input: in.jsonl, rules: []}\n"


def test_schema_prints_json(aigc: Aigc) -> None:
    done = aigc("schema")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("word", ["clean.input=-", "clean.input=*.jsonl", "clean.input=[a.jsonl]"])
def test_files_need_no_yaml_quotes(aigc: Aigc, tmp_path: Path, word: str) -> None:
    (tmp_path / "p.yaml").write_text(PROJECT)
    (tmp_path / "a.jsonl").write_text('{"text": "The river is here."}\n')
    done = aigc("clean", "p.yaml", word, stdin='{"text": "The river is here."}\n')
    assert done.returncode == 0, done.stderr


def test_an_empty_section_is_the_stage_with_its_defaults(aigc: Aigc, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("name: p\nclean: {input: a.jsonl, rules: []}\nsplit:\n")
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "The river number {i}."}}\n' for i in range(200)))
    done = aigc("run", "p.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "p" / "split" / "manifest.json").exists()
