"""The training and validation splits into packed batches, by templates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from aigc.core.batches.packing import Accounting, Packed, pack
from aigc.core.batches.shards import Example, Shards, write_shards
from aigc.core.documents.tables import read_tables
from aigc.core.documents.template import MissingField, fill
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Corpus", "examples", "load_corpus", "parameters_of"]


@dataclass(frozen=True)
class Corpus:
    """The training and validation splits, packed."""

    training: Packed
    validation: Packed
    accounting: Accounting  # of the training split
    validation_accounting: Accounting
    validation_bytes: int | None  # of the texts that are learned; None where some are not learned whole


def examples(tables: Sequence[Path], completion: str, prompt: str = "") -> Iterator[list[Example]]:
    """Documents into what is read (prompt) and what is learned (completion), by templates.

    Raises:
        AigcError: a template names a field that the documents do not have.
    """
    for frame in read_tables(tables):
        try:
            yield [Example(fill(completion, row), fill(prompt, row)) for row in frame.iter_rows(named=True)]
        except MissingField as error:
            raise AigcError(f"{tables[0].parent}: {error}") from None


def load_corpus(
    split: Path,
    work: Path,
    codec: TextCodec,
    *,
    templates: tuple[str, str],
    whole: bool,
    context: int,
    batch_size: int,
    seed: int,
) -> Corpus:
    """Tokenise the splits to disk and pack them.

    Args:
        split: the split stage's folder.
        work: where token shards go.
        templates: of the completion and of the prompt.
        whole: whether prompt and completion must stay in one row.

    Raises:
        AigcError: there is nothing to learn, or a field is missing.
    """
    shards: dict[str, Shards] = {}
    for part in ("train", "validation"):
        tables = sorted(split.glob(f"{part}-*.parquet"))
        shards[part] = write_shards(work / part, examples(tables, *templates), codec)
    training, accounting = pack(shards["train"], context=context, batch_size=batch_size, seed=seed, whole=whole)
    validation, seen = pack(shards["validation"], context=context, batch_size=batch_size, seed=None, whole=whole)
    for name, one in (("training", accounting), ("validation", seen)):
        if one.label_tokens <= 0:
            raise AigcError(
                f"{split}: no token of the {name} split can be learned ({one.documents} documents, {one.dropped} dropped)"
            )
    text_bytes = None if seen.truncated or seen.dropped else shards["validation"].text_bytes
    return Corpus(training, validation, accounting, seen, text_bytes)


def parameters_of(model: PreTrainedModel) -> int:
    """How many numbers are trained; tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
