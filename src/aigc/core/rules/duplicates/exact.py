"""Duplicates: documents that repeat each other, and which of them stays."""

import hashlib

import polars as pl

from aigc.core.rules.rule import TEXT, Duplicates

__all__ = ["ExactDuplicates", "keepers"]


class ExactDuplicates(Duplicates):
    """The same text, white space aside: of each group the longest document stays, then the one with the smallest id."""

    def key(self) -> pl.Expr:
        return TEXT.str.replace_all(r"\s+", "").map_batches(_digests, return_dtype=pl.Binary)


def _digests(texts: pl.Series) -> pl.Series:
    digests = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    return pl.Series(texts.name, digests, dtype=pl.Binary)


def keepers(repeated: pl.DataFrame) -> pl.DataFrame:
    """Choose who stays in each group of repeated documents, whatever their order.

    Args:
        repeated: columns key, id, length (characters); only keys that occur more than once.

    Returns:
        columns id, keeper: one row for each document that goes.
    """
    ranked = repeated.sort("length", "id", descending=[True, False])
    groups = ranked.group_by("key", maintain_order=True).agg(keeper=pl.col("id").first())
    return ranked.join(groups, on="key").filter(pl.col("id") != pl.col("keeper")).select("id", "keeper")
