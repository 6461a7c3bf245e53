"""Apply a list of rules to a batch of documents: which stay, how they changed, and a ledger row for every decision."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from aigc.core.rules import ledger
from aigc.core.rules.rule import TEXT, Duplicates, Edit, Measure, Rule
from aigc.core.rules.table import name_of

__all__ = ["FindKeepers", "Outcome", "Seen", "apply"]

FindKeepers = Callable[[Duplicates, pl.DataFrame], pl.Series]
"""A duplicates rule and a batch into the id of the document that each repeats, null where it repeats none."""


@dataclass(frozen=True)
class Outcome:
    """What became of a batch. Every document is either in `kept` or in `dropped`."""

    kept: pl.DataFrame
    dropped: pl.DataFrame  # as the documents stood when a rule dropped them
    ledger: pl.DataFrame  # edited and dropped rows; what was kept to the end is for the caller to say


def apply(documents: pl.DataFrame, rules: Sequence[Rule], find_keepers: FindKeepers | None = None) -> Outcome:
    """Run the rules in order; a document that one rule drops is not seen by the next.

    Args:
        documents: columns id, text (never null) and any others.
        rules: edits, measures and duplicates.
        find_keepers: who finds what a document repeats; needed where a rule is a duplicates rule.
    """
    dropped: list[pl.DataFrame] = [documents.clear()]
    entries: list[pl.DataFrame] = [ledger.rows([], "dropped")]
    for is_measure, group in groupby(rules, key=lambda rule: isinstance(rule, Measure)):
        if is_measure:
            documents = _measured(documents, list(group), dropped, entries)  # type: ignore[arg-type]
            continue
        for rule in group:
            if isinstance(rule, Edit):
                documents = _edited(documents, rule, entries)
            elif isinstance(rule, Duplicates):
                assert find_keepers is not None, "a duplicates rule needs somebody who finds keepers"
                keeper = find_keepers(rule, documents)
                repeats = keeper.is_not_null()
                gone = documents.filter(repeats)
                entries.append(ledger.rows(gone["id"], "dropped", rule=name_of(rule), keeper=keeper.filter(repeats)))
                dropped.append(gone)
                documents = documents.filter(~repeats)
    return Outcome(documents, pl.concat(dropped), pl.concat(entries))


def _edited(documents: pl.DataFrame, rule: Edit, entries: list[pl.DataFrame]) -> pl.DataFrame:
    after = documents.with_columns(text=rule.text())
    changed = after["text"] != documents["text"]
    entries.append(ledger.rows(documents["id"].filter(changed), "edited", rule=name_of(rule)))
    return after


def _measured(
    documents: pl.DataFrame, rules: Sequence[Measure], dropped: list[pl.DataFrame], entries: list[pl.DataFrame]
) -> pl.DataFrame:
    """Neighbouring measures are taken together, in parallel; the first bound that is broken is the reason."""
    values = documents.select(TEXT, **{f"value {i}": rule.value().cast(pl.Float64) for i, rule in enumerate(rules)})
    bounds = values.select(**{f"{i}": rule.broken_bound(pl.col(f"value {i}")) for i, rule in enumerate(rules)})
    alive = pl.repeat(True, len(documents), dtype=pl.Boolean, eager=True)
    for i, rule in enumerate(rules):
        bound = bounds[f"{i}"]
        out = alive & bound.is_not_null()
        gone = documents.filter(out)
        entries.append(
            ledger.rows(
                gone["id"],
                "dropped",
                rule=name_of(rule),
                value=values[f"value {i}"].filter(out),
                bound=bound.filter(out),
            )
        )
        dropped.append(gone)
        alive &= ~out
    return documents.filter(alive)


class Seen:
    """Finds documents that repeat one of this batch or of an earlier one; the first stays. For samples, which arrive one by one."""

    def __init__(self) -> None:
        self._first: dict[type[Duplicates], dict[bytes, str]] = {}

    def __call__(self, rule: Duplicates, documents: pl.DataFrame) -> pl.Series:
        """See FindKeepers."""
        first = self._first.setdefault(type(rule), {})
        keys: Iterable[bytes] = documents.select(rule.key())[:, 0]
        found = [first.setdefault(key, name) for key, name in zip(keys, documents["id"], strict=True)]
        return pl.Series([None if keeper == name else keeper for keeper, name in zip(found, documents["id"], strict=True)],
                         dtype=pl.String)  # fmt: skip
