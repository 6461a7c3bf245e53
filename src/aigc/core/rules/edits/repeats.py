"""Text that a sampler wrote in a circle into text that says each thing once."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import polars as pl
from pydantic import Field

from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import Kind, Place, places
from aigc.core.rules.rule import Edit

__all__ = ["CollapseRepeats"]

_LONGEST = 1_000  # characters of a loop at the end
_RUN = 8  # lines or sentences of a loop
_FENCED: tuple[Kind, ...] = ("front", "code", "formula")


class CollapseRepeats(Edit):
    """Collapse what is said again and again: a line, a sentence, or a loop at the end of any length, into one.

    A loop is the shortest stretch that stands there `times` times in a row (the last may be cut off) and takes at least
    `characters` in all; a line or a sentence of so many characters is one when it stands there twice. Up to 8 lines or sentences
    may take turns in a loop. Code, tables, front matter, formulas and loops without a letter (rulers) stay, and so does what
    comes back later in the text. Applied until nothing more is found.
    """

    times: int = Field(3, ge=2)
    """how often it must stand there in a row"""
    characters: int = Field(20, ge=2)
    """the least that all of it takes"""

    def text(self) -> pl.Expr:
        return each(self._collapsed, where=r"(?s)\p{L}.*\p{L}")

    def _collapsed(self, text: str) -> str:
        while True:
            was = text
            text = _outside(self._end(text), self._lines)
            if text == was:
                return text

    def _is_loop(self, unit: str, times: int) -> bool:
        size = len(unit.strip())
        return any(map(str.isalpha, unit)) and (
            (times >= self.times and size * times >= self.characters) or (times >= 2 and size >= self.characters)
        )

    def _lines(self, text: str) -> str:
        lines = self._once(_LINE.findall(text), key=str.strip)
        return "".join(
            "".join(self._once(_SENTENCE.findall(line), key=str.strip)) if not _ROW.match(line) else line for line in lines
        )

    def _once(self, units: Sequence[str], key: Callable[[str], str]) -> list[str]:
        """The units, of each run of equals (or of up to 8 that take turns) the first."""
        kept: list[str] = list(units)
        keys = [key(unit) for unit in kept]
        if len(set(keys)) == len(keys):
            return kept
        for size in range(1, min(_RUN, len(kept) // 2) + 1):
            at = 0
            while at + 2 * size <= len(kept):
                first, times = keys[at : at + size], 1
                while keys[at + times * size : at + (times + 1) * size] == first:
                    times += 1
                if times > 1 and self._is_loop("".join(first), times) and not any(_ROW.match(one) for one in first):
                    last = kept[at + times * size - 1]  # keeps the line break, if any, behind the last
                    kept[at + size : at + times * size] = []
                    keys[at + size : at + times * size] = []
                    kept[at + size - 1] = kept[at + size - 1].rstrip() + last[len(last.rstrip()) :]
                at += 1
        return kept

    def _end(self, text: str) -> str:
        """A loop at the end, which may begin and stop anywhere: what stays ends where a sentence, a clause or a word does."""
        body = text.rstrip()
        tail = body[-(self.times + 1) * _LONGEST :]
        for period in range(1, min(_LONGEST, len(tail) // self.times) + 1):
            if tail[-1 - period] != tail[-1] or tail[-period:] != tail[-2 * period : -period]:
                continue
            begin = len(tail) - period
            while begin > 0 and tail[begin - 1] == tail[begin - 1 + period]:
                begin -= 1
            size = len(tail) - begin
            if size < max(self.times * period, self.characters) or not any(map(str.isalpha, tail[-period:])):
                continue
            begin += len(body) - len(tail)
            end = _good_end(body, begin + period, min(begin + 2 * period, len(body)))
            if self._may_go(body, end):
                return body[:end].rstrip() + text[len(body) :]
        return text

    def _may_go(self, text: str, end: int) -> bool:
        kept = [place for place in places(text).all if place.end > end]
        cut = any(place.begin < end and place.end < len(text) for place in kept)
        fenced = any(place.kind in _FENCED for place in kept)
        return not cut and not fenced and not _ROW.match(text[text.rfind("\n") + 1 :])


_LINE = re.compile(r"[^\n]*\n+|[^\n]+\Z")
_SENTENCE = re.compile(r"(?:[^.!?。！？…\n]|(?<=\S)[.](?=\S))*(?:[.!?。！？…]+[”’\"'」』）)\]]*[^\S\n]*|\n+|\Z)")
_ROW = re.compile(r"[ \t]*\|")
_ENDS = (
    re.compile(r"[。！？…][”’」』）]*|[.!?][\"'”’)]*(?=\s)"),
    re.compile(r"\n"),
    re.compile(r"[，；、：,;:](?=\s|[^\x00-\x7F])"),
    re.compile(r"[A-Za-z0-9](?![A-Za-z0-9'’-])|[^\S\n]|[^\x00-\x7F]"),
)


def _good_end(text: str, first: int, last: int) -> int:
    """The first end of a sentence from `first` to `last`; else of a line, a clause, a word; else `first`."""
    for ends in _ENDS:
        for found in ends.finditer(text, max(first - 3, 0)):
            if found.end() >= last:
                break
            if not text[found.end() : first].strip():  # at `first`, behind it, or white space before it
                return found.end()
    return first


def _outside(text: str, change: Callable[[str], str]) -> str:
    """The text, what is outside code, front matter and formulas changed."""
    fenced: list[Place] = places(text, _FENCED).all
    if not fenced:
        return change(text)
    edges = [0, *(edge for place in fenced for edge in (place.begin, place.end)), len(text)]
    return "".join(
        change(text[begin:end]) if number % 2 == 0 else text[begin:end] for number, (begin, end) in enumerate(pairwise(edges))
    )
