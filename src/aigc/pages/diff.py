"""Two texts into two columns with what differs marked, long sameness folded, and the time bounded."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from aigc.pages.page import Html, join, language, plain, tag

__all__ = ["diff", "differences"]

_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|\d+|\s+|.", re.DOTALL)
_SENTENCE = re.compile(r"[^\n.!?。！？…]*[\n.!?。！？…]+|[^\n.!?。！？…]+")
_MOST_PAIRS = 40_000  # pairs of equal tokens, what difflib's time grows with: 10 ms, at worst 0.2 s
_MOST_TOKENS = 3_000
_AT_END, _AT_START = re.compile(r"(?<=\s)[^\s\u3400-\u9fff]{1,15}$"), re.compile(r"^[^\s\u3400-\u9fff]{1,15}(?=\s)")  # half words
_CONTEXT = 60  # characters of an equal run that are shown on each side of a fold
_INVISIBLE = {"\u00a0": "⍽", "\u3000": "␣"} | {
    chr(point): f"[U+{point:04X}]" for point in (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF)
}
_BLANK = {" ": "·", "\n": "↵\n", "\t": "⇥"}

Run = tuple[str, str, bool]
"""What stands on the left, what stands on the right, and whether the two are the same."""


def _affordable(left: Sequence[str], right: Sequence[str]) -> bool:
    if max(len(left), len(right)) > _MOST_TOKENS:
        return False
    there = Counter(right)
    return sum(times * there[token] for token, times in Counter(left).items() if not token.isspace()) <= _MOST_PAIRS


def _matched(left: Sequence[str], right: Sequence[str]) -> list[Run]:
    """Runs by difflib; white space is matched only beside a word that is, so that words changed in a row are one change."""
    codes = SequenceMatcher(str.isspace, left, right, autojunk=False).get_opcodes()
    return [("".join(left[a:b]), "".join(right[c:d]), kind == "equal") for kind, a, b, c, d in codes]


def _ends(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many tokens two sequences share at the start, and how many of the others at the end."""
    most = min(len(a), len(b))
    head = next((i for i in range(most) if a[i] != b[i]), most)
    return head, next((i for i in range(most - head) if a[-1 - i] != b[-1 - i]), most - head)


def differences(left: str, right: str) -> list[Run]:
    """What is equal and what differs, in order; the left sides joined are `left`, the right sides `right`.

    By words (Chinese: characters) with difflib; by sentences where that would be slow; the whole middle where even that would.
    """
    a, b = _WORD.findall(left), _WORD.findall(right)
    head, tail = _ends(a, b)
    same, ended = "".join(a[:head]), "".join(a[len(a) - tail :])
    a, b = a[head : len(a) - tail], b[head : len(b) - tail]
    if _affordable(a, b):
        middle = _matched(a, b)
    else:
        a, b = _SENTENCE.findall("".join(a)), _SENTENCE.findall("".join(b))
        middle = _matched(a, b) if _affordable(a, b) else [("".join(a), "".join(b), False)]
    runs: list[Run] = []
    for one, other, equal in ((same, same, True), *middle, (ended, ended, True)):
        if runs and runs[-1][2] == equal:
            one, other = runs[-1][0] + one, runs.pop()[1] + other
        if one or other:
            runs.append((one, other, equal))
    return runs


def _without_cut_ends(runs: list[Run]) -> list[Run]:
    """Of two texts cut at the same length, one goes on where the other ended: that is no difference."""
    if runs and not runs[-1][2] and not (runs[-1][0] and runs[-1][1]):
        return [*runs[:-1], (runs[-1][0], runs[-1][1], True)]
    return runs


def _fold(string: str, *, first: bool, last: bool) -> list[object]:
    head, tail = (0 if first else _CONTEXT), (0 if last else _CONTEXT)
    if first and last:
        head = 4 * _CONTEXT
    hidden = len(string) - head - tail
    if hidden < _CONTEXT:
        return [string]
    fold = tag("span", "⋯", class_="fold", title=f"{hidden:,} characters that are the same")
    start, end = string[:head], string[len(string) - tail :] if tail else ""
    return [_AT_END.sub("", start), fold, _AT_START.sub("", end)]


def _changed(name: str, string: str, room: int) -> Html:
    shown = string[: max(room, 0)] + ("…" if len(string) > room else "")
    marks = _INVISIBLE if shown.strip() else _INVISIBLE | _BLANK
    return tag(name, "".join(marks.get(sign, sign) for sign in shown)) if shown else Html()


def diff(left: object, right: object, *, names: tuple[str, str] = ("before", "after"), limit: int = 600, cut: int = 2_000) -> Html:
    """Two texts side by side, deletions marked on the left and insertions on the right.

    `limit`: characters shown of each side, folds aside. `cut`: the length at which the texts were cut before they came here, so
    that an end that only one of them has is not taken for a change.
    """
    one, other = plain(left), plain(right)
    runs = differences(one, other)
    if max(len(one), len(other)) >= cut:
        runs = _without_cut_ends(runs)
    sides: tuple[list[object], list[object]] = ([], [])
    used = [0, 0]
    for place, (before, after, same) in enumerate(runs):
        for side, (name, string) in enumerate((("del", before), ("ins", after))):
            if used[side] > limit:
                continue
            if same:
                parts = _fold(string, first=place == 0, last=place == len(runs) - 1)
                used[side] += sum(len(part) for part in parts if not isinstance(part, Html) and isinstance(part, str))
            else:
                parts = [_changed(name, string, limit - used[side])]
                used[side] += len(string)
            sides[side].extend(parts)
            if used[side] > limit:
                sides[side].append("…")
    columns = [
        tag("div", tag("h4", name), tag("div", join(parts), class_="text", dir="auto", lang=language(string)))
        for name, parts, string in zip(names, sides, (one, other), strict=True)
    ]
    return tag("div", *columns, class_="sides")
