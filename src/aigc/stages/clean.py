"""`aigc clean`: raw files into documents, with a ledger of every decision."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aigc import console, lineage, runs
from aigc.core.documents.engine import engine_of
from aigc.core.documents.files import STDIN, expand
from aigc.core.documents.reading import Batch, Reader
from aigc.core.documents.sampling import sampled
from aigc.core.rules.corpus import clean_corpus
from aigc.core.rules.report import report_of
from aigc.pages import clean as page
from aigc.schema import Clean, Project

__all__ = ["run"]


def run(project: Project, *, sample: int | None = None) -> None:
    """Clean the project's files.

    Args:
        sample: dry run: only a report, on so many rows.
    """
    started = time.monotonic()
    sources = lineage.sources(project, "clean")
    section = project.clean
    assert section is not None
    if sample is not None:
        _dry_run(project, section, expand(section.input), sample)
        return
    with runs.stage(project, "clean", sources) as stage:
        report = _cleaned(project, section, expand(section.input), stage.folder)
        stage.rows = {name: report[name] for name in ("read", "kept", "dropped", "failed")}
        stage.write_json("report.json", report)
    _show(report)
    console.closing("clean", time.monotonic() - started, runs.stage_folder(project, "clean"))


def _cleaned(project: Project, section: Clean, files: list[Path], folder: Path, sample: int | None = None) -> dict[str, Any]:
    """Write documents, ledger, failed rows and the page into a folder."""
    reader = Reader(
        text_field=section.text_field,
        id_field=section.id_field,
        encoding=section.encoding,
        txt_documents=section.txt_documents,
    )
    size = sum(path.stat().st_size for path in files if path.is_file())
    with console.progress("clean", size or None, "bytes") as advance:

        def read() -> Iterator[Batch]:
            done = 0
            for path in files:
                for batch in reader.read(path):
                    yield batch
                    advance(reader.meter.bytes - done)
                    done = reader.meter.bytes

        account = clean_corpus(
            read() if sample is None else sampled(read(), sample),
            section.rules,
            folder=folder,
            max_failed=section.max_failed,
            engine=engine_of(section.engine),
            may_be_empty=sample is not None,
            source=", ".join("stdin" if path == STDIN else str(path) for path in files[:3]),
        )
    report = report_of(account, renamed_ids=reader.renamed_ids, warn_share=section.warn_share, sample=sample)
    edited = [step["rule"] for step in report["steps"] if sum(step.get("edited", {}).values())]
    if reader.of_parts and edited:
        report["warnings"].append(
            f"texts were made of {', '.join(sorted(reader.of_parts))}, which are what finetune reads and which no edit reaches: "
            f"what {', '.join(edited)} did is in `text` alone; edit such files before, or drop with measures"
        )
    (folder / "report.html").write_text(page.render(report | {"name": project.name}), "utf-8")
    return report


def _dry_run(project: Project, section: Clean, files: list[Path], sample: int) -> None:
    """A report on a sample, beside the stages; nothing else stays."""
    final = runs.root(project) / "clean-sample"
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".clean-sample.") as folder:
        report = _cleaned(project, section, files, Path(folder), sample)
        shutil.rmtree(final, ignore_errors=True)
        final.mkdir()
        shutil.move(Path(folder) / "report.html", final / "report.html")
    _show(report)
    console.note(f"a dry run on {report['read']:,} rows; see {final / 'report.html'}")


def _show(report: dict[str, Any]) -> None:
    def share(rows: int) -> str:
        return f"{rows / report['read']:.1%}"

    lines: list[tuple[str, int, str]] = [("read", report["read"], "")]
    for step in report["steps"]:
        verb = next(verb for verb in ("edited", "marked", "dropped") if verb in step)
        rows = sum(step[verb].values())
        if rows:
            lines.append((f"  {verb} by {step['rule']}", rows, share(rows)))
    if report["failed"]:
        lines.append(("  failed (failed.jsonl)", report["failed"], share(report["failed"])))
    lines.append(("kept", report["kept"], share(report["kept"])))
    console.table("clean: what became of every row", ["", "rows", "share"], lines)
    if report["renamed_ids"]:
        console.warn(f"{report['renamed_ids']:,} ids were used before; such documents got '#2', '#3', ... after their id")
    for warning in report["warnings"]:
        console.warn(warning)
