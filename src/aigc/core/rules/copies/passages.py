"""Two texts, and a letter of each where they agree, into the passage that they share around it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aigc.core.rules.copies.letters import Letters

__all__ = ["Passage", "passage"]


@dataclass(frozen=True)
class Passage:
    """A stretch of a text whose letters and digits stand in a document, in the same order and without others in between.

    Attributes:
        start, end: its characters, text[start:end], with those marks and spaces at its ends that stand in the document as well.
        stop: behind its last letter, counted in letters.
        verbatim: the most characters in a row that are the same in both, case and punctuation included.
    """

    start: int
    end: int
    stop: int
    verbatim: int

    def __len__(self) -> int:
        return self.end - self.start


def passage(text: Letters, document: Letters, at: int, there: int) -> Passage:
    """The longest passage around a letter of the text that is the same as a letter of the document.

    Args:
        text, document: one text each.
        at, there: the letter, in the text and in the document.
    """
    ahead = _same(text.values[at:], document.values[there:])
    back = _same(text.values[:at][::-1], document.values[:there][::-1])
    a, b = text.places[at - back : at + ahead], document.places[there - back : there + ahead]
    one, other = text.points[:-1], document.points[:-1]  # without the line break behind
    before = _same(one[: a[0]][::-1], other[: b[0]][::-1])
    behind = _same(one[a[-1] + 1 :], other[b[-1] + 1 :])
    start, end = int(a[0]) - before, int(a[-1]) + 1 + behind
    shift = a - b
    cuts = np.flatnonzero(shift[1:] != shift[:-1]) + 1  # here a mark more or less stands in one of them
    verbatim = 0
    for low, high in zip(np.append(0, cuts), np.append(cuts, len(a)), strict=True):
        left = before if low == 0 else int(min(a[low] - a[low - 1], b[low] - b[low - 1])) - 1
        right = behind if high == len(a) else int(min(a[high] - a[high - 1], b[high] - b[high - 1])) - 1
        here = slice(int(a[low]) - left, int(a[high - 1]) + 1 + right)
        offset = int(shift[low])
        verbatim = max(verbatim, _longest(one[here] == other[here.start - offset : here.stop - offset]))
    return Passage(start, end, at + ahead, verbatim)


def _same(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> int:
    """How many values two arrays begin with alike."""
    size = min(len(a), len(b))
    different = a[:size] != b[:size]
    return int(different.argmax()) if different.any() else size


def _longest(values: npt.NDArray[np.bool_]) -> int:
    """The most true values in a row."""
    ends = np.flatnonzero(np.concatenate([[True], ~values, [True]]))
    return int(np.diff(ends).max()) - 1
