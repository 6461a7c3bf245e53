"""Rules over a corpus that need not fit in memory: batches into kept documents, failed rows and a ledger.

The rules run in passes. A pass takes each batch, on its own, through the rules up to the next one that must have seen all
documents; between two passes that rule concludes from what it noted of each batch. What lies between is on disk.
"""

import heapq
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path

import polars as pl

from aigc.core.documents.engine import Engine, local
from aigc.core.documents.heap import give_back_large
from aigc.core.documents.reading import Batch, Failure
from aigc.core.documents.tables import TableWriter, common_schema, fitted
from aigc.core.rules import ledger
from aigc.core.rules.passes import LANGUAGE_COLUMN, Done, Task, work
from aigc.core.rules.rule import Corpus, Duplicates, Rule, Surveyor
from aigc.core.rules.steps import CUT, EXAMPLES, StepCount, order_of
from aigc.core.rules.table import name_of
from aigc.errors import AigcError

__all__ = ["Account", "clean_corpus"]

FEW = 100  # rows of which a share says nothing: up to here `max_failed` is judged at the end
ROLLED_UP = ("source", "license", "licence", "topic")  # columns whose values are counted
FIRST_FAILURES = 10
SHOWN = 5  # clusters
MANY = 10_000  # values of a column that are told apart


@dataclass(frozen=True)
class Clusters:
    """What a duplicates rule found to be one."""

    count: int
    largest: dict[str, int]  # documents in the cluster of each keeper


@dataclass
class Account:
    """What became of all rows."""

    rules: Sequence[Rule]
    read: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    characters_read: int = 0
    characters_kept: int = 0
    languages_read: Counter[str] = field(default_factory=Counter)
    languages_kept: Counter[str] = field(default_factory=Counter)
    fields: list[str] = field(default_factory=list)
    steps: list[StepCount] = field(default_factory=list)
    clusters: dict[int, "Clusters"] = field(default_factory=dict)  # of each rule by its place
    columns: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # of keepers that examples name
    dropped_by: dict[str, int] = field(default_factory=dict)


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
    batches: Iterable[Batch],
    rules: Sequence[Rule],
    *,
    folder: Path,
    max_failed: float,
    engine: Engine = local,
    source: str = "input",
    may_be_empty: bool = False,
) -> Account:
    """Apply rules to batches and write documents-*.parquet, ledger.parquet and failed.jsonl into `folder`.

    Args:
        max_failed: the share of broken rows above which the run stops.
        engine: who carries the batches.
        source: what to call the input where it has no rows.
        may_be_empty: nothing kept is no error.

    Raises:
        AigcError: there are no rows, too many are broken, nothing was kept, or rows do not add up.
    """
    give_back_large()
    account = Account(rules)
    desk = (folder / "work").resolve()  # a worker may stand elsewhere
    desk.mkdir()
    book = _Book(folder)
    with book.table, book.failed:
        parts: list[Path] = []
        finding: Iterable[pl.DataFrame | None] = repeat(None)
        passes = _passes(rules)
        for number, of_pass in enumerate(passes):
            here = desk / f"{number}"
            here.mkdir()
            surveyor = passes[number + 1][0] if number + 1 < len(passes) else None
            assert surveyor is None or isinstance(surveyor, Surveyor)
            sources = _incoming(batches, desk, book, account, max_failed) if number == 0 else iter(parts)
            tasks = (
                Task(source, here / f"{i:06d}.arrow", tuple(of_pass), known, surveyor)
                for i, (source, known) in enumerate(zip(sources, finding, strict=False))
            )
            done = _worked(tasks, engine, book, account, len(of_pass), first=number == 0)
            if number == 0:
                _judge_failures(book.tally, account, max_failed)
                if not account.read:
                    raise AigcError(f"{source}: no rows; there is nothing to clean")
            parts = [one.target for one in done]
            if surveyor is not None:
                finding = _concluded(surveyor, parts, [one.rows for one in done], account, len(account.steps))
        _write_documents(done, folder, book, account)
    shutil.rmtree(desk)
    verdicts = book.tally.verdicts
    account.kept, account.dropped, account.failed = verdicts["kept"], verdicts["dropped"], verdicts["failed"]
    account.dropped_by = _in_order(book.tally.dropped, rules)
    if not book.tally.balanced(account.read):
        raise AigcError(f"rows do not add up, which is a fault of aigc: {account.read} read, {verdicts}")
    if not account.kept and not may_be_empty:
        worst = max(book.tally.dropped.items(), key=lambda item: item[1], default=("", 0))
        by = {name_of(rule): f" of the preset {rule.preset}" for rule in rules if rule.preset}.get(worst[0], "")
        raise AigcError(
            f"no document was kept of {account.read:,} rows read; most went by the rule {worst[0]!r}{by} ({worst[1]:,})"
        )
    return account


def _incoming(batches: Iterable[Batch], desk: Path, book: _Book, account: Account, max_failed: float) -> Iterator[Path]:
    """Batches as they are read into files for the first pass."""
    number = 0
    for batch in batches:
        account.read += batch.rows
        account.failures += batch.failures[: FIRST_FAILURES - len(account.failures)]
        book.open_batch(batch)
        if account.read > FEW:
            _judge_failures(book.tally, account, max_failed)
        if len(batch.documents):
            account.characters_read += int(batch.documents["text"].str.len_chars().sum())
            path = desk / f"{number:06d}.arrow"
            documents = batch.documents
            if LANGUAGE_COLUMN in documents.columns:
                documents = documents.rename({LANGUAGE_COLUMN: f"original_{LANGUAGE_COLUMN}"})
            documents.write_ipc(path, compression="uncompressed")
            number += 1
            yield path


