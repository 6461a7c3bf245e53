"""A run folder into the facts of a model card: what training read, and what it began with."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from huggingface_hub import try_to_load_from_cache

from aigc import runs
from aigc.licences import UNKNOWN, Licence, licence_of, strictest

__all__ = ["Base", "CardFacts", "Data", "base_of", "data_of", "json_of"]

MOST = 1 << 20  # bytes of a README that are looked at
_FRONT = re.compile(r"\A\s*---\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class CardFacts:
    """What a stage knows when it has trained; all else is read from the files of the run."""

    run: Path  # runs/<name>, in which clean and split are complete
    stage: str  # pretrain or finetune
    seed: int
    section: Mapping[str, Any]  # the stage's section of the project file, as JSON
    report: Mapping[str, Any]  # the stage's report.json
    start: str | None = None  # checkpoint folder, file or hub name that training began with; None where with nothing
    test: Mapping[str, Any] | None = None  # report.json of `aigc evaluate`, where that was run


@dataclass(frozen=True)
class Data:
    """What the training split is made of."""

    sources: Sequence[tuple[str, str, int, int]]  # source and licence as written, documents, characters; the most first
    licences: Mapping[Licence, int]  # documents of each
    documents: int


@dataclass(frozen=True)
class Base:
    """The checkpoint that training began with."""

    name: str  # for people: the hub's, or a folder's without the path to it
    hub: str | None  # on the hub
    licence: Licence
    hashes: Mapping[str, str]  # sha256 of its manifest or weights, by name
    trained_here: bool = False  # by the pretrain stage of this run


def json_of(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def data_of(split: Path) -> Data:
    """Count the training split by its columns `source` and `license`, without holding its texts."""
    tables = sorted(split.glob("train-*.parquet"))
    frame = pl.scan_parquet(tables)
    schema = frame.collect_schema()
    licence = next((name for name in ("license", "licence") if name in schema), None)
    keys = [_words(schema, name).alias(alias) for name, alias in (("source", "source"), (licence, "licence"))]
    characters = pl.col("text").str.len_chars().sum() if schema.get("text") == pl.String else pl.lit(0)
    grouped = frame.group_by(keys).agg(pl.len().alias("documents"), characters.alias("characters"))
    rows = grouped.collect(engine="streaming").rows()
    found = sorted(((s or "", w or "", int(n), int(c)) for s, w, n, c in rows), key=lambda row: (-row[2], row))
    licences: Counter[Licence] = Counter()
    written: Counter[str] = Counter()
    for _, name, documents, _ in found:
        written[name] += documents
    for name, documents in written.items():
        licences[licence_of(name)] += documents
    return Data(found, licences, sum(licences.values()))


def _words(schema: Mapping[str, pl.DataType], name: str | None) -> pl.Expr:
    """A column as text; one that is not there, as nulls."""
    if name is None or name not in schema:
        return pl.lit(None, dtype=pl.String)
    column, kind = pl.col(name), schema[name]
    if isinstance(kind, pl.List):
        return column.list.eval(pl.element().cast(pl.String)).list.join(" AND ")
    return column.struct.json_encode() if isinstance(kind, pl.Struct) else column.cast(pl.String)


def base_of(facts: CardFacts, data: Data) -> Base | None:
    """What training began with, and its licence where that is told: by this run's manifests, else by its own README.md."""
    start = facts.start
    if start is None:
        return None
    path = Path(start).expanduser()
    if not path.exists():
        readme = try_to_load_from_cache(start, "README.md") if _HUB.fullmatch(start) else None
        licence = _licence_in(Path(readme)) if isinstance(readme, str) else UNKNOWN
        return Base(start, start if _HUB.fullmatch(start) else None, licence, {})
    if path.is_file():
        return Base(path.name, None, UNKNOWN, {path.name: runs.sha256(path)})
    own = (facts.run / "pretrain" / "model").resolve() == path.resolve()
    name = f"{path.resolve().parent.name}/{path.name}" if path.name == "model" else path.resolve().name
    manifest = (runs.manifest_of(path.parent) or {}) if own else {}
    same = _same_split(manifest, facts.run / "split" / "manifest.json")
    licence = strictest(data.licences) if same else _licence_in(path / "README.md")
    hashed = [path.parent / "manifest.json"] if manifest else sorted(path.glob("*.safetensors"))
    return Base(name, None, licence, {one.name: runs.sha256(one) for one in hashed}, own)


def _same_split(manifest: Mapping[str, Any], split: Path) -> bool:
    used = [one.get("manifest") for one in manifest.get("upstream", ()) if one.get("stage") == "split"]
    return split.exists() and used == [runs.sha256(split)]


def _licence_in(readme: Path) -> Licence:
    """What the front matter of someone's README.md says; unknown where it says nothing that can be read."""
    try:
        with readme.open(encoding="utf-8", errors="replace") as file:
            front = _FRONT.match(file.read(MOST))
        values = yaml.safe_load(front[1]) if front else None
    except (OSError, yaml.YAMLError, RecursionError):
        return UNKNOWN
    if not isinstance(values, dict):
        return UNKNOWN
    written = values.get("license")
    names = [str(one) for one in (written if isinstance(written, list) else [written]) if one is not None]
    return strictest(licence_of(str(values.get("license_name") or "") if name == "other" else name) for name in names)
