"""`aigc split`: documents into train, validation and test."""

import time
from typing import Any

from aigc import console, lineage, runs
from aigc.core.splits.documents import read_documents
from aigc.core.splits.leaks import refuse_leaks
from aigc.core.splits.plan import Plan
from aigc.core.splits.report import split_report
from aigc.core.splits.settle import settle
from aigc.pages import split as page
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
        with console.progress("split: write", total, "documents") as advance:
            settled = settle(paths, stage.folder, plan, documents, advance=advance)
        refuse_leaks(settled.leaks, max_leak=plan.max_leak, cluster_field=documents.cluster_field)
        report = split_report(documents, settled, plan)
        stage.rows = {"read": total, **settled.assignment.counts()}
        stage.write_json("report.json", report)
        (stage.folder / "report.html").write_text(page.render(_for_page(report, project.name)), "utf-8")
    _show(report)
    console.closing("split", time.monotonic() - started, runs.stage_folder(project, "split"))


def _for_page(report: dict[str, Any], name: str) -> dict[str, Any]:
    leaks = report["leaks"]
    return report | {
        "name": name,
        "leaks": {"exact": leaks["exact"], "near": leaks["near"]},
        "leak_pairs": leaks["pairs"],
        "passages": leaks["ngram_share"],
        "moved": sum(report["moved"].values()),
    }


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
