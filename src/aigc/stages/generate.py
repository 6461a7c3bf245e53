"""`aigc generate`: prompts into samples that passed the rules."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import polars as pl

from aigc import console, lineage, runs
from aigc.core.generation.engine import Decoding, Request, draw, room_for
from aigc.core.generation.prompts import BadPrompt, Prompt, read_prompts
from aigc.core.model import checkpoints
from aigc.core.rules.apply import Seen, apply
from aigc.errors import AigcError
from aigc.schema import Generate, Project

__all__ = ["run"]

Row = dict[str, Any]


def run(project: Project, *, echo: bool = False) -> None:
    """Generate into the run folder, or, where `generate.output` is set, straight into that file or stdout.

    Args:
        echo: print the accepted rows of the run folder on stdout as well.
    """
    started = time.monotonic()
    sources = lineage.sources(project, "generate")
    section = project.generate
    assert section is not None
    if section.output is None:
        with runs.stage(project, "generate", sources) as stage:
            counts = _write(project, section, stage.folder / "samples.jsonl", stage.folder / "rejected.jsonl", echo)
            stage.rows = {name: counts[name] for name in ("prompts", "samples", "accepted", "rejected", "failed")}
            stage.write_json("report.json", dict(sorted(counts.items())))
        where: object = runs.stage_folder(project, "generate")
    else:
        counts = _write(project, section, None if section.output == "-" else Path(section.output), None, False)
        where = "stdout" if section.output == "-" else section.output
    lines = [(name, rows) for name, rows in counts.items()]
    console.table("generate: what became of every sample", ["", "rows"], lines)
    console.closing("generate", time.monotonic() - started, where)
    if counts["failed"]:
        raise AigcError(
            f"{counts['failed']:,} of {counts['prompts']:,} prompts could not be used; the reasons are above or in rejected.jsonl"
        )


def _write(project: Project, section: Generate, accepted: Path | None, rejected: Path | None, echo: bool) -> Counter[str]:
    """Draw samples batch by batch and write each row as soon as it is judged."""
    stage = lineage.checkpoint_stage(project, "generate")
    start = str(runs.stage_folder(project, stage) / "model") if stage else str(section.checkpoint)
    model, codec = checkpoints.load(start, checkpoints.device_of(project.device))
    decoding = Decoding(section.max_tokens, section.temperature, section.top_k, section.top_p)
    provenance = {"model": _fingerprint(start), "config": runs.digest(section.model_dump(mode="json"))[:16]}
    seen = Seen()
    counts: Counter[str] = Counter(prompts=0, samples=0, accepted=0, rejected=0, failed=0)
    with ExitStack() as stack:
        out = sys.stdout if accepted is None else stack.enter_context(accepted.open("w", encoding="utf-8"))
        bad = stack.enter_context(rejected.open("w", encoding="utf-8") if rejected else nullcontext(None))
        advance = stack.enter_context(console.progress("generate", _total(section), "samples"))
        work = _requests(project, section, counts, bad, model, codec)
        while batch := list(islice(work, section.batch_size)):
            drawn = draw(model, codec, [request for _, request in batch], decoding)
            rows = [
                row | {"text": one.text, "tokens": one.tokens, "finish": one.finish, "seed": request.seed, **provenance}
                for (row, request), one in zip(batch, drawn, strict=True)
            ]
            counts["samples"] += len(rows)
            for row, reason in _judged(section, rows, seen):
                counts["rejected" if reason else "accepted"] += 1
                if reason:
                    counts[f"  rejected by {reason['rule']}"] += 1
                _put(bad if reason else out, row | (reason or {}))
                if echo and not reason:
                    echo = _echoed(row)
            advance(len(rows))
    return counts


def _fingerprint(start: str) -> str:
    """The weights' hash, or the hub name that they were loaded by."""
    weights = checkpoints.weights_of(Path(start).expanduser())
    return runs.digest([runs.sha256(path) for path in weights])[:16] if weights else start


def _total(section: Generate) -> int | None:
    if isinstance(section.prompts, str):
        return None
    return section.count * (1 if section.prompts is None else len(section.prompts))


def _requests(
    project: Project, section: Generate, counts: Counter[str], bad: TextIO | None, model: Any, codec: Any
) -> Iterator[tuple[Row, Request]]:
    """Prompts, tokenised, each `count` times with a seed of its own."""
    for prompt in read_prompts(section.prompts, section.prompt):
        counts["prompts"] += 1
        ids: list[int] = []
        if isinstance(prompt, Prompt):
            ids = [*codec.start, *codec.encode([codec.prefix + prompt.text])[0]] or [codec.end]
            if room_for(model, len(ids)) < 1:
                prompt = BadPrompt(prompt.id, "prompt", f"{len(ids)} tokens leave no room in the model's context")
        if isinstance(prompt, BadPrompt):
            counts["failed"] += 1
            _put(bad, {"id": prompt.id, "origin": prompt.origin, "reason": prompt.reason})
            if bad is None:
                console.warn(f"{prompt.origin}: {prompt.reason}")
            continue
        for number in range(section.count):
            seed = int(np.random.SeedSequence([project.seed, *prompt.id.encode(), number]).generate_state(1)[0])
            yield {"id": f"{prompt.id}-{number}", "prompt": prompt.text}, Request(ids, seed)


def _judged(section: Generate, rows: list[Row], seen: Seen) -> Iterator[tuple[Row, Row | None]]:
    """Each row with its text after the edits, in order, and why it was rejected, None where it was not."""
    documents = pl.DataFrame({name: [row[name] for row in rows] for name in ("id", "text")})
    outcome = apply(documents, section.rules, seen)
    texts = dict(pl.concat([outcome.kept, outcome.dropped]).iter_rows())
    dropped = outcome.ledger.filter(verdict="dropped")
    reasons = {entry["id"]: entry for entry in dropped.iter_rows(named=True)}
    for row in rows:
        text = texts[row["id"]]
        if text != row["text"]:
            row |= {"raw": row["text"], "text": text}
        entry = reasons.get(row["id"])
        wanted = ("rule", "value", "bound", "keeper")
        yield row, {name: entry[name] for name in wanted if entry[name] is not None} if entry else None


def _echoed(row: Row) -> bool:
    """Show a row on stdout; False when the reader has had enough (`| head`): the run folder is filled all the same."""
    try:
        _put(sys.stdout, row)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _put(file: TextIO | None, row: Row) -> None:
    if file is not None:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
