"""What each rule did, counted and with examples: from batches, added up, into the steps of a report."""

import hashlib
import heapq
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.apply import Step
from aigc.core.rules.rule import Duplicates, Edit, Measure, Rule, said
from aigc.core.rules.table import name_of

__all__ = ["LANGUAGES", "StepCount", "count_step", "examples_of", "order_of"]

LANGUAGES = ("en", "zh")
EXAMPLES = 3
CUT = 2000  # characters of an example

Example = dict[str, Any]


@lru_cache
def edges_of(scale: Literal["share", "count", "ratio"]) -> npt.NDArray[np.float64]:
    """Borders of a histogram's bins; values below and above belong to the first and the last bin."""
    if scale == "share":
        return np.linspace(0, 1, 51)
    if scale == "ratio":
        return np.concatenate([np.linspace(0, 20, 81), [25, 30, 40, 50, 75, 100, 200]])
    halves = [base * factor for power in range(2, 30) for base, factor in ((2**power, 1.0), (2**power, 1.5))]
    return np.array([0, 1, 2, 3, *halves])


@dataclass
class StepCount:
    """Counts of one rule, by language; two of them can be added up."""

    seen: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    histogram: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    examples: list[tuple[bytes, Example]] = field(default_factory=list)  # those with the smallest hashes of their ids

    def add(self, other: "StepCount") -> None:
        """Take another batch in."""
        self.seen += other.seen
        self.hit += other.hit
        for language, counts in other.histogram.items():
            self.histogram[language] = self.histogram.get(language, 0) + counts
        self.examples = sorted([*self.examples, *other.examples], key=lambda one: one[0])[:EXAMPLES]

    def told(self, rule: Rule) -> dict[str, Any]:
        """The step as report.json has it."""
        out: dict[str, Any] = {
            "rule": name_of(rule),
            "kind": "edit" if isinstance(rule, Edit) else "measure" if isinstance(rule, Measure) else "duplicates",
            "preset": rule.preset,
            "seen": self.seen.total(),
            _verb(rule): {language: self.hit[language] for language in LANGUAGES},
            "examples": [example for _, example in self.examples],
        }
        if isinstance(rule, Measure):
            out["bounds"] = [said(*bound) for bound in rule.bounds()]
            out["whole"] = rule.scale == "count"
            out["histogram"] = _trimmed(edges_of(rule.scale), self.histogram)
        return out


def _verb(rule: Rule) -> str:
    if isinstance(rule, Edit):
        return "edited"
    return "marked" if isinstance(rule, Duplicates) and not rule.drop else "dropped"


def _trimmed(edges: npt.NDArray[np.float64], histogram: dict[str, npt.NDArray[np.int64]]) -> dict[str, Any]:
    filled = np.flatnonzero(sum(histogram.values(), start=np.zeros(len(edges) - 1, np.int64)))
    if not len(filled):
        return {}
    first, last = int(filled[0]), int(filled[-1]) + 1
    return {
        language: {"edges": edges[first : last + 1].tolist(), "counts": counts[first:last].tolist()}
        for language, counts in sorted(histogram.items())
    }


def count_step(step: Step, language: pl.Series) -> StepCount:
    """Count what a rule did to a batch.

    Args:
        language: en or zh for each document that the rule saw.
    """
    count = StepCount(seen=Counter(language.to_list()), hit=Counter(language.filter(step.hit).to_list()))
    if step.values is not None and isinstance(step.rule, Measure):
        edges = edges_of(step.rule.scale)
        for name in LANGUAGES:
            values = step.values.filter(language == name).to_numpy()
            if len(values):
                bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
                count.histogram[name] = np.bincount(bins, minlength=len(edges) - 1)
    count.examples = examples_of(step)
    return count


def order_of(name: str) -> bytes:
    """What decides which documents are shown as examples: the same whatever the batches."""
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def examples_of(step: Step) -> list[tuple[bytes, Example]]:
    """A few documents that the rule changed or dropped, the same whatever the batches."""
    rows = step.hit.arg_true().to_list()
    ids = step.seen["id"]
    chosen = heapq.nsmallest(EXAMPLES, ((order_of(ids[row]), row) for row in rows))
    return [(key, _example(step, row)) for key, row in chosen]


def _example(step: Step, row: int) -> Example:
    text = step.seen["text"][row]
    example: Example = {"id": step.seen["id"][row]}
    if step.after is not None:
        after = step.after[row]
        start = max(_first_difference(text, after) - 80, 0)
        return example | {"before": text[start : start + CUT], "after": after[start : start + CUT]}
    example["text"] = text[:CUT]
    if step.values is not None and step.bounds is not None:
        return example | {"value": step.values[row], "bound": step.bounds[row]}
    if step.found is not None and isinstance(step.rule, Duplicates):
        return example | {"keeper": step.found["keeper"][row], "similarity": step.found["similarity"][row]}
    return example


def _first_difference(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
