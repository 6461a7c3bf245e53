"""Prompts into windows of samples, and each window into rows that the rules have judged."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from aigc.core.generation.prompts import BadPrompt, Prompt
from aigc.core.generation.request import Drawn
from aigc.production.judge import MOST, Judge
from aigc.production.rowfile import Row

__all__ = [
    "Judged",
    "Sample",
    "Sampler",
    "Told",
    "Window",
    "Write",
    "in_order",
    "seed_of",
    "windows",
]

SHARE = 0.05  # of the time may be spent on judging rows one by one; where they come faster, several are judged together

Told = Callable[["Sample", int, str], None]
"""Told a sample, the number of the try, and each piece of its text as it is settled."""


@dataclass(frozen=True)
class Sample:
    """One of the texts that a prompt is to get."""

    prompt: Prompt
    number: int
    begin: str = ""  # of the text: its first words, which the model goes on from

    @property
    def id(self) -> str:
        """No other sample's."""
        return f"{self.prompt.id}-{self.number}"

    @property
    def asked(self) -> str:
        """What the model continues."""
        return self.prompt.text + self.begin

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
"""Samples, and the number of the try, into the text of each behind its begin, as it is finished, and what its row says beside.

What writes a sample in another way than by one draw (the best of several candidates, the parts of a plan) is one as well."""


@dataclass(frozen=True)
class Judged:
    """A row, and what the rules say of it."""

    sample: Sample
    row: Row  # id, prompt, (begin), text, (raw, edits), tokens, finish, seed, (try), and where it comes from
    reason: Row | None  # why it was rejected
    final: bool  # whether nothing more is drawn for the sample


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
            row: Row = {"id": sample.id, "prompt": sample.prompt.text} | ({"begin": sample.begin} if sample.begin else {})
            if isinstance(title := sample.prompt.fields.get("title"), str) and title.strip():
                row["title"] = title  # what is exported bears it
            row |= {"text": sample.begin + drawn.text, "tokens": drawn.tokens}
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
