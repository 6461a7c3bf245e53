"""`aigc check`: open the inputs and print the plan; nothing is written."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from aigc import console, lineage, runs
from aigc.core.documents.files import STDIN
from aigc.core.documents.reading import Batch, Failure, Reader
from aigc.core.documents.template import MissingField, needed_fields
from aigc.core.generation.prompts import BadPrompt, read_prompts
from aigc.errors import AigcError
from aigc.planning import plan
from aigc.schema import SECTIONS, Finetune, Generate, Project, Training

__all__ = ["run"]

SAMPLE = 2000  # documents that are looked at


def run(project: Project, *, measure: bool = False) -> None:
    """Look at every stage that the file has.

    Args:
        measure: take a few steps of training, and tell how long the whole will take.

    Raises:
        AigcError: a stage could not work; each reason is on a line of its own.
    """
    problems: list[str] = []
    sample = _look_at_input(project, problems)
    fields = set(sample.columns) if sample is not None else None
    planned: list[tuple[str, list[tuple[str, str]]]] = []
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
            lacking = list(_missing(name, _templates(section), fields))
            problems += lacking
            try:
                planned += [] if lacking else [(name, plan(project, name, sample, measure=measure))]
            except AigcError as error:
                problems.append(str(error))
        if isinstance(section, Generate):
            problems += _bad_prompts(section)
        if not sources.files and not sources.stages and name != "clean":
            problems.append(f"{name}: has nothing to read")
    for name, lines in planned:
        console.table(f"{name}: the plan", ["", ""], lines)
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
    given = [section.document]
    if isinstance(section, Finetune):
        given += [section.prompt or "", section.completion or "", f"{{{section.label}}}" if section.label else ""]
    return [template for template in given if template]


def _missing(name: str, templates: list[str], fields: set[str] | None) -> Iterator[str]:
    if fields is not None:
        for field in dict.fromkeys(field for template in templates for field in needed_fields(template)):
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
            if missing := [name for name in needed_fields(section.begin) if name not in prompt.fields]:
                yield f"generate: {prompt.origin}: generate.begin: {MissingField(missing[0], prompt.fields)}"
                return
    except AigcError:
        return  # told with the sources


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