def _worked(tasks: Iterable[Task], engine: Engine, book: _Book, account: Account, rules: int, *, first: bool) -> list[Done]:
    """All tasks of a pass; what each read is removed, and its ledger and its counts are taken over, in order."""
    done = []
    totals = [StepCount() for _ in range(rules)]
    sources: dict[Path, Path] = {}

    def noted() -> Iterator[Task]:
        for task in tasks:
            sources[task.target] = task.source
            yield task

    for one in engine(work, noted()):
        entries = one.target.with_suffix(".ledger")
        book.write(pl.read_ipc(entries))
        entries.unlink()
        sources[one.target].unlink()
        sources[one.target].with_suffix(".survey").unlink(missing_ok=True)
        for total, count in zip(totals, one.steps, strict=True):
            total.add(count)
        if first:
            account.languages_read.update(one.languages)
        done.append(replace(one, steps=[]))
    account.steps += totals
    return done


def _concluded(
    surveyor: Surveyor, parts: Sequence[Path], rows: Sequence[int], account: Account, place: int
) -> Iterable[pl.DataFrame | None]:
    """What the surveyor found, for each part; to be walked once."""

    def frames() -> Iterator[pl.DataFrame]:
        return (pl.read_ipc(part, columns=["id", "text"]) for part in parts)

    corpus = Corpus([part.with_suffix(".survey") for part in parts], frames, parts[0].parent if parts else None)
    found = surveyor.conclude(corpus) if parts else pl.DataFrame()
    if not isinstance(surveyor, Duplicates) or not parts:
        return repeat(found)
    if surveyor.inside:
        sizes = found["keeper"].value_counts(name="size").sort("size", "keeper", descending=[True, False])
        largest = {keeper: size + 1 for keeper, size in sizes.head(SHOWN).iter_rows()}
        account.clusters[place] = Clusters(len(sizes), largest)
        gone = zip(corpus.column("id").gather(found["row"]), found["keeper"], strict=True)
        examples = heapq.nsmallest(EXAMPLES, gone, key=lambda pair: order_of(pair[0]))
        shown = [*largest, *(keeper for _, keeper in examples)]
        for frame in frames() if shown else ():
            account.texts |= dict(frame.filter(pl.col("id").is_in(shown)).select("id", pl.col("text").str.head(CUT)).iter_rows())
    return _cut(found, rows)


def _cut(found: pl.DataFrame, rows: Sequence[int]) -> Iterator[pl.DataFrame]:
    """For each part a row for each of its documents, made when it is asked for."""
    start = 0
    for count in rows:
        first, last = (int(found["row"].search_sorted(row, side="left")) for row in (start, start + count))
        here = found[first:last]
        empty = pl.DataFrame(
            {
                "keeper": pl.repeat(None, count, dtype=pl.String, eager=True),
                "similarity": pl.repeat(None, count, dtype=pl.Float64, eager=True),
            }
        )
        places = here["row"].cast(pl.Int64) - start
        yield empty.with_columns(empty[name].scatter(places, here[name]) for name in empty.columns)
        start += count


def _write_documents(done: Sequence[Done], folder: Path, book: _Book, account: Account) -> None:
    schema = common_schema({k: v for k, v in one.schema.items() if k != LANGUAGE_COLUMN} for one in done)
    with TableWriter(folder, "documents", schema) as kept:
        for one in done:
            frame = pl.read_ipc(one.target)
            account.languages_kept.update(dict(frame[LANGUAGE_COLUMN].value_counts().iter_rows()))
            frame = fitted(frame, schema)
            kept.write(frame)
            book.write(ledger.rows(frame["id"], "kept"))
            account.characters_kept += one.characters
            for name in ROLLED_UP:
                if name in frame.columns:
                    values = frame[name].cast(pl.String, strict=False).fill_null("").value_counts()
                    counts = account.columns.setdefault(name, Counter())
                    for value, number in values.sort(name).iter_rows():
                        counts[value if value in counts or len(counts) < MANY else "…"] += number
            one.target.unlink()
    account.fields = list(schema)


def _in_order(counts: dict[str, int], rules: Sequence[Rule]) -> dict[str, int]:
    names = dict.fromkeys(map(name_of, rules))
    return {name: counts[name] for name in names if name in counts}


def _judge_failures(tally: ledger.Tally, account: Account, max_failed: float) -> None:
    failed = tally.verdicts["failed"]
    if failed > max_failed * account.read:
        first = account.failures[0]
        rest = f"; {failed:,} of {account.read:,} rows are broken" if failed > 1 or account.read > 1 else ""
        raise AigcError(f"{first.origin}: {first.reason}{rest}, more than clean.max_failed allows ({max_failed:.3g})")


def _passes(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules in order, cut before each that must have seen all documents."""
    passes: list[list[Rule]] = [[]]
    for rule in rules:
        if isinstance(rule, Surveyor):
            passes.append([])
        passes[-1].append(rule)
    return passes
