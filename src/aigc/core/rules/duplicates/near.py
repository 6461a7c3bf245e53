"""Documents into those that are almost the same: candidates share a band of their sketches, then their similarity is computed."""

import re
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from aigc.core.rules.duplicates.sets import Sets, jaccard, stored_sets
from aigc.core.rules.duplicates.similar import bands_of, candidates, linked, rows_in, unpacked
from aigc.core.rules.edits.secrets import SHAPES
from aigc.core.rules.rule import Corpus, Duplicates, Memory
from aigc.core.rules.units import Hashes, Ints, distinct, ngrams

__all__ = ["NearDuplicates"]

PLACEHOLDER = "|".join(re.escape(shape.placeholder) for shape in SHAPES.values())
"""What the edit `redact` leaves behind."""


class NearDuplicates(Duplicates):
    """Texts that share most of their n-grams of words or Han characters; of each cluster the longest stays, then the smallest id.

    A copy from which personal data had to be redacted stays only where every copy of the cluster has that fault.
    Two documents are linked only where the Jaccard similarity of their n-gram sets was computed and reaches the bound; a cluster
    is what such links hold together. 99 % or more of the pairs at the bound are found, more above it; fewer where hundreds of
    documents share a passage and are still unlike.
    """

    shorthand: ClassVar[str | None] = "similarity"
    clusters: ClassVar[bool] = True

    similarity: float = Field(0.7, ge=0.1, le=1)
    """the least Jaccard similarity of two linked documents"""
    ngram: int = Field(5, ge=1, le=50)
    """words or Han characters in an n-gram; shorter ones find copies with more edits"""

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        bands = bands_of(documents["text"], similarity=self.similarity, ngram=self.ngram)
        redacted = documents["text"].str.contains(PLACEHOLDER)
        return bands.with_columns(documents["id"], length=documents["text"].str.len_chars(), redacted=redacted)

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        names = [name for name in pl.read_ipc_schema(corpus.surveys[0]) if name not in ("id", "length", "redacted")]
        order = corpus.column("id").arg_sort()  # so that files may come in any order
        documents = len(order)
        found = candidates(corpus.column(name).gather(order) for name in names)
        a, b = (order.to_numpy()[places] for places in unpacked(found))
        del order, found  # what follows takes the room of all that is left here
        texts = (frame["text"] for frame in corpus.frames())
        with stored_sets(texts, rows_in(a, b, documents), self.ngram, corpus.folder) as sets:
            component = linked(a, b, sets, similarity=self.similarity, rows=documents)
            del a, b
            return _keepers(component, sets, *(corpus.column(name) for name in ("id", "length", "redacted")))

    def memory(self) -> Memory:
        names: list[str] = []
        known_sets: list[Hashes] = []
        buckets: dict[tuple[int, int], list[int]] = {}

        def known(documents: pl.DataFrame) -> pl.DataFrame:
            bands = bands_of(documents["text"], similarity=self.similarity, ngram=self.ngram)
            hashes, offsets = ngrams(documents["text"], self.ngram)
            found: list[tuple[str | None, float | None]] = []
            for i, keys in enumerate(bands.iter_rows()):
                own = distinct(hashes[offsets[i] : offsets[i + 1]])
                places = [place for place in enumerate(keys) if place[1] is not None]
                near = sorted({row for place in places for row in buckets.get(place, ())})
                best = max(((jaccard(own, known_sets[row]), -row) for row in near), default=(0.0, 0))
                repeats = best[0] >= self.similarity
                found.append((names[-best[1]], best[0]) if repeats else (None, None))
                if not repeats:
                    for place in places:
                        buckets.setdefault(place, []).append(len(names))
                    names.append(documents["id"][i])
                    known_sets.append(own)
            return pl.DataFrame(found, schema={"keeper": pl.String, "similarity": pl.Float64}, orient="row")

        return known


def _keepers(component: Ints, sets: Sets, ids: pl.Series, lengths: pl.Series, redacted: pl.Series) -> pl.DataFrame:
    """Who stays in each cluster, and how similar the others are to it."""
    size = np.bincount(component)
    rows = np.flatnonzero(size[component] > 1)
    frame = pl.DataFrame(
        {
            "row": rows,
            "cluster": component[rows],
            "id": ids.gather(rows),
            "length": lengths.gather(rows),
            "redacted": redacted.gather(rows),
        }
    )
    ranked = frame.sort("redacted", "length", "id", descending=[False, True, False])
    first = ranked.group_by("cluster").agg(keeper=pl.col("id").first(), keeper_row=pl.col("row").first())
    gone = ranked.join(first, on="cluster").filter(pl.col("row") != pl.col("keeper_row")).sort("row")
    values = sets.similarities(gone["row"].to_numpy(), gone["keeper_row"].to_numpy())
    return gone.select(pl.col("row").cast(pl.UInt32), "keeper", similarity=pl.Series(values, dtype=pl.Float64))
