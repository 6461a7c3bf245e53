"""One batch of documents through the rules of one pass: a file into a file, with its ledger and its survey for the next pass."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aigc.core.rules.apply import apply, language_of
from aigc.core.rules.rule import Rule, Surveyor
from aigc.core.rules.steps import StepCount, count_step

__all__ = ["LANGUAGE_COLUMN", "Done", "Task", "work"]

LANGUAGE_COLUMN = "aigc:language"  # by script, as the document was read; taken off before the documents are written


@dataclass(frozen=True)
class Task:
    """A batch and what to do with it. All paths lie in the stage's folder, which every worker sees."""

    source: Path  # documents, as Arrow IPC
    target: Path  # documents that stay; beside it .ledger and .survey
    rules: tuple[Rule, ...]
    finding: pl.DataFrame | None  # what the corpus says about the first rule
    surveyor: Surveyor | None  # the first rule of the next pass


@dataclass(frozen=True)
class Done:
    """A batch that has been worked on."""

    target: Path
    rows: int
    characters: int
    languages: dict[str, int]
    steps: list[StepCount]
    schema: dict[str, pl.DataType]


def work(task: Task) -> Done:
    """Do a task."""
    documents = pl.read_ipc(task.source)
    if LANGUAGE_COLUMN not in documents.columns:
        documents = documents.with_columns(language_of(documents["text"]).alias(LANGUAGE_COLUMN))
    languages = dict(documents[LANGUAGE_COLUMN].value_counts().iter_rows())

    def finding(_rule: Rule, _documents: pl.DataFrame) -> pl.DataFrame:
        assert task.finding is not None
        return task.finding

    outcome = apply(documents, task.rules, finding)
    kept = outcome.kept
    kept.write_ipc(task.target, compression="uncompressed")
    outcome.ledger.write_ipc(task.target.with_suffix(".ledger"), compression="uncompressed")
    if task.surveyor is not None:
        task.surveyor.survey(kept).write_ipc(task.target.with_suffix(".survey"), compression="uncompressed")
    return Done(
        task.target,
        len(kept),
        int(kept["text"].str.len_chars().sum()),
        languages,
        [count_step(step, step.seen[LANGUAGE_COLUMN]) for step in outcome.steps],
        dict(kept.schema),
    )
