"""`aigc clean`: raw files into documents, with a ledger of every decision."""

import time
from dataclasses import asdict

from aigc import console, lineage, runs
from aigc.core.documents.reading import Reader
from aigc.core.rules.corpus import Counts, clean_corpus
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Clean the project's files."""
    started = time.monotonic()
    sources = lineage.sources(project, "clean")
    section = project.clean
    assert section is not None
    size = sum(path.stat().st_size for path in sources.files if path.is_file())
    with runs.stage(project, "clean", sources) as stage:
        with console.progress("clean", size or None, "bytes") as advance:
            counts = clean_corpus(
                sources.files,
                section.rules,
                reader=Reader(text_field=section.text_field, id_field=section.id_field),
                folder=stage.folder,
                max_failed=section.max_failed,
                advance=advance,
            )
        stage.rows = {"read": counts.read, "kept": counts.kept, "dropped": counts.dropped, "failed": counts.failed}
        stage.write_json("report.json", asdict(counts))
    _show(counts)
    console.closing("clean", time.monotonic() - started, runs.stage_folder(project, "clean"))


def _show(counts: Counts) -> None:
    def share(rows: int) -> str:
        return f"{rows / counts.read:.1%}"

    lines: list[tuple[str, int, str]] = [("read", counts.read, "")]
    lines += [(f"  edited by {rule}", rows, share(rows)) for rule, rows in counts.edited_by.items()]
    lines += [(f"  dropped by {rule}", rows, share(rows)) for rule, rows in counts.dropped_by.items()]
    if counts.failed:
        lines.append(("  failed (failed.jsonl)", counts.failed, share(counts.failed)))
    lines.append(("kept", counts.kept, share(counts.kept)))
    console.table("clean: what became of every row", ["", "rows", "share"], lines)
    if counts.renamed_ids:
        console.warn(f"{counts.renamed_ids:,} ids were used before; such documents got '#2', '#3', ... after their id")
