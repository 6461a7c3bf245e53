"""Texts into what they copy: the longest run, the share of their n-grams that the training documents hold, and which documents."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from aigc.core.rules.copies.index import FACTS, Index
from aigc.core.rules.copies.letters import Letters, folded, letters_of, parts
from aigc.core.rules.copies.passages import Passage, passage
from aigc.core.rules.duplicates.sets import jaccard
from aigc.core.rules.units import distinct, ngrams, pieces
from aigc.errors import AigcError

__all__ = ["NGRAM", "Copied", "Copies", "Source", "open_copies"]

NGRAM = 13
"""Words or Han characters of the n-grams whose share is told. Source: GPT-3 (Brown et al. 2020), appendix C."""
LOOKED_AT = 128  # of the places where a document agrees with a text, those with most passages in common
SOURCES = 5  # that are named
NEAR = 32  # documents that are compared as a whole


@dataclass(frozen=True)
class Source:
    """A document that holds a run of a text."""

    id: str
    licence: str | None  # as the documents' column `license` has it
    characters: int
    verbatim: int
    text: str  # the run, as the text has it, white space folded


@dataclass(frozen=True)
class Copied:
    """What a text shares with the training documents.

    Attributes:
        characters: of the longest run whose letters and digits stand in a document, whatever case, width and punctuation.
        verbatim: of the longest run that stands there exactly so; white space is folded.
        share: of the text's n-grams of 13 words or Han characters, those whose letters stand in a document; 0 to 1.
        sources: documents of the longest runs, the longest first, one run of each.
    """

    characters: int = 0
    verbatim: int = 0
    share: float = 0.0
    sources: tuple[Source, ...] = ()


class Copies:
    """Looks texts up in an index. What shares fewer than 31 letters or 10 Han characters with a document may go unseen."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.of = lru_cache(4096)(self._of)

    def _of(self, text: str) -> Copied:
        """What one text shares with the documents; of a text the answer is remembered."""
        cut, _, _ = parts(folded(pl.Series([text], dtype=pl.String)))
        found = [self._of_part(part) for part in cut]
        grams = sum(count for _, count, _ in found)
        runs = sorted((run for _, _, runs in found for run in runs), key=lambda one: (-one.characters, one.id))
        sources: dict[str, Source] = {}
        for run in runs:
            sources.setdefault(run.id, run)
        return Copied(
            max((run.characters for run in runs), default=0),
            max((run.verbatim for run in runs), default=0),
            sum(seen for seen, _, _ in found) / max(grams, 1),
            tuple(sources.values())[:SOURCES],
        )

    def _of_part(self, text: str) -> tuple[int, int, list[Source]]:
        """N-grams that were seen, all n-grams, and the runs."""
        own = letters_of(text)
        ((_, units),) = pieces(pl.Series([text], dtype=pl.String))
        size = min(NGRAM, len(units.starts))
        first, last = units.starts[: len(units.starts) - size + 1 if size else 0], units.ends[max(size - 1, 0) :]
        seen = np.zeros(len(first), bool)
        runs: list[Source] = []
        for row, found in self._passages(own):
            seen[np.searchsorted(first, found.start) : np.searchsorted(last, found.end, side="right")] = True
            known = self.index.row(row)
            runs.append(Source(known.id, known.licence, len(found), found.verbatim, text[found.start : found.end]))
        return int(seen.sum()), len(seen), runs

    def _passages(self, own: Letters) -> list[tuple[int, Passage]]:
        """Rows and what they share with a text, letter by letter; each passage once."""
        out: list[tuple[int, Passage]] = []
        for row, shift, letters in _aligned(self.index, own).head(LOOKED_AT).select("row", "shift", "letters").iter_rows():
            done = 0
            for at in letters:
                document = self.index.letters(row)
                if at >= done and own.values[at] == document.values[at - shift]:
                    found = passage(own, document, at, at - shift)
                    done = found.stop
                    out.append((row, found))
        return out

    def near(self, text: str, *, similarity: float, ngram: int) -> tuple[str, float] | None:
        """The id of the document that a text is most like, and the Jaccard similarity of their n-gram sets, which was computed.

        Args:
            similarity: the least; below it the answer is None.
            ngram: words or Han characters in an n-gram.
        """
        cut, _, _ = parts(folded(pl.Series([text], dtype=pl.String)))
        aligned = pl.concat([_aligned(self.index, letters_of(part)) for part in cut])
        rows = aligned.group_by("row").agg(pl.col("passages").sum()).sort("passages", "row", descending=[True, False])
        documents = {one.id: one for one in map(self.index.whole, rows["row"].head(NEAR))}
        texts = [text, *(one.text for one in documents.values())]
        hashes, offsets = ngrams(pl.Series(texts, dtype=pl.String), ngram)
        own, *others = (distinct(hashes[a:b]) for a, b in pairwise(offsets))
        values = [jaccard(own, other) for other in others]
        best = max(zip(values, documents, strict=True), key=lambda one: one[0], default=None)
        return (best[1], best[0]) if best is not None and best[0] >= similarity else None


def _aligned(index: Index, own: Letters) -> pl.DataFrame:
    """Where documents agree with a text: row, shift between their letters, passages in common, and where these begin in the text.

    Those with most passages come first, then those of the first documents.
    """
    starts, hashes = own.windows(every=True)
    which, row, place = index.hits(hashes)
    at = starts[which]
    frame = pl.DataFrame({"row": row, "shift": at - place, "letter": at})
    groups = frame.group_by("row", "shift").agg(letters=pl.col("letter").sort(), passages=pl.len())
    return groups.sort("passages", "row", "shift", descending=[True, False, False])


def open_copies(folder: Path) -> Copies:
    """An index, opened once as long as it stays the same.

    Raises:
        AigcError: the folder holds none.
    """
    try:
        changed = (folder / FACTS).stat().st_mtime_ns
    except OSError:
        raise AigcError(f"{folder}: no index of training documents; `aigc pretrain` and `aigc finetune` write one") from None
    return _opened(folder.resolve(), changed)


@lru_cache(2)
def _opened(folder: Path, _changed: int) -> Copies:
    return Copies(Index(folder))
