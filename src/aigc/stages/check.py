"""`aigc check`: open the inputs and print the plan; nothing is written."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from aigc import console, lineage, runs
from aigc.core.documents.files import STDIN
from aigc.core.documents.reading import Batch, Failure, Reader
from aigc.core.documents.template import fields_of
from aigc.core.generation.prompts import BadPrompt, read_prompts
from aigc.core.model.size import parameters, training_bytes
from aigc.errors import AigcError
from aigc.schema import SECTIONS, Generate, Pretrain, Project, Training

__all__ = ["run"]

SAMPLE = 2000  # documents that are looked at
BYTES_PER_TOKEN = {"en": 4.0, "zh": 3.2}  # of byte-level BPE, for an estimate before a tokenizer exists


def run(project: Project) -> None:
    """Look at every stage that the file has.

    Raises:
        AigcError: a stage could not work; each reason is on a line of its own.
    """
    problems: list[str] = []
    sample = _look_at_input(project, problems)
    fields = set(sample.columns) if sample is not None else None
    plan: list[tuple[str, str]] = []
    for name in SECTIONS:
        section = getattr(project, name)
        if section is None:
            continue
        try:
            sources = lineage.sources(project, name)
        except AigcError as error:
            if name != "clean":  # told already
                problems.append(str(error))
            continue
        if isinstance(section, Training):
            problems += _missing(name, _templates(section), fields)
            plan.append((name, _training_plan(section, sample)))
        if isinstance(section, Generate):
            problems += _bad_prompts(section)
        if not sources.files and not sources.stages and name != "clean":
            problems.append(f"{name}: has nothing to read")
    for name, text in plan:
        console.note(f"{name}: {text}")
    _show_state(project)
    if problems:
        raise AigcError("\n".join(problems))
    console.note("nothing stands in the way")


def _look_at_input(project: Project, problems: list[str]) -> pl.DataFrame | None:
    """Read the first documents of the input, and say what they are."""
    section = project.clean
    if section is None:
        return None
    try:
        sources = lineage.sources(project, "clean")
        if STDIN in sources.files:
            return None
        reader = Reader(
            text_field=section.text_field,
            id_field=section.id_field,
            encoding=section.encoding,
            txt_documents=section.txt_documents,
        )
        batches, failures = _first(reader, list(sources.files))
    except AigcError as error:
        problems.append(str(error))
        return None
    size = sum(path.stat().st_size for path in sources.files if path.is_file())
    documents = pl.concat([batch.documents for batch in batches], how="diagonal_relaxed") if batches else pl.DataFrame()
    rows = len(documents) + len(failures)
    console.note(f"clean: {len(sources.files):,} files, {size / 1e6:,.1f} MB; looked at the first {rows:,} rows")
    if failures and len(failures) > section.max_failed * rows:
        problems.append(f"{failures[0].origin}: {failures[0].reason}; {len(failures):,} of {rows:,} rows are broken")
    if not len(documents):
        problems.append("clean.input: no documents")
        return None
    lines = []
    for name, kind in documents.schema.items():
        column = documents[name]
        example = str(next((value for value in column if value is not None), "")).replace("\n", " ")
        lines.append((name, str(kind), f"{1 - column.null_count() / len(column):.0%}", example[:40]))
    console.table("columns", ["column", "type", "filled", "for example"], lines)
    return documents


def _first(reader: Reader, paths: list[Path]) -> tuple[list[Batch], list[Failure]]:
    batches: list[Batch] = []
    for path in paths:
        for batch in reader.read(path):
            batches.append(batch)
            if sum(batch.rows for batch in batches) >= SAMPLE:
                break
        else:
            continue
        break
    return batches, [failure for batch in batches for failure in batch.failures]


def _templates(section: Training) -> list[str]:
    if getattr(section, "task", None) == "instruct":
        return [section.prompt, section.completion]  # type: ignore[attr-defined]
    return [section.document]


def _missing(name: str, templates: list[str], fields: set[str] | None) -> Iterator[str]:
    if fields is not None:
        for field in dict.fromkeys(field for template in templates for field in fields_of(template)):
            if field not in fields:
                yield f"{name}: its template needs the column {field!r}; columns found: {', '.join(sorted(fields))}"


def _bad_prompts(section: Generate) -> Iterator[str]:
    if section.prompts == "-":
        return
    try:
        for prompt in islice(read_prompts(section.prompts, section.prompt), SAMPLE):
            if isinstance(prompt, BadPrompt):
                yield f"generate: {prompt.origin}: {prompt.reason}"
                return
    except AigcError:
        return  # told with the sources


def _training_plan(section: Training, sample: pl.DataFrame | None) -> str:
    parts = []
    tokens_in_step = section.batch_size * section.accumulate * section.context
    if isinstance(section, Pretrain):
        numbers = {
            "layers": section.model.layers,
            "width": section.model.width,
            "vocabulary": section.tokenizer.vocabulary,
        }
        count = parameters(section.model.family, **numbers, context=section.context)
        memory = training_bytes(count, rows=section.batch_size, context=section.context, **numbers)
        parts.append(f"{count:,} parameters, about {memory / 1e9:.1f} GB of memory for a step")
    if section.steps:
        parts.append(f"{section.steps:,} steps of {tokens_in_step:,} tokens")
    else:
        parts.append(f"{section.epochs:g} epochs in steps of {tokens_in_step:,} tokens")
    if sample is not None:
        lengths = _token_lengths(sample)
        quantiles = [int(lengths.quantile(q) or 0) for q in (0.1, 0.5, 0.9)]
        longer = int((lengths > section.context).sum()) / len(lengths)
        parts.append(f"documents of about {quantiles[0]:,} / {quantiles[1]:,} / {quantiles[2]:,} tokens (10 / 50 / 90 %), "
                     f"{longer:.1%} longer than the context of {section.context}")  # fmt: skip
    return "; ".join(parts)


def _token_lengths(sample: pl.DataFrame) -> pl.Series:
    han = pl.col("text").str.count_matches(r"\p{Han}")
    size = pl.col("text").str.len_bytes()
    rate = pl.when(3 * han > size / 2).then(BYTES_PER_TOKEN["zh"]).otherwise(BYTES_PER_TOKEN["en"])
    return sample.select(size / rate)[:, 0]


def _show_state(project: Project) -> None:
    lines = []
    for name in SECTIONS:
        if getattr(project, name) is None:
            continue
        try:
            why = runs.why_not_current(project, name, lineage.sources(project, name))
        except AigcError as error:
            why = str(error)
        lines.append((name, "up to date" if why is None else f"to run: {why}"))
    console.table(f"state of {runs.root(project)}", ["stage", ""], lines)
