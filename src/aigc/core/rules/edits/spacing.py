"""Chinese text mixed with words and numbers into one spacing and one width of punctuation."""

import re
import unicodedata
from typing import Literal

import polars as pl

from aigc.core.rules.diffs import Change, apply
from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import HAN, Places, places
from aigc.core.rules.rule import Edit

__all__ = ["Spacing"]

_ROUNDS = 4  # one changes what it can, one more sees what that laid open; the last finds nothing


class Spacing(Edit):
    """Space and punctuate Chinese text by context: 用GPT-2训练,效果好. to 用 GPT-2 训练，效果好。 Source: autocorrect 2.14.

    Punctuation after Chinese becomes full-width, letters and digits half-width. Code, front matter, formulas, addresses, tags,
    #topics and @names stay, and no number gets a space or another mark inside it. Straight quotes, text without Chinese, and
    Japanese and Korean (which have other habits) stay.
    """

    shorthand = "spaces"

    spaces: Literal["add", "keep"] = "add"
    """between Chinese characters and letters or digits: put a space (most software houses), or leave what is there (most
    newspapers)"""

    def text(self) -> pl.Expr:
        return each(self._spaced, where=r"[\p{Han}\x{FF10}-\x{FF19}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}]")

    def _spaced(self, text: str) -> str:
        han = len(_ONE_HAN.findall(text))
        if len(_EASTERN.findall(text)) * 20 > han and _EASTERN.search(text):
            return text
        for _ in range(_ROUNDS):
            was, text = text, self._once(text)
            if text == was:
                break
        return text

    def _once(self, text: str) -> str:
        text = _punctuated(text)
        from autocorrect_py import format  # here, for the rules are imported with the project file's schema

        kept = places(text)
        changes = [one for one in _steps(text, format(text)) if self._is_wanted(text, one, kept)]
        return apply(text, changes)

    def _is_wanted(self, text: str, change: Change, kept: Places) -> bool:
        begin, end, put = change
        place = kept.at(begin, end)
        if begin == end:
            return self.spaces == "add" and place is None
        if not put:  # a space that goes: only beside marks that are full-width themselves, for “ and ” are English marks as well
            return place is None and bool(_TIGHT.search(text[max(begin - 1, 0) : end + 1]))
        if put.isalnum():
            return place is None or (place.kind == "number" and unicodedata.normalize("NFKC", text[begin:end]) == put)
        if place is not None and place.kind == "number":
            return place.end - place.begin > 1 and unicodedata.normalize("NFKC", text[begin:end]) == put  # １２：３０
        return place is None and not put.isspace() and not _is_english(text, begin)


_ONE_HAN = re.compile(f"[{HAN}]")
_LETTERS = re.compile("[A-Za-z]+")
_EASTERN = re.compile(r"[\u3041-\u3096\u30A1-\u30FA\uFF66-\uFF9D\uAC00-\uD7AF]")
_TIGHT = re.compile(r"[，。！？；：、（）《》「」『』【】]")
_WIDE = str.maketrans(",;:!?", "，；：！？")
_INNER = rf"(?P<before>[{HAN}”」』）》】])[ ]?(?P<mark>[,;:!?])(?:[ ]?(?=[{HAN}“「『（《【])|(?=[ \t]*$))"
_AFTER_WORD = rf"(?P<word>[A-Za-z0-9%％‰)])(?P<sign>[,;!?])[ ]?(?=[{HAN}“「『（《【])"
_STOP = rf"(?<=[{HAN}”」』）》】])(?P<stop>\.)(?=[ \t]*$|[”」』）])"
_MARKS = re.compile(f"{_INNER}|{_AFTER_WORD}|{_STOP}", re.MULTILINE)
_BRACKETS = re.compile(rf"(?<=[{HAN}，。！？；：、])\((?P<inside>[^()（）\n]*[{HAN}][^()（）\n]*)\)")


def _punctuated(text: str) -> str:
    """What autocorrect leaves: `是的;对`, `增长了5%,达到`, `你好 , 世界`, and brackets round Chinese."""
    kept = places(text)

    def wide(found: re.Match[str]) -> str:
        last = found.end() - 1
        place = kept.at(found.start() + (1 if found["word"] else 0), found.end())
        if place is not None and place.begin <= last:
            return found[0]
        if _is_english(text, last):
            return found[0]
        if found["stop"]:
            return "。"
        if found["word"]:
            return found["word"] + found["sign"].translate(_WIDE)
        return found["before"] + found["mark"].translate(_WIDE)

    def round_brackets(found: re.Match[str]) -> str:
        touched = kept.at(found.start(), found.start() + 1) or kept.at(found.end() - 1, found.end())
        return found[0] if touched else f"（{found['inside']}）"

    # brackets first: the places are those of the old text, and brackets keep their length
    return _MARKS.sub(wide, _BRACKETS.sub(round_brackets, text))


def _is_english(text: str, at: int) -> bool:
    """Whether the line is English that has a Chinese word: more words of letters than Han characters."""
    line = text[text.rfind("\n", 0, at) + 1 : (text.find("\n", at) + 1 or len(text) + 1) - 1]
    return len(_ONE_HAN.findall(line)) < len(_LETTERS.findall(line))


def _steps(before: str, after: str) -> list[Change]:
    """What autocorrect did, character by character: it puts and takes spaces, and changes single characters; nothing else."""
    found: list[Change] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = before[i : i + 1], after[j : j + 1]
        if old == new:
            i, j = i + 1, j + 1
        elif new == " " and not old.isspace():
            found.append((i, i, " "))
            j += 1
        elif old.isspace() and new != " ":
            found.append((i, i + 1, ""))
            i += 1
        elif old and new:
            found.append((i, i + 1, new))
            i, j = i + 1, j + 1
        else:
            return []  # it did something else: nothing of it is taken
    return found
