"""A project into what a search of it begins with: all that its trials depend on, and the values that it has already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigc import lineage, runs
from aigc.schema import Project, Search

__all__ = ["begun_with", "usual"]


def begun_with(project: Project, section: Search) -> dict[str, Any]:
    """All that trials depend on beside what they try, by a name that a person understands.

    Raises:
        AigcError: a stage that is read was not run.
    """
    settings = _flat({section.stage: getattr(project, section.stage).model_dump(mode="json")})
    searched = tuple(section.keys)
    kept = {key: value for key, value in settings.items() if not any(_overlap(key, other) for other in searched)}
    seed = {} if "seed" in searched else {"seed": project.seed}
    sources = lineage.sources(project, section.stage)
    read = {f"what {name} wrote": _material(runs.stage_folder(project, name)) for name in sources.stages}
    files = {str(path): runs.sha256(path) for path in sources.files}
    how = section.model_dump(mode="json", by_alias=True, include={"metric", "sampler", "pruner", "keys"})
    return {**kept, **seed, **read, **files, "search.direction": section.better, **{f"search.{key}": how[key] for key in how}}


def _material(folder: Path) -> str:
    """A digest of the documents or the weights that a stage wrote."""
    manifest = runs.manifest_of(folder)
    assert manifest is not None
    return runs.digest([[o["path"], o["sha256"]] for o in manifest["outputs"] if o["path"].endswith((".parquet", ".safetensors"))])


def _flat(settings: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{at}{key}.") if isinstance(value, dict) else {f"{at}{key}": value}
    return found


def _overlap(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def usual(project: Project, section: Search) -> dict[str, Any]:
    """What the project has at the keys that are searched; without those that have no place in it."""
    return {key: value for key in section.keys if (value := _value(project, key)) is not _NOTHING}


_NOTHING = object()


def _value(project: Project, key: str) -> Any:
    """What the project has at a key; _NOTHING where there is no such place, or a whole section."""
    here: Any = project
    for part in key.split("."):
        here = here.get(part, _NOTHING) if isinstance(here, dict) else getattr(here, part, _NOTHING)
    return here
