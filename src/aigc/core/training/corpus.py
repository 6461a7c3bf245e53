"""The training and validation splits into streams of batches, by a reader of their rows and an objective."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aigc.core.batches.example import Example, Reader
from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards, write_shards
from aigc.core.batches.stream import Accounting, Corpus, Stream
from aigc.core.documents.tables import read_tables
from aigc.core.documents.template import MissingField, fields_of, fill
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.units import marks_of
from aigc.errors import AigcError

__all__ = ["Advance", "Mixture", "Recipe", "TrainingData", "examples", "load", "load_part", "templates", "texts"]

Advance = Callable[[int], None]
LOOK = "look at the templates, or at what is read only"


@dataclass(frozen=True)
class Mixture:
    """Which share of the tokens comes from which class of documents."""

    by: str  # a column
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Recipe:
    """How documents become batches."""

    read: Reader  # rows into what is read and what is learned
    objective: Objective
    whole: bool  # whether a document must stay in one piece
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
        AigcError: there is nothing to learn, a field is missing, or a pair of completions does not fit into a batch.
    """
    parts = {part: sorted(split.glob(f"{part}-*.parquet")) for part in ("train", "validation")}
    training = _stream(_corpora(parts["train"], work / "train", codec, recipe, advance), codec, recipe)
    plain = replace(recipe, mixture=None)
    validation = _stream(_corpora(parts["validation"], work / "validation", codec, plain, advance), codec, recipe)

    def accounted(name: str, stream: Stream) -> Accounting:
        if not sum(len(corpus.pieces) for corpus in stream.corpora):
            raise _nothing(f"{split}: nothing of the {name} split can be learned", stream)
        found = stream.accounting()
        if not found.label_share and all(corpus.pieces.shards.targets is None for corpus in stream.corpora):
            raise AigcError(f"{split}: no token of the {name} split is learned: every label is masked; {LOOK}")
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


def load_part(split: Path, part: str, work: Path, codec: TextCodec, recipe: Recipe) -> Stream:
    """One part of a split, tokenised to disk, as a stream; the mixture of the recipe does not count.

    Args:
        part: train, validation or test.

    Raises:
        AigcError: there is no such part, or nothing of it can be learned.
    """
    tables = sorted(split.glob(f"{part}-*.parquet"))
    if not tables:
        raise AigcError(f"{split}: the split has no {part} part")
    stream = _stream(_corpora(tables, work, codec, replace(recipe, mixture=None), lambda _: None), codec, recipe)
    if not sum(len(corpus.pieces) for corpus in stream.corpora):
        raise _nothing(f"{split}: nothing of the {part} split can be told", stream)
    return stream


def _nothing(what: str, stream: Stream) -> AigcError:
    """Why there is nothing to learn."""
    shards = [corpus.pieces.shards for corpus in stream.corpora]
    documents = sum(one.documents + one.empty for one in shards)
    empty = sum(one.empty for one in shards)
    masked = sum(0 if one.firsts is None else int((one.firsts == one.lengths).sum()) for one in shards)
    if masked and masked + empty == documents:
        return AigcError(f"{what}: every label is masked ({documents} documents, {empty} of them empty); {LOOK}")
    return AigcError(f"{what} ({documents} documents{f', {empty} of them without a completion' if empty else ''})")


def _corpora(tables: Sequence[Path], work: Path, codec: TextCodec, recipe: Recipe, advance: Advance) -> list[tuple[Shards, float]]:
    mixture = recipe.mixture
    marks = None if recipe.objective.marks is None else marks_of(recipe.objective.marks)
    if mixture is None:
        return [(write_shards(work, examples(tables, recipe.read), codec, marks, advance=advance), 1.0)]
    known = sorted({str(value) for frame in read_tables(tables) for value in _column(frame, mixture.by).unique()})
    if unknown := sorted(set(mixture.weights) ^ set(known)):
        where = "is in the documents, but has no weight" if unknown[0] in known else "has a weight, but no documents"
        raise AigcError(f"mixture: {unknown[0]!r} {where}; {mixture.by} has {', '.join(known)}")
    parts = []
    for number, (name, weight) in enumerate(mixture.weights.items()):
        if weight:
            some = examples(tables, recipe.read, only=(mixture.by, name))
            parts.append((write_shards(work / str(number), some, codec, marks, advance=advance), weight))
    return parts


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise AigcError(f"mixture.by: the documents have no column {name!r}; columns found: {', '.join(frame.columns)}")
    return frame[name].cast(pl.String).fill_null("")


def _stream(shards: Sequence[tuple[Shards, float]], codec: TextCodec, recipe: Recipe) -> Stream:
    objective = recipe.objective
    content = objective.content(recipe.context)
    apart = isinstance(objective, SourceTarget)
    pieces = [Pieces.of(one, content=content, overlap=objective.overlap, whole=recipe.whole, apart=apart) for one, _ in shards]
    corpora = [Corpus(part, weight) for part, (_, weight) in zip(pieces, shards, strict=True) if len(part)]
    return Stream.of(
        corpora or [Corpus(part, 1.0) for part in pieces],
        objective,
        context=recipe.context,
        rows=recipe.rows,
        pad=codec.pad,
        seed=recipe.seed,
    )


def examples(tables: Sequence[Path], read: Reader, only: tuple[str, str] | None = None) -> Iterator[list[Example]]:
    """Documents into what is read and what is learned of them, each with the number of its row.

    Args:
        only: a column and the value that a document must have there.

    Raises:
        AigcError: a template names a field that the documents do not have.
    """
    first = 0
    for frame in read_tables(tables):
        rows = np.arange(first, first + len(frame))
        first += len(frame)
        if only is not None:
            chosen = _column(frame, only[0]) == only[1]
            frame, rows = frame.filter(chosen), rows[chosen.to_numpy()]
        try:
            found = read(frame)
        except MissingField as error:
            raise AigcError(f"{tables[0].parent}: {error}") from None
        yield [example.at(row) for example, row in zip(found, rows.tolist(), strict=True)]


def templates(completion: str, prompt: str = "") -> Reader:
    """A reader that fills a template of what is learned, and one of what is read before it.

    It raises MissingField where a template names a field that the documents do not have.
    """

    def read(frame: pl.DataFrame) -> list[Example]:
        return [Example(*parts) for parts in zip(_filled(frame, completion), _filled(frame, prompt), strict=True)]

    return read


def texts(tables: Sequence[Path], completion: str) -> Iterator[str]:
    """What is learned of each document, for training a tokenizer.

    Args:
        completion: a template.
    """
    return (example.completion for batch in examples(tables, templates(completion)) for example in batch)


def _filled(frame: pl.DataFrame, template: str) -> list[str]:
    """A template filled from each row; one that is a column of text and nothing else is taken as it is."""
    fields = fields_of(template)
    if fields == [template[1:-1]] and frame.schema.get(fields[0]) == pl.String:
        return frame[fields[0]].fill_null("").to_list()
    return [fill(template, row) for row in frame.iter_rows(named=True)] if fields else [fill(template, {})] * len(frame)
