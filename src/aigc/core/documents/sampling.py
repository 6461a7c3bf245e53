"""Batches into a uniform sample of their rows, the same whatever their order."""

import hashlib
from collections.abc import Iterator

import polars as pl

from aigc.core.documents.reading import Batch, Failure
from aigc.errors import AigcError

__all__ = ["sampled"]


def sampled(batches: Iterator[Batch], rows: int) -> Iterator[Batch]:
    """The rows whose ids have the smallest hashes, as one batch; all input is read, and only the sample is held.

    Broken rows are left out: a sample says what the rules would do.

    Raises:
        AigcError: every row is broken.
    """
    held: Batch | None = None
    broken: list[Failure] = []
    keys = pl.Series(dtype=pl.UInt64)
    for batch in batches:
        broken += batch.failures if not broken else []
        hashes = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) for name in batch.documents["id"]]
        if not hashes:
            continue
        new = pl.Series(hashes, dtype=pl.UInt64)
        if held is not None:
            if len(keys) == rows and new.min() > keys.max():  # type: ignore[operator]
                continue
            documents = pl.concat([held.documents, batch.documents], how="diagonal_relaxed")
            batch = Batch(documents, pl.concat([held.origins, batch.origins]), [])
            new = pl.concat([keys, new])
        chosen = new.arg_sort()[:rows].sort()
        held = Batch(batch.documents[chosen.to_list()], batch.origins.gather(chosen), [])
        keys = new.gather(chosen)
    if held is None and broken:
        raise AigcError(f"{broken[0].origin}: {broken[0].reason}; no row could be read")
    if held is not None:
        yield held
