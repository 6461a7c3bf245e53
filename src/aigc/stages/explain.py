"""`aigc clean --explain ID`: what happened to a document, from the ledger."""

import difflib

import polars as pl

from aigc import console, runs
from aigc.errors import AigcError
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project, *, document: str) -> None:
    """Print every decision on a document: JSON is in the ledger, this is for people.

    Raises:
        AigcError: clean was not run, or knows no such id.
    """
    folder = runs.stage_folder(project, "clean")
    ledger = pl.scan_parquet(folder / "ledger.parquet")
    rows = ledger.filter(pl.col("id") == document).collect()
    if not len(rows):
        ids = ledger.filter(pl.col("verdict") == "read").select("id").head(100_000).collect()["id"]
        near = difflib.get_close_matches(document, ids, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise AigcError(f"{document!r}: no such document in {folder}/ledger.parquet{hint}")
    for row in rows.iter_rows(named=True):
        print(_sentence(row))
    texts = pl.scan_parquet(folder / "documents-*.parquet").filter(pl.col("id") == document).select("text").collect()["text"]
    if len(texts):
        console.note(f"its text as it was kept:\n{texts[0][:1000]}")


def _sentence(row: dict[str, object]) -> str:
    verdict, rule = row["verdict"], row["rule"]
    if verdict == "read":
        return f"{row['id']}: read from {row['origin']}"
    if row["value"] is not None:
        detail = f" ({row['detail']})" if row.get("detail") else ""
        return f"{row['id']}: dropped by {rule}: {row['value']:.6g} breaks {row['bound']}{detail}"
    if row["keeper"] is not None:
        return f"{row['id']}: {verdict} by {rule}: repeats {row['keeper']} (similarity {row['similarity']:.3f})"
    return f"{row['id']}: {verdict}" + (f" by {rule}" if rule else "")
