"""`aigc trace`: a sample's way back to the files that it was made of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aigc import runs
from aigc.errors import AigcError
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project, sample_id: str) -> None:
    """Print the chain sample -> checkpoint -> training split -> cleaned documents -> input files.

    Raises:
        AigcError: there is no such sample, or a link of the chain is missing.
    """
    folder = runs.stage_folder(project, "generate")
    row, where = _find(folder, sample_id)
    print(f"sample {sample_id} in {where}")
    print(f"  prompt   {_short(row['prompt'])}")
    print(f"  text     {_short(row['text'])}")
    print(f"  seed {row['seed']}, {row['tokens']} tokens, ended by {row['finish']}")
    if "rule" in row:
        print(f"  rejected by {row['rule']} {row.get('bound', '')} (value {row.get('value', row.get('keeper', '-'))})")
    manifest = _manifest(folder)
    _inputs(manifest)
    print(f"  model    {row['model']}")
    for depth, (stage, there, link) in enumerate(_chain(project, manifest), start=1):
        state = "unchanged since" if runs.sha256(runs.stage_folder(project, stage) / runs.MANIFEST) == link else "RUN AGAIN since"
        print(f"{'  ' * depth}<- {stage} in {runs.stage_folder(project, stage)}, {state}")
        print(f"{'  ' * depth}   {', '.join(f'{name} {count:,}' for name, count in there['rows'].items())}")
        _inputs(there, "  " * depth)


def _find(folder: Path, sample_id: str) -> tuple[dict[str, Any], Path]:
    first = None
    for name in ("samples.jsonl", "rejected.jsonl"):
        with (folder / name).open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                first = first or row["id"]
                if row["id"] == sample_id and "prompt" in row:
                    return row, folder / name
    raise AigcError(f"{folder}: no sample {sample_id!r}" + (f"; the first one is {first!r}" if first else ""))


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = runs.manifest_of(folder)
    if manifest is None:
        raise AigcError(f"{folder}: has no manifest")
    return manifest


def _chain(project: Project, manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Upstream stages, nearest first, each once: its name, its manifest, and the manifest's hash as it was read then."""
    waiting = list(manifest["upstream"])
    seen: set[str] = set()
    while waiting:
        waiting.sort(key=lambda link: ("clean", "split", "pretrain", "finetune").index(link["stage"]))
        link = waiting.pop()
        if link["stage"] in seen:
            continue
        seen.add(link["stage"])
        there = _manifest(runs.stage_folder(project, link["stage"]))
        waiting += there["upstream"]
        yield link["stage"], there, link["manifest"]


def _inputs(manifest: dict[str, Any], indent: str = "") -> None:
    for entry in manifest["inputs"]:
        path = Path(entry["path"])
        if "sha256" not in entry:
            print(f"{indent}   input {path} (stdin)")
            continue
        now = runs.sha256(path) if path.exists() else None
        state = "unchanged" if now == entry["sha256"] else "gone" if now is None else "CHANGED since"
        print(f"{indent}   input {path}, {entry['size']:,} bytes, sha256 {entry['sha256'][:16]}, {state}")


def _short(text: str) -> str:
    line = text.replace("\n", "⏎")
    return line if len(line) <= 80 else line[:79] + "…"
