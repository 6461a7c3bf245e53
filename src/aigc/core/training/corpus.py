"""The training and validation splits into streams of batches, by templates and an objective."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Example, Shards, write_shards
from aigc.core.batches.stream import Accounting, Corpus, Stream
from aigc.core.documents.tables import read_tables
from aigc.core.documents.template import MissingField, fields_of, fill
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.units import marks_of
from aigc.errors import AigcError

__all__ = ["Advance", "Mixture", "Recipe", "TrainingData", "examples", "load", "texts"]

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Mixture:
    """Which share of the tokens comes from which class of documents."""

    by: str  # a column
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Recipe:
    """How documents become batches."""

    completion: str  # template of what is learned
    prompt: str  # template of what is read before it
    objective: Objective
    whole: bool  # whether prompt and completion must stay in one piece
    context: int  # most tokens of a sample
    rows: int  # of so many tokens, that a batch holds
    seed: int
    mixture: Mixture | None = None


@dataclass(frozen=True)
class TrainingData:
    """The training and validation splits as streams."""

    training: Stream
    validation: Stream
    accounting: Accounting  # of the training split
    validation_accounting: Accounting
    byte_lengths: NDArray[np.int64]  # (V,) of the text that each token stands for
    names: Callable[[Sequence[int]], list[str]]  # documents of training batches into their ids


def load(split: Path, work: Path, codec: TextCodec, recipe: Recipe, advance: Advance = lambda _: None) -> TrainingData:
    """Tokenise the splits to disk, unless they lie there, and stream them.

    Args:
        split: the split stage's folder.
        work: where token shards go.
        advance: told how many documents more are tokenised.

    Raises:
        AigcError: there is nothing to learn, or a field is missing.
    """
    parts = {part: sorted(split.glob(f"{part}-*.parquet")) for part in ("train", "validation")}
    training = _stream(_corpora(parts["train"], work / "train", codec, recipe, advance), codec, recipe)
    plain = replace(recipe, mixture=None)
    validation = _stream(_corpora(parts["validation"], work / "validation", codec, plain, advance), codec, recipe)

    def accounted(name: str, stream: Stream) -> Accounting:
        if not sum(len(corpus.pieces) for corpus in stream.corpora):
            documents = sum(corpus.pieces.shards.documents for corpus in stream.corpora)
            raise AigcError(f"{split}: nothing of the {name} split can be learned ({documents} documents)")
        found = stream.accounting()
        if not found.label_share:
            raise AigcError(f"{split}: no token of the {name} split is learned: every label is masked; look at the templates")
        return found

    def names(documents: Sequence[int]) -> list[str]:
        rows = set(training.rows(np.array(documents)))
        found = []
        first = 0
        for frame in read_tables(parts["train"], ["id"]):
            found += [frame["id"][row - first] for row in sorted(rows) if first <= row < first + len(frame)]
            first += len(frame)
        return found

    return TrainingData(
        training=training,
        validation=validation,
        accounting=accounted("training", training),
        validation_accounting=accounted("validation", validation),
        byte_lengths=codec.byte_lengths,
        names=names,
    )


def _corpora(tables: Sequence[Path], work: Path, codec: TextCodec, recipe: Recipe, advance: Advance) -> list[tuple[Shards, float]]:
    mixture = recipe.mixture
    marks = None if recipe.objective.marks is None else marks_of(recipe.objective.marks)
    if mixture is None:
        return [(write_shards(work, examples(tables, recipe.completion, recipe.prompt), codec, marks, advance=advance), 1.0)]
    known = sorted({str(value) for frame in read_tables(tables) for value in _column(frame, mixture.by).unique()})
    if unknown := sorted(set(mixture.weights) ^ set(known)):
        where = "is in the documents, but has no weight" if unknown[0] in known else "has a weight, but no documents"
        raise AigcError(f"mixture: {unknown[0]!r} {where}; {mixture.by} has {', '.join(known)}")
    parts = []
    for number, (name, weight) in enumerate(mixture.weights.items()):
        if weight:
            some = examples(tables, recipe.completion, recipe.prompt, only=(mixture.by, name))
            parts.append((write_shards(work / str(number), some, codec, marks, advance=advance), weight))
    return parts


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise AigcError(f"mixture.by: the documents have no column {name!r}; columns found: {', '.join(frame.columns)}")
    return frame[name].cast(pl.String).fill_null("")


def _stream(shards: Sequence[tuple[Shards, float]], codec: TextCodec, recipe: Recipe) -> Stream:
    objective = recipe.objective
    content = objective.content(recipe.context)
    pieces = [Pieces.of(one, content=content, overlap=objective.overlap, whole=recipe.whole) for one, _ in shards]
    corpora = [Corpus(part, weight) for part, (_, weight) in zip(pieces, shards, strict=True) if len(part)]
    return Stream.of(
        corpora or [Corpus(part, 1.0) for part in pieces],
        objective,
        context=recipe.context,
        rows=recipe.rows,
        pad=codec.pad,
        seed=recipe.seed,
    )


def examples(
    tables: Sequence[Path], completion: str, prompt: str = "", only: tuple[str, str] | None = None
) -> Iterator[list[Example]]:
    """Documents into what is read (prompt) and what is learned (completion), by templates.

    Args:
        only: a column and the value that a document must have there.

    Raises:
        AigcError: a template names a field that the documents do not have.
    """
    first = 0
    for frame in read_tables(tables):
        chosen = frame.with_row_index("\0row", first)
        first += len(frame)
        if only is not None:
            chosen = chosen.filter(_column(frame, only[0]) == only[1])
        try:
            parts = [_filled(chosen, template) for template in (completion, prompt)]
        except MissingField as error:
            raise AigcError(f"{tables[0].parent}: {error}") from None
        yield [Example(text, before, row) for text, before, row in zip(*parts, chosen["\0row"].to_list(), strict=True)]


def texts(tables: Sequence[Path], completion: str) -> Iterator[str]:
    """What is learned of each document, for training a tokenizer."""
    return (example.completion for batch in examples(tables, completion) for example in batch)


def _filled(frame: pl.DataFrame, template: str) -> list[str]:
    """A template filled from each row; one that is a column of text and nothing else is taken as it is."""
    if (fields := fields_of(template)) == [template[1:-1]] and frame.schema.get(fields[0]) == pl.String:
        return frame[fields[0]].fill_null("").to_list()
    return [fill(template, row) for row in frame.drop("\0row").iter_rows(named=True)]
