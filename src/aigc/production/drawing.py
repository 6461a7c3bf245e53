"""The section that generates into an engine, into how it is to choose, and into what a row says of both."""

import json
import os
from pathlib import Path
from typing import Any

from aigc import lineage, runs
from aigc.core.generation.engine import Setup, open_engine
from aigc.core.generation.infilling import Middle
from aigc.core.generation.remote import open_cluster
from aigc.core.generation.request import Constraint, Decoding, Engine, Phrase, Watermark
from aigc.core.model import checkpoints
from aigc.core.rules.copies.index import FACTS
from aigc.errors import AigcError
from aigc.labels.origins import origins_of
from aigc.production.outcomes import Origin
from aigc.schema import Generate, Project
from aigc.schema.decoding import Constrain

__all__ = ["WINDOW", "copies_of", "decoding_of", "engine_of", "origin_of", "start_of"]

WINDOW = 8  # batches, which are drawn again where a run was stopped in the middle of them

# keys that decide which rows there are, or how they come about, and not what one says
NEUTRAL = {"checkpoint", "prompts", "output", "ordered", "count", "engine", "workers", "batch_size", "retries", "draft", "label"}


def start_of(project: Project) -> str:
    """The checkpoint that samples are drawn from: the project's own, or the one that is named.

    Raises:
        AigcError: its stage has not been run.
        ConfigError: there is neither.
    """
    assert project.generate is not None
    stage = lineage.checkpoint_stage(project, "generate")
    return str(runs.stage_folder(project, stage) / "model") if stage else str(project.generate.checkpoint)


def engine_of(project: Project, *, slots: int | None = None) -> Engine:
    """Load the checkpoint.

    Args:
        slots: samples drawn at once, here; None for what the section says, there where it says.

    Raises:
        AigcError: it cannot be loaded or cannot go on from the begin of a text, or the engine that is asked for is not installed.
    """
    section = project.generate
    assert section is not None
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    setup = Setup(
        section.engine,
        section.precision,
        device=str(checkpoints.device_of(project.device)),
        slots=slots or section.batch_size,
        cache=Path(home).expanduser() / "aigc",
        decoding=decoding_of(section),
        draft=(section.draft.checkpoint, section.draft.tokens) if section.draft is not None else None,
    )
    if section.workers is not None and slots is None:
        engine = open_cluster(start_of(project), setup, size=WINDOW * section.batch_size)
    else:
        engine = open_engine(start_of(project), setup)
    if section.begin and not isinstance(engine, Middle):
        raise AigcError("generate.begin is for causal checkpoints, which go on from a text, and this is none: leave it out")
    if section.chat and not isinstance(engine, Middle):
        raise AigcError("generate.chat is for causal checkpoints, and this is none: leave it out")
    return engine


def origin_of(project: Project) -> Origin:
    """What decides the content of the rows."""
    section = project.generate
    assert section is not None
    start = start_of(project)
    weights = checkpoints.weights_of(Path(start).expanduser())
    model = runs.digest([runs.sha256(path) for path in weights])[:16] if weights else start
    said = section.model_dump(mode="json", exclude=NEUTRAL)
    read = {str(path): runs.sha256(path) for path in section.reads() if path.is_file()}
    config = runs.digest([said, read] if read else said)[:16]
    return Origin(model, config, project.seed, origins_of(project).fields)


def copies_of(project: Project) -> Path | None:
    """The index of the documents that the checkpoint learned from, which lies beside it; None where there is none."""
    folder = Path(start_of(project)).expanduser().parent / "copies"
    return folder if (folder / FACTS).exists() else None


def decoding_of(section: Generate) -> Decoding:
    """How tokens are chosen and where a text ends.

    Raises:
        AigcError: a file that is named cannot be read.
    """
    phrases = [Phrase(text) for text in _texts(section.banned, "generate.banned")]
    if section.discourage is not None:
        soft = _texts(section.discourage.phrases, "generate.discourage.phrases")
        phrases += [Phrase(text, section.discourage.penalty) for text in soft]
    mark = section.watermark
    return Decoding(
        section.max_tokens,
        temperature=section.temperature,
        top_k=section.top_k,
        top_p=section.top_p,
        min_tokens=section.min_tokens,
        min_p=section.min_p,
        typical_p=section.typical_p,
        repetition_penalty=section.repetition_penalty,
        no_repeat_ngram=section.no_repeat_ngram,
        contrastive=section.contrastive,
        beams=section.beams,
        stop_strings=tuple(section.stop),
        max_characters=section.max_characters,
        max_sentences=section.max_sentences,
        phrases=tuple(phrases),
        constraint=_constraint(section.constrain) if section.constrain is not None else None,
        watermark=Watermark(mark.kind, mark.key) if mark is not None else None,
        likelihood=section.best_of is not None and "likelihood" in section.best_of.by,
    )


def _constraint(form: Constrain) -> Constraint:
    if form.choices is not None:
        return Constraint("choice", tuple(form.choices))
    if form.regex is not None:
        return Constraint("regex", form.regex)
    given: Any = form.json_schema
    if isinstance(given, Path):
        given = _json(given)
    return Constraint("json", json.dumps(given, ensure_ascii=False))


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path, "generate.constrain.json_schema"))
    except ValueError as error:
        raise AigcError(f"{path}: not valid JSON: {error}") from None


def _texts(given: list[str] | Path, key: str) -> list[str]:
    """Texts, or the lines of the file that holds them."""
    texts = _read(given, key).splitlines() if isinstance(given, Path) else given
    return [text for text in texts if text.strip()]


def _read(path: Path, key: str) -> str:
    try:
        return path.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AigcError(f"{key}: {path} cannot be read ({reason})") from None
