"""Rows of samples into what the rules say of them: their edited texts, and why some are rejected."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl

from aigc.core.rules.apply import Seen, Step, apply
from aigc.core.rules.diffs import diff
from aigc.core.rules.rule import Duplicates, Measure, Rule
from aigc.core.rules.table import name_of
from aigc.production.rowfile import Row

__all__ = ["MOST", "Judge"]

MOST = 64  # rows, at most, that are judged together


class Judge:
    """Rows into verdicts, by the rules and all rows before."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules, self._seen = rules, Seen()
        self.remembers = any(isinstance(rule, Duplicates) for rule in rules)
        self.columns = list(dict.fromkeys(name for rule in rules if isinstance(rule, Measure) for name in rule.columns()))
        """What the rules read beside the text: fields of the prompt, or keys of the row."""

    def prepare(self) -> None:
        """Load what the rules need, so that the first row need not wait for it.

        Raises:
            AigcError: something that a rule needs is not there.
        """
        Judge(self._rules)([{"id": "", "text": "Two words. 两句。"}], [{}])

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
    times: Counter[str] = Counter()
    for step in steps:
        if step.after is not None:
            rule = name_of(step.rule)
            times[rule] += 1
            key = rule if times[rule] == 1 else f"{rule} {times[rule]}"  # each time that it stands in the list
            hit = step.seen.with_columns(after=step.after).filter(step.hit).select("id", "text", "after")
            for name, before, after in hit.iter_rows():
                found.setdefault(name, {})[key] = [list(change) for change in diff(before, after)]
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
