"""Apply a list of rules to a batch of documents: which stay, how they changed, and a ledger row for every decision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from aigc.core.rules import ledger
from aigc.core.rules.facts import FACTS, facts
from aigc.core.rules.rule import LANGUAGE, Duplicates, Edit, Measure, Memory, Rule, Surveyor
from aigc.core.rules.table import name_of
from aigc.errors import AigcError

__all__ = ["Finding", "Outcome", "Seen", "Step", "apply", "language_of", "measure"]

Finding = Callable[[Rule, pl.DataFrame], pl.DataFrame]
"""What the whole corpus says about a rule that is a Surveyor, for a batch. For a duplicates rule: the columns keeper and
similarity, a row for each document, null where it repeats none."""


@dataclass(frozen=True)
class Step:
    """What one rule did to a batch."""

    rule: Rule
    seen: pl.DataFrame  # the documents before it
    hit: pl.Series  # which of them it changed, marked or dropped
    after: pl.Series | None = None  # an edit's new texts
    values: pl.Series | None = None  # a measure's numbers
    bounds: pl.Series | None = None  # the bound that each breaks
    details: pl.Series | None = None  # what a measure says of those that were hit, in words
    found: pl.DataFrame | None = None  # a duplicates rule's keeper and similarity


@dataclass(frozen=True)
class Outcome:
    """What became of a batch. Every document is either in `kept` or in `dropped`."""

    kept: pl.DataFrame
    dropped: pl.DataFrame  # as the documents stood when a rule dropped them
    ledger: pl.DataFrame  # edited, marked and dropped rows; what was kept to the end is for the caller to say
    steps: list[Step]


def language_of(texts: pl.Series) -> pl.Series:
    """zh or en, by the script of the first 400 characters: see LANGUAGE."""
    return facts(texts.str.head(400), ("han", "letters")).with_columns(LANGUAGE.alias("language"))["language"]


def apply(documents: pl.DataFrame, rules: Sequence[Rule], finding: Finding | None = None) -> Outcome:
    """Run the rules in order; a document that one rule drops is not seen by the next.

    Args:
        documents: columns id, text (never null) and any others.
        rules: edits, measures and duplicates.
        finding: who knows the whole corpus; needed where a rule is a Surveyor.

    Raises:
        AigcError: a measure reads a column that the documents do not have.
    """
    dropped: list[pl.DataFrame] = [documents.clear()]
    entries: list[pl.DataFrame] = [ledger.rows([], "dropped")]
    steps: list[Step] = []

    def known(rule: Rule) -> pl.DataFrame:
        assert finding is not None, f"{name_of(rule)} must know the whole corpus"
        return finding(rule, documents)

    for is_measure, group in groupby(rules, key=lambda rule: isinstance(rule, Measure)):
        if is_measure:
            new = _measured(documents, list(group), known)  # type: ignore[arg-type]
        else:
            new = []
            for rule in group:
                step = _edited(documents, rule, known) if isinstance(rule, Edit) else _duplicates(documents, rule, known)
                new.append(step)
                documents = _left(step)
        for step in new:
            if step.hit.any():
                entries.append(_entries(step))
            if not isinstance(step.rule, Edit) and getattr(step.rule, "drop", True):
                dropped.append(step.seen.filter(step.hit))
        if is_measure:
            documents = _left(new[-1])
        steps += new
    return Outcome(documents, pl.concat(dropped, how="diagonal"), pl.concat(entries), steps)


def _left(step: Step) -> pl.DataFrame:
    """The documents after a step."""
    if step.after is not None:
        return step.seen.with_columns(text=step.after)
    documents = step.seen
    if isinstance(step.rule, Duplicates):
        assert step.found is not None
        if step.rule.clusters or (step.rule.inside and not step.rule.drop):
            known = documents["cluster"].cast(pl.String) if "cluster" in documents.columns else documents["id"]
            documents = documents.with_columns(cluster=pl.coalesce(step.found["keeper"], known, documents["id"]))
        if not step.rule.drop:
            return documents
    return documents.filter(~step.hit)


def _entries(step: Step) -> pl.DataFrame:
    ids = step.seen["id"].filter(step.hit)
    name = name_of(step.rule)
    if step.after is not None:
        return ledger.rows(ids, "edited", rule=name)
    if step.values is not None and step.bounds is not None:
        values, bounds = step.values.filter(step.hit), step.bounds.filter(step.hit)
        return ledger.rows(ids, "dropped", rule=name, value=values, bound=bounds, detail=step.details)
    assert step.found is not None
    found = step.found.filter(step.hit)
    verdict = "dropped" if getattr(step.rule, "drop", True) else "marked"
    return ledger.rows(ids, verdict, rule=name, keeper=found["keeper"], similarity=found["similarity"])


def _edited(documents: pl.DataFrame, rule: Edit, known: Callable[[Rule], pl.DataFrame]) -> Step:
    text = rule.by(known(rule)) if isinstance(rule, Surveyor) else rule.text()
    after = documents.select(text.alias("text"))["text"]
    return Step(rule, documents, after != documents["text"], after=after)


def _duplicates(documents: pl.DataFrame, rule: Rule, known: Callable[[Rule], pl.DataFrame]) -> Step:
    found = known(rule)
    return Step(rule, documents, found["keeper"].is_not_null(), found=found)


def _measured(documents: pl.DataFrame, rules: Sequence[Measure], known: Callable[[Rule], pl.DataFrame]) -> list[Step]:
    """Neighbouring measures are taken together, on what they all see; the first bound that is broken is the reason."""
    expressions = {f"{i}": rule.by(known(rule)) if isinstance(rule, Surveyor) else rule.value() for i, rule in enumerate(rules)}
    broken = {name: rule.broken_bound(pl.col(f"value {name}")) for name, rule in zip(expressions, rules, strict=True)}
    needed = {name for e in [*expressions.values(), *broken.values()] for name in e.meta.root_names()} & set(FACTS)
    more = {name: counter for rule in rules for name, counter in rule.counters().items()}
    counted = _read(documents, rules).hstack(facts(documents["text"], sorted(needed), more))
    values = counted.with_columns(expression.cast(pl.Float64).alias(f"value {name}") for name, expression in expressions.items())
    bounds = values.with_columns(expression.alias(name) for name, expression in broken.items())
    steps = []
    alive = pl.repeat(True, len(documents), dtype=pl.Boolean, eager=True)
    for name, rule in zip(expressions, rules, strict=True):
        seen = documents.filter(alive)
        bound = bounds[name].filter(alive)
        hit = bound.is_not_null()
        detail = rule.detail()
        details = None if detail is None else counted.filter(alive).filter(hit).select(detail.alias("detail"))["detail"]
        steps.append(Step(rule, seen, hit, values=values[f"value {name}"].filter(alive), bounds=bound, details=details))
        alive &= bounds[name].is_null()
    return steps


def _read(documents: pl.DataFrame, rules: Sequence[Measure]) -> pl.DataFrame:
    """The text, and those columns that the measures read, under the names that `rule.column` gives them."""
    owners = {name: rule for rule in rules for name in rule.columns()}
    for name, rule in owners.items():
        if name not in documents.columns:
            others = [one for one in documents.columns if one != "text" and ":" not in one]
            raise AigcError(f"{name_of(rule)} needs the field {name!r}; fields found: {', '.join(others)}")
    return documents.select("text", *(pl.col(name).alias(f"column {name}") for name in owners))


def measure(texts: pl.Series, rule: Measure) -> pl.Series:
    """A measure's number for each text, whatever its bounds."""
    documents = pl.DataFrame({"text": texts})
    (step,) = _measured(documents, [rule], lambda _: pl.DataFrame())
    assert step.values is not None
    return step.values


class Seen:
    """What is known of samples, which arrive one by one: each that repeats an earlier one is found; the first stays."""

    def __init__(self) -> None:
        self._memories: dict[tuple[str, str], Memory] = {}

    def __call__(self, rule: Rule, documents: pl.DataFrame) -> pl.DataFrame:
        """See Finding."""
        assert isinstance(rule, Duplicates)
        key = name_of(rule), rule.model_dump_json()
        if key not in self._memories:
            self._memories[key] = rule.memory()
        return self._memories[key](documents)
