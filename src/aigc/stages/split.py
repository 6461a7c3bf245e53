"""`aigc split`: documents into train, validation and test."""

import time
from typing import Any

from aigc import console, lineage, runs
from aigc.core.splits.assign import assign
from aigc.core.splits.clusters import cluster, near_pairs
from aigc.core.splits.documents import read_documents
from aigc.core.splits.leaks import find_leaks, refuse_leaks
from aigc.core.splits.plan import Plan
from aigc.core.splits.report import split_report
from aigc.core.splits.write import write_parts
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Split the cleaned documents, and prove that nothing leaks between the parts."""
    started = time.monotonic()
    sources = lineage.sources(project, "split")
    section = project.split
    assert section is not None
    plan = Plan(**{**dict(section), "group_by": tuple(section.group_by)})
    with runs.stage(project, "split", sources) as stage:
        upstream = runs.stage_folder(project, "clean")
        paths = sorted(upstream.glob("documents-*.parquet"))
        total = runs.rows_of(upstream)["kept"]
        with console.progress("split: read", total, "documents") as advance:
            documents = read_documents(paths, plan, advance=advance)
        pairs = near_pairs(paths, plan, documents)
        clusters = cluster(documents, pairs, group_by=plan.group_by)
        assignment = assign(documents, clusters, plan)
        with console.progress("split: write", total, "documents") as advance:
            counts = write_parts(paths, stage.folder, assignment, advance=advance)
        leaks = find_leaks(stage.folder, similarity=plan.similarity)
        refuse_leaks(leaks, max_leak=plan.max_leak, cluster_field=documents.cluster_field)
        report = split_report(documents, clusters, assignment, leaks, plan)
        stage.rows = {"read": total, **counts}
        stage.write_json("report.json", report)
    _show(report)
    console.closing("split", time.monotonic() - started, runs.stage_folder(project, "split"))


def _show(report: dict[str, Any]) -> None:
    lines = [(name, rows, f"{report['shares'][name]:.1%}") for name, rows in report["parts"].items()]
    console.table("split", ["part", "documents", "share"], lines)
    leaks, clusters = report["leaks"], report["clusters"]
    console.note(f"leaks: {leaks['exact'] + (leaks['near'] or 0):,}; {clusters['documents']:,} documents are in "
                 f"{clusters['count']:,} clusters, the largest of {clusters['largest']:,}")  # fmt: skip
    moved = {why: rows for why, rows in report["moved"].items() if rows}
    if moved:
        console.note("not where the hash says: " + ", ".join(f"{rows:,} by {why}" for why, rows in moved.items()))
    for warning in report["warnings"]:
        console.warn(warning)
