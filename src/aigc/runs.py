"""The run folder: stage folders that exist only when complete, with a manifest of what went in and what came out."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from aigc import __version__
from aigc.errors import AigcError
from aigc.schema import Project

__all__ = [
    "Sources",
    "Stage",
    "digest",
    "follow",
    "manifest_of",
    "root",
    "rows_of",
    "sha256",
    "stage",
    "stage_folder",
    "why_not_current",
]

MANIFEST = "manifest.json"
STARTED = "started.json"
LIBRARIES = ("torch", "transformers", "tokenizers", "polars", "daft")
# no later stage reads them, and they may hold timings
NOT_MATERIAL = ("metrics.jsonl", "report.", "checkpoints/", "tensorboard/", "wandb/")


@dataclass(frozen=True)
class Sources:
    """What a stage reads: files from outside, and finished stages of the same run."""

    files: Sequence[Path] = ()
    stages: Sequence[str] = ()


def root(project: Project) -> Path:
    """runs/<name>"""
    return project.runs / project.name


def stage_folder(project: Project, name: str) -> Path:
    """runs/<name>/<stage>; it exists only when the stage is complete.

    Raises:
        AigcError: the stage has not been run.
    """
    folder = root(project) / name
    if not (folder / MANIFEST).exists():
        raise AigcError(f"{folder}: there is no finished {name} stage; run `aigc {name}` or `aigc run` first")
    return folder


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """A stage's manifest, None where there is none."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return manifest


def rows_of(folder: Path) -> dict[str, int]:
    """The row counts of a finished stage."""
    manifest = manifest_of(folder)
    assert manifest is not None, folder
    rows: dict[str, int] = manifest["rows"]
    return rows


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hex sha256 of a JSON value, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _material(manifest: dict[str, Any]) -> str:
    return digest([[o["path"], o["sha256"]] for o in manifest["outputs"] if not o["path"].startswith(NOT_MATERIAL)])


