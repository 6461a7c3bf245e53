"""Prompts into windows of samples, and each window into rows that the rules have judged."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from aigc.core.generation.engine import Engine
from aigc.core.generation.prompts import BadPrompt, Prompt
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.rules.apply import Seen, Step, apply
from aigc.core.rules.diffs import diff
from aigc.core.rules.rule import Duplicates, Measure, Rule
from aigc.core.rules.table import name_of

__all__ = [
    "Judge",
    "Judged",
    "Row",
    "Sample",
    "Sampler",
    "Told",
    "Window",
    "Write",
    "in_order",
    "single",
    "windows",
]

SHARE = 0.05  # of the time may be spent on judging rows one by one; where they come faster, several are judged together
MOST = 64  # of those

Row = dict[str, Any]
Told = Callable[["Sample", int, str], None]
"""Told a sample, the number of the try, and each piece of its text as it is settled."""


@dataclass(frozen=True)
class Sample:
    """One of the texts that a prompt is to get."""

    prompt: Prompt
    number: int

    @property
    def id(self) -> str:
        """No other sample's."""
        return f"{self.prompt.id}-{self.number}"

    def seed(self, project_seed: int, attempt: int) -> int:
        """Of a try to write it: it depends on nothing but these."""
        return seed_of(project_seed, self.id, attempt)


def seed_of(project_seed: int, sample_id: str, attempt: int) -> int:
    """A number below 2**32 for each try of each sample."""
    entropy = [project_seed, *sample_id.encode("utf-8", "surrogatepass")]
    return int(np.random.SeedSequence(entropy, spawn_key=(attempt,)).generate_state(1)[0])


@dataclass(frozen=True)
class Window:
    """Consecutive samples that are drawn together, and the rows among them that are no prompts."""

    samples: Sequence[Sample]
    bad: Sequence[BadPrompt] = ()


def windows(prompts: Iterable[Prompt | BadPrompt | None], *, count: int, size: int) -> Iterator[Window]:
    """Cut samples into windows, so that the same prompts are drawn in the same company whenever the work is stopped and goes on.

    Args:
        prompts: None closes the window: no more has come for now.
        count: samples of a prompt; they may stand in two windows.
        size: samples of a window.
    """
    samples: list[Sample] = []
    bad: list[BadPrompt] = []
    for found in prompts:
        if isinstance(found, BadPrompt):
            bad.append(found)
        elif found is None:
            if samples or bad:
                yield Window(samples, bad)
                samples, bad = [], []
        else:
            for number in range(count):
                samples.append(Sample(found, number))
                if len(samples) == size:
                    yield Window(samples, bad)
                    samples, bad = [], []
    if samples or bad:
        yield Window(samples, bad)


Write = Callable[[Sequence[Sample], int], Iterator[tuple[Sample, Drawn, Row]]]
"""Samples, and the number of the try, into the text of each, as it is finished, and what its row says beside.

What writes a sample in another way than by one draw (the best of several candidates, the parts of a plan) is one as well."""


def single(engine: Engine, decoding: Decoding, *, seed: int, told: Told | None = None) -> Write:
    """Each sample is what the model draws once.

    Args:
        seed: the project's.
    """

    def write(samples: Sequence[Sample], attempt: int) -> Iterator[tuple[Sample, Drawn, Row]]:
        def watch(request: Request, piece: str, /) -> None:
            assert told is not None
            told(samples[request.key], attempt, piece)

        requests = (engine.request(one.prompt.text, seed=one.seed(seed, attempt), key=key) for key, one in enumerate(samples))
        for request, drawn in engine.draw(requests, decoding, None if told is None else watch):
            yield samples[request.key], drawn, {}

    return write


@dataclass(frozen=True)
class Judged:
    """A row, and what the rules say of it."""

    sample: Sample
    row: Row  # id, prompt, text, (raw, edits), tokens, finish, seed, (try), and where it comes from
    reason: Row | None  # why it was rejected
    final: bool  # whether nothing more is drawn for the sample


