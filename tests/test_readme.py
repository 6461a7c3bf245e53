"""Every command that the README shows is run, in the order in which it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHELL = [line.split("#")[0].strip() for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
COMMANDS = [line for line in SHELL if line and not line.startswith("scripts/")]
SIZE = " pretrain.model='{layers: 2, width: 32, heads: 2}' pretrain.tokenizer.vocabulary=600"  # so that it takes seconds


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a newcomer sees of the repository, with room for run folders."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("configs", "src"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_readme_commands_run(checkout: Path) -> None:
    assert len(COMMANDS) >= 10
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        small = re.sub(r"aigc (pretrain|run) (\S+)", rf"aigc \1 \2{SIZE}", command)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", small],
            cwd=checkout,
            env=os.environ | {"PATH": binaries},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{small}\n{done.stderr}"
        if "generate.output=-" in command:
            assert len(done.stdout.splitlines()) == 2


def test_readme_python_runs(checkout: Path) -> None:
    code = next(block for kind, block in BLOCKS if kind == "python")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=checkout, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Rain on market day")


def test_readme_project_file_is_valid() -> None:
    from aigc.config import parse_scalar
    from aigc.schema import Project

    code = next(block for kind, block in BLOCKS if kind == "yaml")
    assert Project.model_validate(parse_scalar(code)).name == "news"


def test_readme_names_every_rule() -> None:
    from aigc.core.rules.table import RULES

    assert [name for name in RULES if f"`{name}`" not in README] == []


def test_the_page_of_rules_has_every_rule_with_its_first_line() -> None:
    from aigc.core.rules.table import RULES, rule_class

    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert [name for name in RULES if f"| `{name}` | {rule_class(name).summary()} |" not in page] == []


def test_scripts_are_executable() -> None:
    for name in ("demo", "test", "check"):
        assert os.access(ROOT / "scripts" / name, os.X_OK), name