def _inputs(files: Sequence[Path], known: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Files with size and hash; one that has kept its size and time since the last manifest is not hashed again."""
    before = {entry["path"]: entry for entry in (known or {}).get("inputs", [])}
    entries: list[dict[str, Any]] = []
    for path in files:
        if str(path) == "-" or str(path).startswith("hub:"):
            entries.append({"path": str(path)})
            continue
        status = path.stat()
        entry = {"path": str(path), "size": status.st_size, "modified_ns": status.st_mtime_ns}
        old = before.get(str(path), {})
        same = all(old.get(key) == entry[key] for key in ("size", "modified_ns"))
        entries.append(entry | {"sha256": old["sha256"] if same else sha256(path)})
    return entries


def _config(project: Project, name: str) -> dict[str, Any]:
    section: dict[str, Any] = getattr(project, name).model_dump(mode="json")
    return section


def _identity(project: Project, name: str, sources: Sources) -> dict[str, Any]:
    """All that decides what a stage writes."""
    upstream = []
    for other in sources.stages:
        folder = stage_folder(project, other)
        manifest = manifest_of(folder)
        assert manifest is not None
        upstream.append({"stage": other, "manifest": sha256(folder / MANIFEST), "outputs": _material(manifest)})
    known = manifest_of(root(project) / name)
    return {
        "stage": name,
        "seed": project.seed,
        "config": _config(project, name),
        "inputs": _inputs(sources.files, known),
        "upstream": upstream,
    }


def _content(identity: dict[str, Any]) -> dict[str, Any]:
    """An identity without what may differ though the content is the same: file times, and the wrapping of upstream."""
    return {
        "seed": identity["seed"],
        "config": identity["config"],
        "inputs": [[i["path"], i.get("sha256")] for i in identity["inputs"]],
        "upstream": [[u["stage"], u["outputs"]] for u in identity["upstream"]],
    }


def why_not_current(project: Project, name: str, sources: Sources) -> str | None:
    """Why a stage must run, or None where its folder holds what it would write again."""
    folder = root(project) / name
    manifest = manifest_of(folder)
    if manifest is None:
        return "not run yet"
    for output in manifest["outputs"]:
        path = folder / output["path"]
        if not path.exists() or path.stat().st_size != output["size"]:
            return f"{path} is missing or was changed"
    if any(str(path) == "-" for path in sources.files):
        return "it reads stdin"
    if any(str(path).startswith("hub:") for path in sources.files):
        return "it reads the hub, which may have changed"
    now, then = _content(_identity(project, name, sources)), _content(manifest)
    if now == then:
        return None
    if now["config"] != then["config"]:
        keys = sorted(k for k in now["config"] | then["config"] if now["config"].get(k) != then["config"].get(k))
        return f"changed: {', '.join(f'{name}.{key}' for key in keys)}"
    if now["seed"] != then["seed"]:
        return "changed: seed"
    return "changed: input files" if now["inputs"] != then["inputs"] else f"changed: {' or '.join(sources.stages)}"


@dataclass
class Stage:
    """A stage at work. It writes into `folder`, which takes its place in the run when the work is complete."""

    name: str
    folder: Path
    final: Path
    identity: dict[str, Any]
    resumed: bool = False
    keep: bool = False  # keep the unfinished folder when the work stops, to go on from it
    rows: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file in the stage's folder."""
        (self.folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


@contextmanager
def stage(project: Project, name: str, sources: Sources, *, resume: bool = False) -> Iterator[Stage]:
    """Do a stage's work: its folder appears whole or not at all.

    Args:
        resume: go on in the unfinished folder of an earlier try, if it began from the same config and inputs.

    Raises:
        AigcError: an upstream stage is missing, or another process is at work on this stage.
    """
    final = root(project) / name
    partial, old = (final.with_name(f".{name}.{word}") for word in ("partial", "old"))
    final.parent.mkdir(parents=True, exist_ok=True)
    with _locked(final.with_name(f".{name}.lock"), final):
        if old.exists():  # killed between the two renames
            if not final.exists():
                old.rename(final)
            shutil.rmtree(old, ignore_errors=True)
        identity = _identity(project, name, sources)
        resumed = resume and _started(partial) == _content(identity)
        if not resumed:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            (partial / STARTED).write_text(json.dumps(_content(identity)), "utf-8")
        work = Stage(name, partial, final, identity, resumed=resumed)
        try:
            yield work
            (partial / STARTED).unlink()
            _write_manifest(project, work)
        except BaseException:
            if not work.keep:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        if final.exists():
            final.rename(old)
        partial.rename(final)
        shutil.rmtree(old, ignore_errors=True)


def follow(project: Project, name: str) -> Stage:
    """A stage that another process does in the same folder: to read what it wrote, and to write nothing."""
    final = root(project) / name
    return Stage(name, final.with_name(f".{name}.partial"), final, {}, resumed=True)


def _started(partial: Path) -> Any:
    try:
        return json.loads((partial / STARTED).read_text("utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def _locked(path: Path, final: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AigcError(f"{final}: another aigc is writing this stage; wait for it, or use another name=") from None
        yield


def _write_manifest(project: Project, work: Stage) -> None:
    files = sorted(path for path in work.folder.rglob("*") if path.is_file())
    outputs = [
        {"path": path.relative_to(work.folder).as_posix(), "size": path.stat().st_size, "sha256": sha256(path)} for path in files
    ]
    versions = {name: metadata.version(name) for name in LIBRARIES if name in sys.modules}
    manifest = {
        "aigc": __version__,
        "project": project.name,
        **work.identity,
        "outputs": outputs,
        "rows": work.rows,
        **work.facts,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": versions,
    }
    work.write_json(MANIFEST, manifest)
    with (work.folder / MANIFEST).open() as file:
        os.fsync(file.fileno())
