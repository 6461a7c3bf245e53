"""Every command that the README and the pages on training and generation show is run, in the order in which it stands there."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aigc import config
from aigc.core.rules.table import RULES, rule_class
from aigc.schema import Project

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
README = PAGES["README.md"]
SIZE = " pretrain.model='{layers: 2, width: 32, heads: 2}' pretrain.batch_size=2"  # so that it takes seconds


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGES[page], re.DOTALL)


def commands(page: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("scripts/")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a newcomer sees of the repository, with room for run folders."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("configs", "src"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of a page, with a model that is small."""
    small = re.sub(r"aigc (pretrain|run|check) (\S+)", rf"aigc \1 \2{SIZE}", command)
    with socket.socket() as one:
        one.bind(("", 0))
        port = str(one.getsockname()[1])
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", small],
        cwd=folder,
        env=os.environ | {"PATH": binaries, "PET_MASTER_PORT": port},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{small}\n{done.stderr}"
    return done


def test_readme_commands_run(checkout: Path) -> None:
    assert len(commands("README.md")) >= 10
    for command in commands("README.md"):
        # whether a rule likes what so small a model says is luck
        done = run(command.replace("generate.output=-", "generate.output=- generate.rules=[]"), checkout)
        if "generate.output=-" in command:
            assert len(done.stdout.splitlines()) == 2


def test_training_commands_run(checkout: Path) -> None:
    assert len(commands("training.md")) >= 2
    for stage in ("clean", "split"):
        if not (checkout / "runs" / "quickstart" / stage).exists():
            run(f"aigc {stage} configs/quickstart.yaml", checkout)
    for command in commands("training.md"):
        steps = 8 if "--verify-resume" in command else 4
        done = run(f"{command} pretrain.steps={steps}", checkout)
        assert done.stdout == ""
        if "--verify-resume" in command:
            assert "pretrain: killed behind step 5 of 7; going on from the checkpoint before" in done.stderr
            assert "7 steps at once and 7 steps with a kill behind step 5 end in the same bytes (model.safetensors " in done.stderr
            assert "optimiser.pt " in done.stderr


def test_generation_commands_run(checkout: Path) -> None:
    assert len(commands("generation.md")) >= 5
    if not (checkout / "runs" / "quickstart" / "generate").exists():
        run("aigc run configs/quickstart.yaml pretrain.steps=60 finetune.steps=10", checkout)
    for command in commands("generation.md"):
        done = run(re.sub(r"(aigc generate \S+)", r"\1 generate.rules=[]", command), checkout)
        if "output=-" in command:
            assert len(done.stdout.splitlines()) == 1
    assert len((checkout / "a.jsonl").read_text("utf-8").splitlines()) == 8
    assert done.stdout.count(": is generated (meta: Label 1, ContentProducer ExampleNews") == len(
        list((checkout / "public").glob("*.html"))
    )


def test_readme_python_runs(checkout: Path) -> None:
    [code] = blocks("README.md", "python")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=checkout, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Rain on market day")


def test_readme_project_file_is_valid() -> None:
    assert Project.model_validate(config.parse_scalar(blocks("README.md", "yaml")[0])).name == "news"


@pytest.mark.parametrize(("page", "block"), [(page, block) for page in PAGES for block in blocks(page, "yaml")])
def test_every_part_of_a_project_file_is_valid(page: str, block: str) -> None:
    part = config.parse_scalar(block)
    assert Project.model_validate({"name": "news"} | part).name


def test_there_are_parts_of_project_files() -> None:
    assert len(blocks("training.md", "yaml")) >= 1


def test_readme_names_every_rule() -> None:
    assert [name for name in RULES if f"`{name}`" not in README] == []


def test_the_page_of_rules_has_every_rule_with_its_first_line() -> None:
    assert [name for name in RULES if f"| `{name}` | {rule_class(name).summary()} |" not in PAGES["rules.md"]] == []


def test_scripts_are_executable() -> None:
    for name in ("demo", "test", "check"):
        assert os.access(ROOT / "scripts" / name, os.X_OK), name