class Judge:
    """Rows into verdicts, by the rules and all rows before."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules, self._seen = rules, Seen()
        self.remembers = any(isinstance(rule, Duplicates) for rule in rules)
        self.columns = list(dict.fromkeys(name for rule in rules if isinstance(rule, Measure) for name in rule.columns()))
        """What the rules read beside the text: fields of the prompt, or keys of the row."""

    def __call__(self, rows: Sequence[Row], fields: Sequence[Mapping[str, Any]]) -> list[tuple[Row, Row | None]]:
        """Each row with its text after the edits, in order, and why it was rejected, None where it was not.

        Args:
            fields: of the prompt of each row.
        """
        if not self._rules:
            return [(row, None) for row in rows]
        documents = pl.DataFrame({name: [row[name] for row in rows] for name in ("id", "text")})
        for name in self.columns:
            documents = documents.with_columns(
                _column(name, [f.get(name, row.get(name)) for f, row in zip(fields, rows, strict=True)])
            )
        outcome = apply(documents, self._rules, self._seen)
        texts = dict(pl.concat([outcome.kept, outcome.dropped], how="diagonal").select("id", "text").iter_rows())
        reasons = {entry["id"]: entry for entry in outcome.ledger.filter(verdict="dropped").iter_rows(named=True)}
        changes = _changes(outcome.steps)
        return [(_edited(row, texts[row["id"]], changes.get(row["id"], {})), _reason(reasons.get(row["id"]))) for row in rows]

    def remember(self, judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> None:
        """Take in rows that were judged before, in the order in which they were: those to come are judged as if it had been now.

        Args:
            judged: each with the fields of its prompt.
        """
        if self.remembers:
            waiting = iter(judged)
            while some := list(islice(waiting, MOST)):
                self([row | {"text": row.get("raw", row["text"])} for row, _ in some], [fields for _, fields in some])


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    """Values as text, or all as lists of texts where one is a list: what they are must not depend on who else is judged."""
    texts = [[_text(one) for one in value] if isinstance(value, list) else _text(value) for value in values]
    if not any(isinstance(value, list) for value in texts):
        return pl.Series(name, texts, dtype=pl.String)
    return pl.Series(name, [value if isinstance(value, list) else [value] for value in texts], dtype=pl.List(pl.String))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _changes(steps: Iterable[Step]) -> dict[str, Row]:
    """What each edit changed in each text: places of the text as it was before that edit, see `diffs`."""
    found: dict[str, Row] = {}
    for step in steps:
        if step.after is not None:
            hit = step.seen.with_columns(after=step.after).filter(step.hit).select("id", "text", "after")
            for name, before, after in hit.iter_rows():
                found.setdefault(name, {})[name_of(step.rule)] = [list(change) for change in diff(before, after)]
    return found


def _edited(row: Row, text: str, changes: Row) -> Row:
    """The row with its new text, the raw one beside it, and what each edit did."""
    if text == row["text"]:
        return row
    return {
        name: value
        for key, old in row.items()
        for name, value in ([("text", text), ("raw", old), ("edits", changes)] if key == "text" else [(key, old)])
    }


def _reason(entry: Mapping[str, Any] | None) -> Row | None:
    if entry is None:
        return None
    return {name: entry[name] for name in ("rule", "value", "bound", "detail", "keeper", "similarity") if entry[name] is not None}


@dataclass
class Sampler:
    """Samples into judged rows."""

    write: Write
    judge: Judge
    seed: int  # the project's
    provenance: Row  # what each row says of its origin
    retries: int = 0
    ordered: bool = False
    _cost: float = field(default=0.0, init=False)  # seconds of the last judgement

    def rows(self, samples: Sequence[Sample]) -> Iterator[Judged]:
        """Draw and judge the samples of a window, then once more those that were rejected, and so on.

        The rows come as they are finished, those of a try in the order of the samples where it is to be kept. Verdicts and their
        order do not depend on how many rows are judged at a time.
        """
        attempt = 0
        while samples:
            rejected = set()
            final = attempt >= self.retries
            for sample, row, reason in self._judged(self._drawn(samples, attempt)):
                if reason is not None:
                    rejected.add(sample.id)
                yield Judged(sample, row, reason, final or reason is None)
            samples = [] if final else [one for one in samples if one.id in rejected]
            attempt += 1

    def _drawn(self, samples: Sequence[Sample], attempt: int) -> Iterator[tuple[Sample, Row]]:
        for sample, drawn, more in self._placed(samples, self.write(samples, attempt)):
            row: Row = {"id": sample.id, "prompt": sample.prompt.text, "text": drawn.text, "tokens": drawn.tokens}
            row |= {"finish": drawn.finish, "seed": sample.seed(self.seed, attempt)}
            yield sample, row | ({"try": attempt} if attempt else {}) | more | self.provenance

    def _placed(
        self, samples: Sequence[Sample], written: Iterator[tuple[Sample, Drawn, Row]]
    ) -> Iterator[tuple[Sample, Drawn, Row]]:
        if not self.ordered:
            yield from written
            return
        early: dict[str, tuple[Sample, Drawn, Row]] = {}
        expected = iter(samples)
        awaited = next(expected, None)
        for one in written:
            early[one[0].id] = one
            while awaited is not None and awaited.id in early:
                yield early.pop(awaited.id)
                awaited = next(expected, None)

    def _judged(self, drawn: Iterator[tuple[Sample, Row]]) -> Iterator[tuple[Sample, Row, Row | None]]:
        held: list[tuple[Sample, Row]] = []
        last = -float("inf")
        for one in drawn:
            held.append(one)
            if len(held) >= MOST or time.monotonic() - last >= self._cost / SHARE:
                yield from self._verdicts(held)
                held, last = [], time.monotonic()
        yield from self._verdicts(held)

    def _verdicts(self, held: list[tuple[Sample, Row]]) -> list[tuple[Sample, Row, Row | None]]:
        if not held:
            return []
        began = time.monotonic()
        found = self.judge([row for _, row in held], [sample.prompt.fields for sample, _ in held])
        self._cost = time.monotonic() - began
        return [(sample, row, reason) for (sample, _), (row, reason) in zip(held, found, strict=True)]


def in_order(judged: Iterable[Judged], samples: Sequence[Sample]) -> Iterator[Judged]:
    """Accepted rows in the order of the samples, held back until what becomes of those before is known; rejected ones at once."""
    accepted: dict[str, Judged | None] = {}
    expected = iter(samples)
    awaited = next(expected, None)
    for one in judged:
        if one.reason is not None:
            yield one
        if one.final:
            accepted[one.sample.id] = None if one.reason is not None else one
        while awaited is not None and awaited.id in accepted:
            if (ready := accepted.pop(awaited.id)) is not None:
                yield ready
            awaited = next(expected, None)
