"""A text before and after an edit into the places that the edit changed, and back."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

__all__ = ["Change", "apply", "diff"]

Change = tuple[int, int, str]
"""`before[begin:end]`, in characters, and what stands there in the new text."""

_PIECE = re.compile(r"[A-Za-z0-9_]+|[^\S\n]+|\n|.", re.DOTALL)
_MOST = 4_000  # pieces that are compared with each other: difflib's time grows with their square


def diff(before: str, after: str) -> list[Change]:
    """What an edit changed: spans of the old text, ascending, apart from each other, each with its replacement.

    `apply(before, diff(before, after)) == after`, always. Words of letters and digits and lone other characters are compared; where
    thousands of them changed, whole lines are.
    """
    begin = _shared(before, after)
    most = min(len(before), len(after)) - begin
    end = _shared(before[len(before) - most :][::-1], after[len(after) - most :][::-1]) if most else 0
    old, new = before[begin : len(before) - end], after[begin : len(after) - end]
    return [(begin + start, begin + stop, put) for start, stop, put in _compared(old, new)]


def apply(before: str, changes: Sequence[Change]) -> str:
    """The new text."""
    parts, at = [], 0
    for begin, end, put in changes:
        parts += [before[at:begin], put]
        at = end
    return "".join([*parts, before[at:]])


def _shared(one: str, other: str) -> int:
    """Characters that both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # halving: slices are compared in C
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _compared(old: str, new: str) -> list[Change]:
    if not old or not new:
        return [(0, len(old), new)] if old or new else []
    ours, theirs = _PIECE.findall(old), _PIECE.findall(new)
    by_line = max(len(ours), len(theirs)) > _MOST
    if by_line:
        ours, theirs = old.splitlines(keepends=True), new.splitlines(keepends=True)
        if max(len(ours), len(theirs)) > _MOST:
            return [(0, len(old), new)]
    at = [0]
    for piece in ours:
        at.append(at[-1] + len(piece))
    found: list[Change] = []
    for what, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        put = "".join(theirs[c:d])
        if by_line and b - a == d - c:
            parts = [(at[a + i], diff(ours[a + i], theirs[c + i])) for i in range(b - a)]
        elif by_line and b - a < len(ours):
            parts = [(at[a], diff(old[at[a] : at[b]], put))]
        else:
            parts = [(0, [(at[a], at[b], put)])]
        found += [(start + begin, start + end, one) for start, some in parts for begin, end, one in some]
    return found
