"""Two lists of sequences into what each two have in common: n-grams, and the longest common subsequence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.core.rules.units import Hashes, Ints, mixed

__all__ = ["Overlap", "Runs", "longest_common", "overlaps"]


@dataclass(frozen=True)
class Runs:
    """D sequences one behind the other: sequence i is values[offsets[i] : offsets[i + 1]]."""

    values: Hashes
    offsets: Ints  # (D + 1,)

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Overlap:
    """N-grams of each of D pairs, (D,) each: those of the left one, of the right one, and those in both (as often as in both)."""

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    both: NDArray[np.float64]


def _grams(runs: Runs, order: int, bits: int) -> Iterator[tuple[Hashes, Ints]]:
    """For n = 1 to order the n-grams in order, each once, and how often it stands there.

    The upper `bits` of an n-gram are the number of its sequence, the lower ones a hash of what it says: of 10,000 n-grams of one
    sequence among 10,000 sequences, two that differ are taken for the same with a probability of 1e-7.
    """
    document = np.repeat(np.arange(len(runs), dtype=np.uint64), np.diff(runs.offsets))
    single = hashes = mixed(runs.values)
    for n in range(1, order + 1):
        if n > 1:
            hashes = mixed(hashes[:-1]) + single[n - 1 :]
        within = document[: len(hashes)] == document[n - 1 :]
        keys = np.sort((document[: len(hashes)][within] << np.uint64(64 - bits)) | (mixed(hashes[within]) >> np.uint64(bits)))
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        yield keys[first], np.diff(np.append(first, len(keys)))


def overlaps(left: Runs, right: Runs, order: int) -> list[Overlap]:
    """The n-grams that each two sequences share, for n = 1 to order, exactly but for hashes that collide (see _grams)."""
    assert len(left) == len(right)
    bits = max(len(left).bit_length(), 1)
    found = []
    for (one, times), (other, other_times) in zip(_grams(left, order, bits), _grams(right, order, bits), strict=True):
        at = np.minimum(np.searchsorted(other, one), max(len(other) - 1, 0))
        hit = other[at] == one if len(other) else np.zeros(len(one), bool)

        def summed(keys: Hashes, amounts: Ints) -> NDArray[np.float64]:
            sums = np.bincount((keys >> np.uint64(64 - bits)).astype(np.int64), weights=amounts, minlength=len(left))
            return sums.astype(np.float64)

        both = summed(one[hit], np.minimum(times[hit], other_times[at[hit]]))
        found.append(Overlap(summed(one, times), summed(other, other_times), both))
    return found


def longest_common(left: Sequence[int], right: Sequence[int]) -> int:
    """The length of the longest common subsequence, all places of the left one at a time, as the bits of an integer.

    Source: Hyyrö 2004, Bit-Parallel LCS-length Computation Revisited. What both begin with costs nothing.
    """
    shorter = min(len(left), len(right))
    head = next((i for i in range(shorter) if left[i] != right[i]), shorter)
    left, right = left[head:], right[head:]
    places: dict[int, int] = {}
    for place, value in enumerate(left):
        places[value] = places.get(value, 0) | 1 << place
    every = (1 << len(left)) - 1
    free = every
    for value in right:
        if hits := free & places.get(value, 0):
            free = ((free + hits) | (free - hits)) & every
    return head + len(left) - free.bit_count()
