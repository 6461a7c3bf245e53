"""Documents into those that have the same text."""

import hashlib

import numpy as np
import polars as pl

from aigc.core.rules.rule import TEXT, Corpus, Duplicates, Memory

__all__ = ["ExactDuplicates"]

_KEY = TEXT.str.replace_all(r"\s+", "").map_batches(lambda texts: _digests(texts), return_dtype=pl.Binary)


class ExactDuplicates(Duplicates):
    """The same text, white space aside: of each group the longest document stays, then the one with the smallest id."""

    def survey(self, documents: pl.DataFrame) -> pl.DataFrame:
        digest = documents.select(_KEY)[:, 0]
        halves = np.frombuffer(b"".join(digest), np.uint64).reshape(-1, 2)
        return documents.select("id", length=TEXT.str.len_chars()).with_columns(
            pl.Series("key", halves[:, 0]), pl.Series("rest", halves[:, 1])
        )

    def conclude(self, corpus: Corpus) -> pl.DataFrame:
        rows = corpus.column("key").is_duplicated().arg_true()
        repeated = pl.DataFrame({name: corpus.column(name).gather(rows) for name in ("key", "rest", "length", "id")})
        ranked = repeated.with_columns(row=rows).sort("length", "id", descending=[True, False])
        groups = ranked.group_by("key", "rest").agg(keeper=pl.col("id").first())
        gone = ranked.join(groups, on=["key", "rest"]).filter(pl.col("id") != pl.col("keeper"))
        return gone.select("row", "keeper", similarity=pl.lit(1.0)).sort("row")

    def memory(self) -> Memory:
        first: dict[bytes, str] = {}

        def known(documents: pl.DataFrame) -> pl.DataFrame:
            keys = documents.select(_KEY)[:, 0]
            found = [first.setdefault(key, name) for key, name in zip(keys, documents["id"], strict=True)]
            keepers = [None if keeper == name else keeper for keeper, name in zip(found, documents["id"], strict=True)]
            frame = pl.DataFrame({"keeper": pl.Series(keepers, dtype=pl.String)})
            return frame.with_columns(similarity=pl.when(pl.col("keeper").is_not_null()).then(1.0))

        return known


def _digests(texts: pl.Series) -> pl.Series:
    digests = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    return pl.Series(texts.name, digests, dtype=pl.Binary)
