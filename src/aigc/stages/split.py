"""`aigc split`: documents into train, validation and test."""

import time

from aigc import console, lineage, runs
from aigc.core.splits.assign import split_tables
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Split the cleaned documents."""
    started = time.monotonic()
    sources = lineage.sources(project, "split")
    section = project.split
    assert section is not None
    with runs.stage(project, "split", sources) as stage:
        upstream = runs.stage_folder(project, "clean")
        total = runs.rows_of(upstream)["kept"]
        with console.progress("split", total, "documents") as advance:
            counts = split_tables(
                sorted(upstream.glob("documents-*.parquet")),
                stage.folder,
                validation=section.validation,
                test=section.test,
                advance=advance,
            )
        stage.rows = {"read": total, **counts}
        shares = {name: rows / total for name, rows in counts.items()}
        stage.write_json("report.json", {"documents": total, "parts": counts, "shares": shares})
    lines = [(name, rows, f"{shares[name]:.1%}") for name, rows in counts.items()]
    console.table("split", ["part", "documents", "share"], lines)
    console.closing("split", time.monotonic() - started, runs.stage_folder(project, "split"))
