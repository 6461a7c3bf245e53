"""Documents into an index of their passages on disk, and back: which documents hold a passage, and their texts.

Beside the documents (Arrow, zstd) it keeps sorted 64-bit hashes of passages, with the document and the place of each. There is no
Bloom filter before them: finding out that a hash is not there costs one binary search of a mapped file, so a filter would
add to the size and save no time. Nothing is believed of a hash; whoever reads the index compares the texts.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from aigc.core.documents.conversations import is_chat
from aigc.core.documents.engine import Engine, local
from aigc.core.documents.tables import read_tables
from aigc.core.rules.copies.letters import OVERLAP, PART, STRIDE, WINDOW, Letters, folded, letters, letters_of, parts
from aigc.core.rules.units import Hashes, Ints, spread
from aigc.errors import AigcError

__all__ = ["FACTS", "LEARNED", "Index", "Row", "Size", "training_texts", "write_index"]

FACTS = "index.json"
FORM = {"version": 1, "window": WINDOW, "stride": STRIDE, "part": PART, "overlap": OVERLAP}
LEARNED = ("text", "prompt", "completion", "instruction", "input", "output", "messages", "conversations", "chosen")
"""Columns that a model learns from where no template names them."""
SEGMENT = 1 << 23  # passages that are sorted at once, in 0.3 GB
BLOCK = 1 << 17  # characters of the documents that are compressed together
MOST = 1024  # documents of one passage that are looked at
SCHEMA = {"id": pl.String, "licence": pl.String, "part": pl.UInt32, "text": pl.String}

Rows = npt.NDArray[np.uint32]
Places = npt.NDArray[np.uint16]  # of letters in a part
Found = tuple[Hashes, Rows, Places]


@dataclass(frozen=True)
class Size:
    """How large an index is."""

    documents: int
    passages: int
    text_bytes: int  # of the documents, UTF-8
    bytes: int  # of the index


@dataclass(frozen=True)
class Row:
    """A document, or a part of a long one."""

    id: str
    licence: str | None
    part: int
    text: str  # folded


def training_texts(tables: Sequence[Path], columns: Sequence[str] = LEARNED) -> Iterator[pl.DataFrame]:
    """Documents in parquet files as columns id, licence and text.

    Args:
        columns: those whose text is learned, joined by line breaks; a column that the files lack is left out. Of a chat it is what
            was said.
    """
    for frame in read_tables(tables):
        found = [_plain(frame[name]) for name in dict.fromkeys(columns) if name in frame.columns]
        licences = [_plain(frame[name]) for name in ("license", "licence") if name in frame.columns]
        nothing = pl.repeat(None, len(frame), dtype=pl.String)
        yield pl.select(
            id=frame["id"].cast(pl.String),
            licence=pl.coalesce(*licences, nothing),
            text=pl.concat_str(*found, nothing, separator="\n", ignore_nulls=True),
        )


def _plain(column: pl.Series) -> pl.Series:
    """Each field as text, without what holds it together: keys, brackets, escapes."""
    if column.dtype.is_nested():
        return pl.Series([_said(value) for value in column.to_list()], dtype=pl.String)
    texts = column.cast(pl.String)
    some = texts.str.contains(r"^\s*\[").fill_null(value=False).arg_true()
    chats = [(row, text) for row, text in zip(some, texts.gather(some), strict=True) if is_chat(text)]
    rows, found = [row for row, _ in chats], [_said(json.loads(text)) for _, text in chats]
    return texts.scatter(rows, found) if rows else texts


def _said(value: Any) -> str:
    """The texts in a field, but for who says them."""
    if isinstance(value, Mapping):
        return "\n".join(_said(one) for key, one in value.items() if one is not None and key not in ("role", "from"))
    if isinstance(value, list):
        return "\n".join(_said(one) for one in value if one is not None)
    return "" if value is None else str(value)


def write_index(frames: Iterable[pl.DataFrame], folder: Path, *, engine: Engine = local) -> Size:
    """Index documents, in a folder that is made anew.

    Args:
        frames: columns id, licence (may be null) and text; see training_texts.
        engine: who carries the batches.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a try that was killed
    folder.mkdir(parents=True)
    text_bytes = documents = 0
    borders = [0]
    held: list[Found] = []
    count = segments = passages = 0
    content = hashlib.blake2b(digest_size=16)

    def texts() -> Iterator[tuple[int, pl.Series]]:
        nonlocal text_bytes, documents
        for frame in frames:
            for some in frame.iter_slices(2048):
                rows = _rows(some)
                documents += len(some)
                text_bytes += int(some["text"].str.len_bytes().sum() or 0)
                start = borders[-1]
                for block in _blocks(rows):
                    sink.write_table(block.to_arrow().cast(schema), max_chunksize=len(block))
                    borders.append(borders[-1] + len(block))
                yield start, rows["text"]

    schema = pl.DataFrame(schema=SCHEMA).to_arrow().schema
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(folder / "documents.arrow", schema, options=options) as sink:
        for found in engine(_passages, texts()):
            held.append(found)
            content.update(found[0].data)
            count += len(found[0])
            passages += len(found[0])
            if count >= SEGMENT:
                _write_segment(held, folder, segments)
                segments, count = segments + 1, 0
    if held:
        _write_segment(held, folder, segments)
        segments += 1
    np.save(folder / "borders.npy", np.array(borders, np.uint32))
    size = Size(documents, passages, text_bytes, sum(path.stat().st_size for path in folder.iterdir()))
    facts = FORM | asdict(size) | {"segments": segments, "content": content.hexdigest()}
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return size


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    texts, owners, numbers = parts(folded(frame["text"].fill_null("")))
    ids, licences = (frame[name].gather(owners) for name in ("id", "licence"))
    return pl.DataFrame({"id": ids, "licence": licences, "part": numbers, "text": texts}, schema=SCHEMA)


