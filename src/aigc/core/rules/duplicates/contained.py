"""Documents into those that are a part of another."""

from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.rules.duplicates.sets import containment, stored_sets
from aigc.core.rules.rule import Corpus, Duplicates, Memory
from aigc.core.rules.units import Hashes, ngrams

__all__ = ["Contained"]

_CROWD = 50  # an n-gram that more documents share says nothing of them
_SLICES = 16  # of the hashes, worked on one after the other: memory is a sixteenth


class Contained(Duplicates):
    """A document most of whose n-grams stand in a longer one. An excerpt goes, the whole stays.

    Candidates share sampled n-grams (those whose hash is divisible by `every`), then the containment |A and B| / |A| is computed.
    A document with fewer n-grams than about three times `every` may be missed.
    """

    shorthand: ClassVar[str | None] = "share"

    share: float = Field(0.9, ge=0.3, le=1)
    """the least share of a document's n-grams that the other holds"""
    ngram: int = Field(8, ge=3, le=50)
    """words or Han characters in an n-gram"""
    every: int = Field(8, ge=1, le=64)
    """one n-gram in so many is sampled"""

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        hashes, offsets = ngrams(documents["text"], self.ngram)
        sampled = np.flatnonzero(hashes % np.uint64(self.every) == 0)
        place = np.searchsorted(offsets, sampled, side="right") - 1
        found = pl.DataFrame({"document": place.astype(np.uint32), "hash": hashes[sampled]}).unique(maintain_order=True)
        lists = found.group_by("document").agg("hash")
        size = documents["text"].str.len_chars()
        frame = pl.DataFrame({"document": np.arange(len(documents), dtype=np.uint32), "id": documents["id"], "length": size})
        return frame.join(lists, on="document", how="left", maintain_order="left").select("id", "length", "hash")

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        lengths, ids = corpus.column("length"), corpus.column("id")
        shared: list[pl.DataFrame] = []
        samples = pl.DataFrame({"hash": corpus.column("hash")}).with_row_index("row")
        sizes = samples["hash"].list.len().fill_null(0)
        for number in range(_SLICES):
            of_slice = samples.explode("hash").filter(pl.col("hash").is_not_null() & (pl.col("hash") // 64 % _SLICES == number))
            crowd = pl.len().over("hash")
            few = of_slice.filter((crowd > 1) & (crowd <= _CROWD))
            pairs = few.join(few.rename({"row": "other"}), on="hash").filter(pl.col("row") != pl.col("other"))
            shared.append(pairs.group_by("row", "other").len())
        counts = pl.concat(shared).group_by("row", "other").agg(pl.col("len").sum())
        likely = counts.filter(
            (pl.col("len") >= 0.7 * self.share * sizes.gather(counts["row"]).cast(pl.Float64))
            & (lengths.gather(counts["row"]) <= lengths.gather(counts["other"]))
        ).sort("row", "other")
        rows, others = (likely[name].to_numpy().astype(np.int64) for name in ("row", "other"))
        texts = (frame["text"] for frame in corpus.frames())
        with stored_sets(texts, np.unique(np.concatenate([rows, others])), self.ngram) as sets:
            values = sets.containments(rows, others)
        found: dict[int, tuple[int, float]] = {}
        for row, other, value in zip(rows.tolist(), others.tolist(), values.tolist(), strict=True):
            best = found.get(row)
            rank = (lengths[other], value, -other)
            if value >= self.share and (best is None or rank > (lengths[best[0]], best[1], -best[0])):
                found[row] = (other, value)
        kept = {row: self._top(row, found) for row in found}
        out = [(row, ids[top], found[row][1]) for row, top in sorted(kept.items()) if top != row]
        return pl.DataFrame(out, schema={"row": pl.UInt32, "keeper": pl.String, "similarity": pl.Float64}, orient="row")

    @staticmethod
    def _top(row: int, found: dict[int, tuple[int, float]]) -> int:
        """The document at the end of the chain; of two that contain each other the one with the smaller row stays."""
        seen = [row]
        while (up := found.get(seen[-1])) is not None:
            if up[0] in seen:
                return min(seen[seen.index(up[0]) :])
            seen.append(up[0])
        return seen[-1]

    def memory(self) -> Memory:
        names: list[str] = []
        known_sets: list[Hashes] = []

        def known(documents: pl.DataFrame) -> pl.DataFrame:
            hashes, offsets = ngrams(documents["text"], self.ngram)
            found: list[tuple[str | None, float | None]] = []
            for i, name in enumerate(documents["id"]):
                own = np.unique(hashes[offsets[i] : offsets[i + 1]])
                best = max(((containment(own, other), -n) for n, other in enumerate(known_sets)), default=(0.0, 0))
                repeats = best[0] >= self.share
                found.append((names[-best[1]], best[0]) if repeats else (None, None))
                if not repeats:
                    names.append(name)
                    known_sets.append(own)
            return pl.DataFrame(found, schema={"keeper": pl.String, "similarity": pl.Float64}, orient="row")

        return known
