"""Documents into those that are a part of another."""

from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.rules.duplicates.sets import containment, stored_sets
from aigc.core.rules.rule import Corpus, Duplicates, Memory
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams

__all__ = ["Contained"]

_CROWD = 50  # documents that share an n-gram and are all compared with each other
_FEW = 4  # where there are more, each is compared with so many of the longest
_SLICES = 16  # of the hashes, worked on one after the other: memory is a sixteenth


class Contained(Duplicates):
    """A document most of whose n-grams stand in a longer one. An excerpt goes, the whole stays.

    Candidates share sampled n-grams (those whose hash is divisible by `every`), then the containment |A and B| / |A| is computed.
    A document with fewer n-grams than about three times `every` may be missed. The keeper is the end of a chain of excerpts, the
    similarity the share of the document's n-grams that this keeper holds.
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
        ids = corpus.column("id")
        order = pl.DataFrame({"length": corpus.column("length"), "id": ids}).select(
            pl.arg_sort_by("length", "id", descending=[True, False])
        )[:, 0]  # who may stay: the longest first, then the smallest id
        rank = np.empty(len(ids), np.int64)
        rank[order.to_numpy()] = np.arange(len(ids))
        rows, others = self._candidates(corpus, rank)
        texts = (frame["text"] for frame in corpus.frames())
        with stored_sets(texts, distinct(np.concatenate([rows, others])), self.ngram, corpus.folder) as sets:
            inside = sets.containments(rows, others) >= self.share
            rows, others = rows[inside], others[inside]
            top = np.arange(len(ids))
            best_last = np.lexsort((-rank[others], rank[rows]))
            for row, other in zip(rows[best_last].tolist(), others[best_last].tolist(), strict=True):
                top[row] = top[other]  # which is settled, for its rank is higher
            gone = distinct(rows)
            values = sets.containments(gone, top[gone])
        keepers = ids.gather(top[gone])
        return pl.DataFrame({"row": gone.astype(np.uint32), "keeper": keepers, "similarity": values})

    def _candidates(self, corpus: Corpus, rank: Ints) -> tuple[Ints, Ints]:
        """Rows and those of higher rank that share most of their sampled n-grams."""
        samples = pl.DataFrame({"hash": corpus.column("hash"), "rank": rank}).with_row_index("row")
        sizes = samples["hash"].list.len().fill_null(0).cast(pl.Float64)
        shared: list[pl.DataFrame] = []
        for number in range(_SLICES):
            of_slice = samples.explode("hash").filter(pl.col("hash").is_not_null() & (pl.col("hash") // 64 % _SLICES == number))
            place = pl.col("rank").rank("ordinal").over("hash")
            crowd = pl.len().over("hash")
            some = of_slice.filter(crowd > 1)
            high = some.filter(place <= pl.when(crowd > _CROWD).then(_FEW).otherwise(_CROWD))
            pairs = some.join(high, on="hash").filter(pl.col("rank") > pl.col("rank_right"))
            shared.append(pairs.group_by("row", other="row_right").len())
        counts = pl.concat(shared).group_by("row", "other").agg(pl.col("len").sum())
        likely = counts.filter(pl.col("len") >= 0.7 * self.share * sizes.gather(counts["row"])).sort("row", "other")
        rows, others = (likely[name].to_numpy().astype(np.int64) for name in ("row", "other"))
        return rows, others

    def memory(self) -> Memory:
        names: list[str] = []
        known_sets: list[Hashes] = []

        def known(documents: pl.DataFrame) -> pl.DataFrame:
            hashes, offsets = ngrams(documents["text"], self.ngram)
            found: list[tuple[str | None, float | None]] = []
            for i, name in enumerate(documents["id"]):
                own = distinct(hashes[offsets[i] : offsets[i + 1]])
                best = max(((containment(own, other), -n) for n, other in enumerate(known_sets)), default=(0.0, 0))
                repeats = best[0] >= self.share
                found.append((names[-best[1]], best[0]) if repeats else (None, None))
                if not repeats:
                    names.append(name)
                    known_sets.append(own)
            return pl.DataFrame(found, schema={"keeper": pl.String, "similarity": pl.Float64}, orient="row")

        return known
