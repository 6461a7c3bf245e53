"""Rules over a corpus that need not fit in memory: files into kept documents, failed rows and a ledger.

The rules run in passes. A pass streams batches through the edits and measures up to the next duplicates rule; between two
passes the engine finds, over all documents, which keys repeat.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aigc.core.documents import engine
from aigc.core.documents.reading import Batch, Reader
from aigc.core.documents.tables import TableWriter, common_schema, fitted
from aigc.core.rules import ledger
from aigc.core.rules.apply import apply
from aigc.core.rules.duplicates.exact import keepers
from aigc.core.rules.rule import Duplicates, Rule
from aigc.core.rules.table import name_of
from aigc.errors import AigcError

__all__ = ["Counts", "clean_corpus"]

FEW = 100  # rows of which a share says nothing: up to here `max_failed` is judged at the end


@dataclass(frozen=True)
class Counts:
    """What became of all rows."""

    read: int
    kept: int
    dropped: int
    failed: int
    edited_by: dict[str, int]
    dropped_by: dict[str, int]
    renamed_ids: int
    characters_read: int
    characters_kept: int
    fields: list[str]


class _Book:
    """The ledger file, its tally, and the rows that failed."""

    def __init__(self, folder: Path) -> None:
        self.table = TableWriter(folder, "ledger", dict(ledger.SCHEMA), whole=True)
        self.tally = ledger.Tally()
        self.failed = (folder / "failed.jsonl").open("w", encoding="utf-8")

    def write(self, rows: pl.DataFrame) -> None:
        self.table.write(rows)
        self.tally.add(rows)

    def open_batch(self, batch: Batch) -> None:
        self.write(ledger.rows(batch.documents["id"], "read", origin=batch.origins))
        for failure in batch.failures:
            entry = {"origin": failure.origin, "reason": failure.reason, "raw": failure.raw}
            self.failed.write(json.dumps(entry, ensure_ascii=False) + "\n")
        if batch.failures:
            origins = pl.Series([f.origin for f in batch.failures], dtype=pl.String)
            reasons = pl.Series([f.reason for f in batch.failures], dtype=pl.String)
            self.write(ledger.rows([None] * len(origins), "failed", origin=origins, reason=reasons))  # type: ignore[list-item]


def clean_corpus(
    paths: Sequence[Path],
    rules: Sequence[Rule],
    *,
    reader: Reader,
    folder: Path,
    max_failed: float,
    advance: Callable[[int], None],
) -> Counts:
    """Read files, apply rules, and write documents-*.parquet, ledger.parquet and failed.jsonl into `folder`.

    Args:
        max_failed: the share of broken rows above which the run stops.
        advance: told how many bytes of the files were read since the last call.

    Raises:
        AigcError: a file cannot be read, too many rows are broken, nothing was kept, or rows do not add up.
    """
    passes = _passes(rules)
    work = folder / "work"
    work.mkdir()
    book = _Book(folder)
    with book.table, book.failed:
        first_failure: list[str] = []
        characters_read = 0
        rows_read = 0

        def incoming() -> Iterator[pl.DataFrame]:
            nonlocal characters_read, rows_read
            done = 0
            for path in paths:
                for batch in reader.read(path):
                    rows_read += batch.rows
                    if batch.failures and not first_failure:
                        first_failure.append(f"{batch.failures[0].origin}: {batch.failures[0].reason}")
                    book.open_batch(batch)
                    characters_read += int(batch.documents["text"].str.len_chars().sum())
                    if rows_read > FEW:
                        _judge_failures(book.tally.verdicts["failed"], rows_read, max_failed, first_failure)
                    yield batch.documents
                    advance(reader.meter.bytes - done)
                    done = reader.meter.bytes

        parts = _pass(incoming(), passes[0], work / "0", book, repeats=None)
        _judge_failures(book.tally.verdicts["failed"], rows_read, max_failed, first_failure)
        if not rows_read:
            raise AigcError(f"{', '.join(map(str, paths))}: no rows; there is nothing to clean")
        for number, rules_of_pass in enumerate(passes[1:], start=1):
            rule = rules_of_pass[0]
            assert isinstance(rule, Duplicates)
            repeats = keepers(engine.repeated(_write_keys(rule, parts)))
            parts = _pass(map(pl.read_parquet, parts), rules_of_pass, work / f"{number}", book, repeats=repeats)
        schema = common_schema(dict(pl.read_parquet_schema(part)) for part in parts)
        characters_kept = 0
        with TableWriter(folder, "documents", schema) as kept:
            for part in parts:
                frame = fitted(pl.read_parquet(part), schema)
                kept.write(frame)
                book.write(ledger.rows(frame["id"], "kept"))
                characters_kept += int(frame["text"].str.len_chars().sum())
        for file in sorted(work.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        work.rmdir()
    verdicts = book.tally.verdicts
    if not book.tally.balanced(rows_read):
        raise AigcError(f"rows do not add up, which is a fault of aigc: {rows_read} read, {verdicts}")
    if not kept.rows:
        worst = max(book.tally.dropped.items(), key=lambda item: item[1], default=("", 0))
        raise AigcError(f"no document was kept of {rows_read:,} rows read; most went by the rule {worst[0]!r} ({worst[1]:,})")
    return Counts(
        read=rows_read,
        kept=verdicts["kept"],
        dropped=verdicts["dropped"],
        failed=verdicts["failed"],
        edited_by=_in_order(book.tally.edited, rules),
        dropped_by=_in_order(book.tally.dropped, rules),
        renamed_ids=reader.renamed_ids,
        characters_read=characters_read,
        characters_kept=characters_kept,
        fields=list(schema),
    )


def _in_order(counts: dict[str, int], rules: Sequence[Rule]) -> dict[str, int]:
    names = dict.fromkeys(map(name_of, rules))
    return {name: counts[name] for name in names if name in counts}


def _judge_failures(failed: int, read: int, max_failed: float, first: Sequence[str]) -> None:
    if failed > max_failed * read:
        rest = f"; {failed:,} of {read:,} rows are broken" if failed > 1 or read > 1 else ""
        raise AigcError(f"{first[0]}{rest}, more than clean.max_failed allows ({max_failed:.3g})")


def _passes(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules in order, cut before each duplicates rule."""
    passes: list[list[Rule]] = [[]]
    for rule in rules:
        if isinstance(rule, Duplicates):
            passes.append([])
        passes[-1].append(rule)
    return passes


