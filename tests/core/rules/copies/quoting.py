"""The bundled corpus, cleaned, and an index of a part of it, for the tests of copies."""

from pathlib import Path

import polars as pl

from aigc.core.documents.files import expand
from aigc.core.documents.reading import Batch, Reader
from aigc.core.rules.copies.index import write_index
from aigc.core.rules.copies.lookup import Copies, open_copies
from aigc.core.rules.corpus import clean_corpus
from aigc.core.rules.table import rule_class

__all__ = ["bundled", "frame_of", "indexed", "is_chinese", "letters_in"]

RULES = {
    "repair_unicode": {},
    "html_to_text": {},
    "whitespace": {},
    "characters": {"min": 40},
    "stop_words": {"min": 2},
    "exact_duplicates": {},
    "near_duplicates": {"similarity": 0.5, "ngram": 3},
}


def frame_of(rows: list[tuple[str, str]], licence: str | None = "CC0") -> pl.DataFrame:
    """Rows (id, text) as documents to be indexed."""
    frame = pl.DataFrame(rows, schema={"id": pl.String, "text": pl.String}, orient="row")
    return frame.with_columns(licence=pl.lit(licence, pl.String))


def indexed(folder: Path, rows: list[tuple[str, str]], licence: str | None = "CC0") -> Copies:
    """An index of some rows, opened."""
    write_index([frame_of(rows, licence)], folder)
    return open_copies(folder)


def bundled(folder: Path) -> list[tuple[str, str]]:
    """Ids and texts of the bundled corpus, without noise and repeats."""
    frames = [batch.documents.select("id", "text") for path in expand(["samples:*.jsonl"]) for batch in Reader().read(path)]
    documents = pl.concat(frames).unique("id", maintain_order=True)
    rules = [rule_class(name).model_validate(parameters) for name, parameters in RULES.items()]
    folder.mkdir()
    batch = Batch(documents, pl.Series(["a"] * len(documents)), [])
    clean_corpus([batch], rules, folder=folder, max_failed=0)
    return list(pl.read_parquet(folder / "documents-*.parquet").select("id", "text").iter_rows())


def is_chinese(text: str) -> bool:
    """Whether most characters are Han."""
    return sum("\u4e00" <= char <= "\u9fff" for char in text) > len(text) / 2


def letters_in(text: str) -> list[str]:
    """Letters and digits of a text, in lower case: what of a copy no mark can change."""
    return [char for char in text.lower() if char.isalnum()]
