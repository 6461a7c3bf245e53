"""Made-up shards for the tests of batches: every token of a corpus has a number of its own."""

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.shards import Shards

__all__ = ["FakeCodec", "shards_of"]


class FakeCodec:
    """The parts of a codec that a causal objective asks for."""

    vocabulary = 1 << 16
    start = [0]  # noqa: RUF012  (a protocol member)
    end = 0
    pad = 0
    mask = None
    sentinels: list[int] = []  # noqa: RUF012
    infill = None

    @property
    def byte_lengths(self) -> NDArray[np.int64]:
        return np.ones(self.vocabulary, np.int64)


def shards_of(documents: list[tuple[int, int]], first: int = 1) -> Shards:
    """Documents of so many tokens that are not learned and so many that are."""
    lengths = np.array([head + tail for head, tail in documents], np.int64)
    tokens = np.arange(first, first + lengths.sum()).astype(np.uint16)
    heads = np.array([head for head, _ in documents], np.int32)
    return Shards(tokens, np.cumsum(lengths), heads, np.arange(len(documents)), np.zeros(0, np.int64), 1)
