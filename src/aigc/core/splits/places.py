"""Texts and column values into 64-bit hashes, and the hashes of a cluster into the one that decides where all of it goes.

A hash is a function of the text (white space aside) alone. As a fraction of 2**64 it is a *place* from 0 to 1: the lowest places
are test, the highest validation, all between are train.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.rules.units import Hashes, Ints, mixed

__all__ = ["folded", "keys_of", "places", "text_hashes", "value_hashes"]

_SALT = b"aigc split 1"  # part of the contract: another salt would move every document


def folded(texts: pl.Series) -> pl.Series:
    """Texts without white space."""
    return texts.fill_null("").str.replace_all(r"\s+", "")


def text_hashes(texts: pl.Series) -> Hashes:
    """One hash a text; texts that differ only in white space have the same."""
    return _joined(hashlib.blake2b(text, digest_size=8, salt=_SALT).digest() for text in folded(texts).cast(pl.Binary).to_list())


def value_hashes(values: pl.Series, column: str) -> Hashes:
    """One hash a value (text, no nulls); the same value in two columns has two hashes."""
    distinct = values.unique()
    person = hashlib.blake2b(column.encode(), digest_size=16).digest()
    hashes = _joined(hashlib.blake2b(value.encode(), digest_size=8, salt=_SALT, person=person).digest() for value in distinct)
    return values.replace_strict(distinct, pl.Series(hashes), return_dtype=pl.UInt64).to_numpy()


def _joined(digests: Iterable[bytes]) -> Hashes:
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def places(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Hashes as numbers from 0 to 1."""
    return hashes.astype(np.float64) / 2.0**64


def keys_of(clusters: Ints, hashes: Hashes, count: int) -> Hashes:
    """The hash that stands for each cluster, 0 for a cluster without any.

    It is the hash of the member whose *mixed* hash is the smallest. The smallest hash itself would send large clusters to test (of
    20 members one has a place below 0.05 in 64 % of all cases); the mixed order says nothing of the place. When a member joins a
    cluster of k, the key stays with probability k / (k + 1).

    Args:
        clusters: the cluster number of each hash, below `count`.
        hashes: one for each of these.
        count: clusters.
    """
    keys = np.zeros(count, dtype=np.uint64)
    keys[clusters] = hashes  # right for most: they have one
    several = np.flatnonzero(np.bincount(clusters, minlength=count)[clusters] > 1)
    clusters, hashes = clusters[several], hashes[several]
    order = np.lexsort((mixed(hashes), clusters))
    ordered = clusters[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    keys[ordered[first]] = hashes[order][first]
    return keys
