"""Imports go left only, heavy libraries load late, and every module says what it is and what it offers."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "aigc"
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = ["documents", "tokens", "batches", "model", "training", "generation", "rules", "splits", "evaluation"]
MAY_IMPORT = {  # what lies between core and the stages, and all of ours that each may know, its own modules aside
    "errors": [],
    "signals": [],
    "guard": ["errors", "signals"],
    "console": [],
    "foreign_keys": [],
    "pages": [],
    "schema": ["core.rules.rule", "core.rules.table", "errors"],
    "keys": ["errors"],
    "mistakes": ["core.rules.table", "foreign_keys", "schema"],
    "config": ["errors", "keys", "mistakes", "schema"],
    "runs": ["errors", "schema"],
    "lineage": ["core.documents", "errors", "runs", "schema"],
    "preparation": ["core", "errors", "schema"],
    "pretraining": ["core", "console", "errors", "preparation", "runs", "schema"],
    "adaptation": ["core", "console", "errors", "preparation", "runs", "schema"],
    "licences": [],
    "card": ["core", "errors", "licences", "runs"],
    "labels": ["card", "core", "errors", "licences", "lineage", "pages", "runs", "schema"],
    "judging": ["core", "preparation"],
    "probing": ["core", "schema"],
    "learning": ["card", "core", "console", "errors", "judging", "pages", "preparation", "probing", "runs", "schema", "signals"],
    "planning": ["adaptation", "core", "errors", "lineage", "preparation", "pretraining", "runs", "schema"],
    "search": [*("adaptation", "config", "errors", "learning", "lineage", "pretraining", "runs", "schema", "signals")],
    "production": ["console", "core", "errors", "labels", "lineage", "runs", "schema"],
    "publishing": ["config", "stages"],  # commands, as cli
    "proof": ["core.training", "console", "errors", "runs", "schema"],
}


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in FILES}


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` is a.b where that is a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
    return found


def _ours(module: str) -> set[str]:
    return {name for name in _imports(MODULES[module]) if name.split(".")[0] == "aigc"}


def _room(module: str) -> str:
    """The room of a module: core's by their name, the others by theirs."""
    parts = module.split(".")
    if parts[:2] == ["aigc", "core"]:
        return parts[2] if len(parts) > 2 else ""
    return parts[1] if len(parts) > 1 else ""


each_module = pytest.mark.parametrize("module", MODULES)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("aigc.core.")])
def test_core_imports_go_left(module: str) -> None:
    place = ROOMS.index(_room(module))
    for name in _ours(module):
        if name.startswith("aigc.core."):
            assert ROOMS.index(_room(name)) <= place, f"{module} imports {name} from its right"
        else:
            assert name == "aigc.errors", f"{module} imports {name}; of what is outside core it may know aigc.errors only"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("aigc.stages.")])
def test_stages_do_not_import_each_other(module: str) -> None:
    assert not {name for name in _ours(module) if _within(name, ["stages", "cli", "config"])}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_what_lies_between_core_and_stages(room: str) -> None:
    own = [module for module in MODULES if _within(module, [room])]
    assert own, f"there is no {room}"
    names = {name for module in own for name in _ours(module)} - {"aigc"}  # that is the version's
    assert not {name for name in names if not _within(name, [room, *MAY_IMPORT[room]])}


def test_every_room_has_its_place() -> None:
    assert {_room(module) for module in MODULES if not _within(module, ["core"])} == {*MAY_IMPORT, "stages", "cli", "__main__", ""}


def _within(module: str, rooms: list[str]) -> bool:
    return any(module == f"aigc.{room}" or module.startswith(f"aigc.{room}.") for room in rooms)


@each_module
def test_only_one_module_knows_a_library(module: str) -> None:
    libraries = {name.split(".")[0] for name in _imports(MODULES[module])}
    assert "rich" not in libraries or module == "aigc.console"
    assert "daft" not in libraries or module == "aigc.core.documents.engine"


@each_module
def test_a_module_has_a_docstring_and_names_what_it_offers(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    assert ast.get_docstring(tree), f"{module} has no docstring"
    listed = _listed(tree)
    public = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")}
    assert not public or listed is not None, f"{module} has no __all__"
    if listed is not None:
        there = vars(import_module(module))
        assert set(listed) <= set(there), f"{module}.__all__ lists what is not there"


def _listed(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 320


HEAVY = {"torch", "transformers", "datasets", "daft", "rich"}


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], HEAVY | {"polars"}),
        (["clean", "--help"], HEAVY | {"polars"}),
        (["--version"], HEAVY | {"polars"}),
        (["clean", "missing.yaml"], HEAVY),
        (["pretrain", "missing.yaml"], HEAVY),
        (["run", "missing.yaml"], HEAVY),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_heavy_libraries_load_late(arguments: list[str], unwanted: set[str], tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "aigc", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (2 if "missing.yaml" in arguments else 0), done.stderr[-500:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
    assert "aigc" in loaded
    assert not loaded & unwanted
