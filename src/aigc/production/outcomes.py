"""Judged samples into the files of accepted and rejected rows, and counts; and what an earlier try left there out of them again."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from aigc.core.generation.prompts import BadPrompt
from aigc.errors import AigcError
from aigc.production.rowfile import Row, RowFile
from aigc.production.sampling import Judged, Sample, seed_of

__all__ = ["Origin", "Outcomes", "Recorded", "in_files", "judged_order", "on_stream"]

FORMATS = (".gz", ".zst", ".xz", ".parquet", ".arrow", ".csv", ".tsv")  # of other files


@dataclass(frozen=True)
class Origin:
    """What decides the content of a row, beside its prompt."""

    model: str  # the checkpoint's hash
    config: str  # the hash of what the project file says of the content
    seed: int  # the project's
    data: Row = field(default_factory=dict)  # what the checkpoint learned from, as rows say it

    @property
    def told(self) -> Row:
        """What each row says of it."""
        return {"model": self.model, "config": self.config, **self.data}

    def differs(self, row: Row) -> str | None:
        """Why a row cannot stand in one file with rows of this origin; None where it can."""
        if not {"id", "model", "config"} <= row.keys():
            return "it is no row of samples"
        if row["model"] != self.model:
            return "the row was made by another checkpoint"
        if row["config"] != self.config:
            return "the row was made with another config"
        if "seed" in row and row["seed"] != seed_of(self.seed, row["id"], row.get("try", 0)):
            return "the row was made with another seed"
        return None


@dataclass(frozen=True)
class Recorded:
    """What an earlier try left of a sample: the tries that were rejected, then the row that was accepted."""

    sample: Sample
    rows: Sequence[tuple[tuple[int, int, int], Row]]  # each with what sorts rows in the order in which they were judged
    final: bool  # whether nothing more is to be drawn


class Sink(Protocol):
    """Where rows go."""

    rows: int

    def add(self, row: Row) -> None:
        """Write a row; it is out when this returns."""


class _Stream:
    def __init__(self, file: TextIO) -> None:
        self.rows = 0
        self._file = file

    def add(self, row: Row) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        self.rows += 1


def _no_counts() -> Counter[str]:
    return Counter(prompts=0, samples=0, accepted=0, rejected=0, failed=0)


@dataclass
class Outcomes:
    """What became of every sample of a run."""

    origin: Origin
    accepted: Sink
    rejected: RowFile | None = None  # None: they are only counted
    retries: int = 0
    interrupted: bool = False  # whether an earlier try was stopped
    shown: Callable[[Row], None] | None = None  # told each accepted row that is written
    unmet: int = 0  # rows that stood in the files, of samples that were not asked about yet
    counts: Counter[str] = field(default_factory=_no_counts)
    rejected_by: Counter[str] = field(default_factory=Counter)  # samples by the rule that had the last word
    again: int = 0  # draws behind the first one of a sample

    @property
    def report(self) -> dict[str, Any]:
        """For report.json."""
        return {**self.counts, "drawn_again": self.again, "rejected_by": dict(sorted(self.rejected_by.items()))}

    @property
    def lines(self) -> list[tuple[str, int]]:
        """For people."""
        reasons = [(f"  rejected by {name}", count) for name, count in self.rejected_by.items()]
        return [*self.counts.items(), *reasons, *([("  drawn again", self.again)] if self.again else [])]

    @property
    def _old(self) -> RowFile | None:
        return self.accepted if isinstance(self.accepted, RowFile) else None

    def recorded(self, sample: Sample) -> Recorded | None:
        """What an earlier try left of a sample; None for nothing. To be asked once.

        Raises:
            AigcError: it was written for another prompt.
        """
        found: list[tuple[tuple[int, int, int], Row]] = []
        while self.rejected is not None and (old := self.rejected.get(_tried(sample.id, len(found)))) is not None:
            found.append(((old[1]["after"], 0, old[0]), old[1]))
        final = len(found) > self.retries
        if self._old is not None and (old := self._old.get(sample.id)) is not None:
            found.append(((old[0], 1, 0), old[1]))
            final = True
        self.unmet -= len(found)
        for _, row in found:
            if (row["prompt"], row.get("begin", "")) != (sample.prompt.text, sample.begin):
                assert self._old is not None
                raise AigcError(
                    f"{self._old.path}: row {sample.id} was written for another prompt; {_way_out(self._old.path)}, or give the "
                    f"prompts ids of their own, which tell rows apart where prompts come and go"
                )
        return Recorded(sample, found, final) if found else None

    def keep(self, one: Recorded) -> None:
        """Count what stays as it is."""
        _, last = one.rows[-1]
        self._count(last if "rule" in last else None, attempt=len(one.rows) - 1)

    def put(self, one: Judged) -> None:
        """Write a row, unless it stands there already, and count what is final."""
        name, attempt = one.sample.id, one.row.get("try", 0)
        if one.final:
            self._count(one.reason, attempt=attempt)
        if (self._old is not None and name in self._old) or self._has(_tried(name, self.retries)):
            return  # what became of it is settled
        if one.reason is None:
            self.accepted.add(one.row)
            if self.shown is not None:
                self.shown(one.row)
        elif self.rejected is not None and not self._has(_tried(name, attempt)):
            self.rejected.add(one.row | one.reason | {"after": self.accepted.rows})

    def fail(self, bad: BadPrompt) -> bool:
        """Count a row that is no prompt, and take down why; whether there is a file for that."""
        self.counts["failed"] += 1
        if self.rejected is None:
            return False
        if not self._has(_failed(bad.id)):
            self.rejected.add({"id": bad.id, "origin": bad.origin, "reason": bad.reason, **self.origin.told})
        return True

    def _has(self, key: str) -> bool:
        return self.rejected is not None and key in self.rejected

    def _count(self, reason: Row | None, *, attempt: int) -> None:
        self.counts["samples"] += 1
        self.counts["accepted" if reason is None else "rejected"] += 1
        if reason is not None:
            self.rejected_by[reason["rule"]] += 1
        self.again += attempt


def on_stream(file: TextIO, origin: Origin, *, retries: int = 0) -> Outcomes:
    """Accepted rows onto a stream; of the others only the number is known."""
    return Outcomes(origin, _Stream(file), retries=retries)


@contextmanager
def in_files(
    accepted: Path, rejected: Path | None, origin: Origin, *, retries: int = 0, interrupted: bool | None = None
) -> Iterator[Outcomes]:
    """Rows into files, that may hold some of them.

    Args:
        rejected: None for a file beside the accepted ones, made when there is something to put in: `a.rejected.jsonl` of `a.jsonl`.
        interrupted: whether an earlier try was stopped; None where a hidden file beside the accepted ones tells.

    Raises:
        AigcError: the files hold rows of another origin, or are being written to; they are left as they were.
    """
    if accepted.suffix.lower() in FORMATS:
        raise AigcError(f"{accepted}: rows are written as JSON lines; name it .jsonl")
    beside = accepted.with_suffix(".rejected.jsonl")
    failed = 0

    def key(row: Row) -> str:
        nonlocal failed
        if "rule" in row:
            return _tried(row["id"], row.get("try", 0))
        failed += 1
        return _failed(row["id"])

    def check(row: Row) -> str | None:
        why = origin.differs(row)
        return None if why is None else f"{why}; {_way_out(accepted)}"

    mark = accepted.with_name(f".{accepted.name}.unfinished")
    out = RowFile(accepted, key=lambda row: str(row["id"]), check=check, make=True)
    try:
        if not out.regular:
            yield Outcomes(origin, out, retries=retries)
            return
        bad = RowFile(beside if rejected is None else rejected, key=key, check=check, make=rejected is not None)
        try:
            stopped = mark.exists() if interrupted is None else interrupted
            if interrupted is None:
                mark.touch()
            yield Outcomes(origin, out, bad, retries, stopped, unmet=len(out) + len(bad) - failed)
            mark.unlink(missing_ok=True)
        finally:
            bad.close()
    finally:
        out.close()


def _way_out(path: Path) -> str:
    return f"remove {path} and {path.with_suffix('.rejected.jsonl').name}, or name another file with generate.output"


def _tried(name: str, attempt: int) -> str:
    return f"{attempt} {name}"


def _failed(name: str) -> str:
    return f"- {name}"


def judged_order(recorded: Sequence[Recorded], *, ordered: bool) -> list[tuple[Row, Mapping[str, Any]]]:
    """The rows of some samples in the order in which they were judged, each with the fields of its prompt.

    Args:
        recorded: in the order of the samples.
        ordered: whether they were judged, and written, in that order.
    """
    rows = [(place, row, one.sample.prompt.fields) for one in recorded for place, row in one.rows]
    if ordered:
        rows.sort(key=lambda found: found[1].get("try", 0))
    else:
        rows.sort(key=lambda found: found[0])
    return [(row, fields) for _, row, fields in rows]
