"""`aigc generate`: prompts into samples that passed the rules."""

import json
import os
import sys
import time
from pathlib import Path

from aigc import console, lineage, runs
from aigc.core.generation.prompts import arriving
from aigc.errors import AigcError, Stopped
from aigc.production.drawing import WINDOW, origin_of
from aigc.production.outcomes import Outcomes, in_files, on_stream
from aigc.production.production import Production
from aigc.production.rowfile import Row, RowFile
from aigc.production.sampling import Sample, Told, windows
from aigc.production.writers import preferences
from aigc.schema import Generate, Project
from aigc.signals import Terminated

__all__ = ["run"]


def run(project: Project, *, echo: bool = False, stream: bool = False) -> None:
    """Generate into the run folder, or, where `generate.output` is set, into that file or onto stdout; go on with what is there.

    Args:
        echo: print the accepted rows of the run folder on stdout as well.
        stream: print each text on stdout while it is drawn, one after the other.

    Raises:
        AigcError: prompts could not be used, or the rows that are there are of another origin.
        Stopped: by a signal.
    """
    started = time.monotonic()
    sources = lineage.sources(project, "generate")
    section = project.generate
    assert section is not None
    if stream:
        _check_stream(section)
    if section.output is None:
        with runs.stage(project, "generate", sources, resume=True) as stage:
            stage.keep = True
            accepted, rejected = stage.folder / "samples.jsonl", stage.folder / "rejected.jsonl"
            origin = origin_of(project)
            with in_files(accepted, rejected, origin, retries=section.retries, interrupted=stage.resumed) as out:
                _generate(project, section, out, echo=echo and not stream, stream=stream)
            stage.rows = {name: out.counts[name] for name in ("prompts", "samples", "accepted", "rejected", "failed")}
            stage.write_json("report.json", out.report)
        _close(out, started, runs.stage_folder(project, "generate"), "in rejected.jsonl")
    elif section.output == "-":
        out = on_stream(sys.stdout, origin_of(project), retries=section.retries)
        _generate(project, section, out)
        _close(out, started, "stdout", "above")
    else:
        path = Path(section.output).expanduser()
        with in_files(path, None, origin_of(project), retries=section.retries) as out:
            _generate(project, section, out, stream=stream)
        _close(out, started, path, f"in {out.rejected.path}" if out.rejected is not None else "above")


def _check_stream(section: Generate) -> None:
    if section.output == "-":
        raise AigcError("generate.output=- writes rows to stdout, where --stream shows texts: use one of them")
    if section.workers is not None:
        raise AigcError("--stream shows what is drawn here, and workers draw elsewhere: use one of them")
    if section.best_of is not None:
        raise AigcError("--stream shows a text while it is drawn, when nobody knows if it is the best_of several: use one of them")


def _generate(project: Project, section: Generate, out: Outcomes, *, echo: bool = False, stream: bool = False) -> None:
    """Draw what is missing; each row is written as soon as it is judged."""
    if echo and isinstance(out.accepted, RowFile):
        out.shown = _Echo(out.accepted)
    production = Production(project, out, _spoken() if stream else None)
    both_piped = section.prompts == section.output == "-"
    size = WINDOW * section.batch_size * (section.workers or 1)
    prompts = arriving(section.prompts, section.prompt, reader=sys.stdout.fileno() if both_piped else None)
    try:
        if not out.unmet:
            production.open()  # while prompts are on their way
        with console.progress("generate", _total(section), "samples") as advance:
            for window in windows(prompts, count=section.count, size=size):
                production.do(window)
                advance(len(window.samples))
    except KeyboardInterrupt as signal:
        raise Stopped(_stopped(out), 15 if isinstance(signal, Terminated) else 2) from None
    if stream:
        print(flush=True)
    if section.best_of is not None and isinstance(out.accepted, RowFile) and out.accepted.regular:
        _write_preferences(out.accepted)


def _write_preferences(samples: RowFile) -> None:
    """The candidates that lost beside those that won, for finetune's task preference: beside the samples."""
    with samples.path.with_suffix(".preferences.jsonl").open("w", encoding="utf-8") as file:
        for line in samples.lines():
            for pair in preferences(json.loads(line)):
                file.write(json.dumps(pair, ensure_ascii=False) + "\n")


def _total(section: Generate) -> int | None:
    if isinstance(section.prompts, str):
        return None
    return section.count * (1 if section.prompts is None else len(section.prompts))


def _stopped(out: Outcomes) -> str:
    if not isinstance(out.accepted, RowFile):
        return "stopped; with generate.output=FILE a run can be gone on with"
    return f"stopped after {out.accepted.rows:,} accepted rows; run the same command again to go on from there"


def _close(out: Outcomes, started: float, where: object, reasons: str) -> None:
    console.table("generate: what became of every sample", ["", "rows"], out.lines)
    console.closing("generate", time.monotonic() - started, where)
    if out.counts["failed"]:
        raise AigcError(
            f"{out.counts['failed']:,} of {out.counts['prompts']:,} prompts could not be used; the reasons are {reasons}"
        )


class _Echo:
    """Shows the rows of a file on stdout, from the first one, until the reader has had enough (`| head`)."""

    def __init__(self, file: RowFile) -> None:
        self._open = True
        for line in file.lines():
            self._write(line.decode("utf-8", "surrogatepass"))

    def __call__(self, row: Row) -> None:
        self._write(json.dumps(row, ensure_ascii=False) + "\n")

    def _write(self, line: str) -> None:
        if self._open:
            try:
                sys.stdout.write(line)
                sys.stdout.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self._open = False


def _spoken() -> Told:
    """Shows texts on stdout while they are drawn, each behind its prompt."""
    last: tuple[str, int] | None = None

    def told(sample: Sample, attempt: int, piece: str) -> None:
        nonlocal last
        if last != (sample.id, attempt):
            sys.stdout.write(("" if last is None else "\n\n") + sample.prompt.text)
            last = sample.id, attempt
        sys.stdout.write(piece)
        sys.stdout.flush()

    return told