def _pass(
    documents: Iterable[pl.DataFrame],
    rules: Sequence[Rule],
    folder: Path,
    book: _Book,
    *,
    repeats: pl.DataFrame | None,
) -> list[Path]:
    """Stream batches through some rules into part files; `repeats` says what the first of them, a duplicates rule, drops."""
    folder.mkdir()

    def find_keepers(_rule: Duplicates, batch: pl.DataFrame) -> pl.Series:
        assert repeats is not None
        return batch.select("id").join(repeats, on="id", how="left", maintain_order="left")["keeper"]

    parts: list[Path] = []
    for number, batch in enumerate(documents):
        outcome = apply(batch, rules, find_keepers)
        book.write(outcome.ledger)
        parts.append(folder / f"{number:06d}.parquet")
        outcome.kept.write_parquet(parts[-1], compression="lz4")
    return parts


def _write_keys(rule: Duplicates, parts: Sequence[Path]) -> list[Path]:
    """A file of key, id and length beside each part: all that the engine must hold to find repeats."""
    files = []
    for part in parts:
        keys = pl.read_parquet(part, columns=["id", "text"]).select("id", key=rule.key(), length=pl.col("text").str.len_chars())
        files.append(part.with_suffix(".keys"))
        keys.write_parquet(files[-1], compression="lz4")
    return files
