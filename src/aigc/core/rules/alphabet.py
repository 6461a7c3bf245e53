"""Code points into whether they are among some characters, by a table: many times faster than numpy's isin."""

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["among"]

_SIZE = 1 << 16  # what lies above counts as the last, which is no character


def among(points: npt.NDArray[np.uint32], characters: str) -> npt.NDArray[np.bool_]:
    """Whether each code point is one of these characters, all of the basic plane."""
    return _table(characters).take(points, mode="clip")


@cache
def _table(characters: str) -> npt.NDArray[np.bool_]:
    table = np.zeros(_SIZE, bool)
    table[[ord(character) for character in characters]] = True
    assert not table[-1]
    return table