def _blocks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    number = rows["text"].str.len_chars().cum_sum().to_numpy() // BLOCK
    edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(rows)]])
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if b > a:
            yield rows[a:b].rechunk()


def _passages(task: tuple[int, pl.Series]) -> Found:
    """Hashes of the passages of some rows, their row and their first letter in it."""
    start, texts = task
    out: list[tuple[Hashes, Ints, Ints]] = [(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))]
    for number, some in letters(texts):
        at, hashes = some.windows(every=False)
        row = np.searchsorted(some.first, at, side="right") - 1
        out.append((hashes, row + (start + number), at - some.first[row]))
    hashes, rows, places = (np.concatenate(column) for column in zip(*out, strict=True))
    return hashes, rows.astype(np.uint32), places.astype(np.uint16)


def _write_segment(held: list[Found], folder: Path, number: int) -> None:
    hashes, rows, places = (np.concatenate(column) for column in zip(*held, strict=True))
    held.clear()
    order = np.argsort(hashes)
    for name, column in (("hashes", hashes), ("rows", rows), ("places", places)):
        np.save(folder / f"{name}-{number:05d}.npy", column[order])


class Index:
    """An index on disk, mapped; the documents that were looked at last are kept in memory."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            AigcError: the folder holds none, or one of another version.
        """
        try:
            facts = json.loads((folder / FACTS).read_text("utf-8"))
            segments = range(facts["segments"])
            self._segments = [[_mapped(folder, f"{name}-{i:05d}") for name in ("hashes", "rows", "places")] for i in segments]
            self._borders = np.load(folder / "borders.npy")
            self._file = pa.ipc.open_file(pa.memory_map(str(folder / "documents.arrow")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AigcError(f"{folder}: no index of training documents; `aigc pretrain` and `aigc finetune` write one") from error
        if {name: facts.get(name) for name in FORM} != FORM:
            raise AigcError(f"{folder}: an index of training documents of another version; train again, or index anew")
        self.size = Size(*(facts[name] for name in ("documents", "passages", "text_bytes", "bytes")))
        self._block = lru_cache(64)(self._read_block)
        self.letters = lru_cache(64)(self._read_letters)

    def hits(self, hashes: Hashes) -> tuple[Ints, Ints, Ints]:
        """Where passages stand: for each place the number of the hash, the row, and the letter of the row that it begins at.

        Of a passage that stands in more than 1,024 places, the first 1,024 of a segment.
        """
        out: list[tuple[Ints, Ints, Ints]] = [(np.empty(0, np.int64),) * 3]
        order = np.argsort(hashes)  # sorted questions stay near each other in the file
        for known, rows, places in self._segments:
            low = np.searchsorted(known, hashes[order])
            counts = np.minimum(np.searchsorted(known, hashes[order], side="right") - low, MOST)
            at = spread(low, counts)
            out.append((np.repeat(order, counts), rows[at].astype(np.int64), places[at].astype(np.int64)))
        which, row, place = (np.concatenate(column) for column in zip(*out, strict=True))
        return which, row, place

    def row(self, number: int) -> Row:
        """A document or a part of one."""
        block = int(np.searchsorted(self._borders, number, side="right")) - 1
        return Row(*self._block(block).row(number - int(self._borders[block])))

    def whole(self, number: int) -> Row:
        """The document that a row belongs to."""
        row = self.row(number)
        number -= row.part
        first = self.row(number)
        texts = [first.text]
        while number + len(texts) < self._borders[-1]:
            later = self.row(number + len(texts))
            if later.part != len(texts):
                break
            texts.append(later.text[OVERLAP:])
        return Row(first.id, first.licence, 0, "".join(texts))

    def _read_block(self, number: int) -> pl.DataFrame:
        return pl.DataFrame(pl.from_arrow(self._file.get_batch(number)))

    def _read_letters(self, number: int) -> Letters:
        return letters_of(self.row(number).text)


def _mapped(folder: Path, name: str) -> npt.NDArray[np.generic]:
    array: npt.NDArray[np.generic] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return array
