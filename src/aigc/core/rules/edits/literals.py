"""A text into the places that no edit of style may touch: code, front matter, formulas, addresses, tags and numbers."""

import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

__all__ = ["HAN", "Kind", "Place", "Places", "places"]

Kind = Literal["front", "code", "formula", "address", "tag", "name", "number"]

HAN = r"\u3007\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U000323AF"
"""Han characters, for the inside of a class of Python's regular expressions."""

_PLAIN = r"[!#-'*-;=?-\[\]-_a-~]"  # of an address: ASCII less quotes, brackets, < > \ and `
_ENDS = r"[A-Za-z0-9/#&=_~%+$@*-]"
_ADDRESS = (
    rf"(?:(?:https?|ftp|file)://|www\.)(?:{_PLAIN}|\({_PLAIN}*\))*(?:{_ENDS}|\({_PLAIN}*\))"
    rf"(?:(?<=[/=])[{HAN}]+(?:(?=[/?#&=]){_PLAIN}*{_ENDS}|(?=\s|\Z)))*"
)
_FORMS: tuple[tuple[Kind, tuple[str, ...], str], ...] = (  # kind, what a text without any of which has none, form
    ("front", ("---",), r"\A---[ \t]*\n(?:(?!(?:---|\.\.\.)[ \t]*$)[^\n]*\n)*(?:---|\.\.\.)[ \t]*(?=\n|\Z)"),
    (
        "code",
        ("```", "~~~"),
        r"^[ \t>]*(?P<fence>```+|~~~+)[^\n]*(?:\n(?![ \t>]*(?P=fence))[^\n]*)*(?:\n[ \t>]*(?P=fence)[`~]*[ \t]*|\Z)",
    ),
    ("code", ("    ", "\t"), r"(?:\A|(?<=\n\n))(?:(?:[ ]{4}|\t)[^\n]*(?:\n|\Z))+"),
    ("code", ("`",), r"(?<!`)(?P<ticks>`+)(?!`)[^\n]*?(?<!`)(?P=ticks)(?!`)"),
    ("formula", ("$",), r"\$\$[^$]+\$\$|(?<![\\$\w])\$(?=[^\s\d])[^$\n]*?(?<=[^\s\\])\$(?![A-Za-z0-9$])"),
    ("formula", ("\\(", "\\["), r"\\\([^\n]+?\\\)|\\\[[\s\S]+?\\\]"),
    ("address", ("](",), r"(?<=\])\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*(?:[ \t]+\"[^\"\n]*\")?\)"),
    ("address", ("://", "www."), _ADDRESS),
    ("address", ("@",), r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    (
        "address",
        (".com", ".net", ".org", ".edu", ".gov", ".cn", ".io", ".ai"),
        r"(?<![A-Za-z0-9.-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:com|net|org|edu|gov|cn|io|ai)(?![A-Za-z0-9])"
        rf"(?:/(?:{_PLAIN}*{_ENDS})?)?",
    ),
    ("address", ("/",), r"(?<![A-Za-z0-9_/.~])(?:~|\.{1,2})?(?:/[A-Za-z0-9_.-]+){2,}"),
    ("tag", ("<", "&"), r"</?[A-Za-z][^<>\n]*>|<!--[\s\S]*?-->|&(?:[A-Za-z]+|#[0-9]+);"),
    ("name", ("#", "@"), r"(?<![A-Za-z0-9_&#])#[\w·-]+#?|(?<![\w@])@[\w·-]+"),
    ("number", (".",), r"(?<![A-Za-z0-9.])[vV]?[0-9]+(?:\.[0-9]+)+(?:-[A-Za-z]+(?:\.?[0-9]+)*)?%?"),
    ("number", (), r"[0-9]+(?:[.,:/-][0-9]+)*[%％‰]?|[０-９]+(?:[．，：／－][０-９]+)*[%％‰]?"),
)
_KINDS: frozenset[Kind] = frozenset(get_args(Kind))


@cache
def _pattern(forms: tuple[int, ...]) -> re.Pattern[str]:
    """Some of the forms; the name of a match's group says which it is."""
    return re.compile("|".join(f"(?P<f{number}>{_FORMS[number][2]})" for number in forms), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """`text[begin:end]`, in characters."""

    kind: Kind
    begin: int
    end: int


class Places:
    """The literal places of a text, in their order, apart from each other."""

    def __init__(self, found: list[Place]) -> None:
        self.all = found
        self._begins = [place.begin for place in found]

    def at(self, begin: int, end: int) -> Place | None:
        """The place that `text[begin:end]` touches, or that an insertion at `begin` would part."""
        number = bisect_right(self._begins, begin) - 1
        if number >= 0 and begin < self.all[number].end and (begin < end or begin > self.all[number].begin):
            return self.all[number]
        if begin < end and number + 1 < len(self.all) and self.all[number + 1].begin < end:
            return self.all[number + 1]
        return None


def places(text: str, kinds: Collection[Kind] = _KINDS) -> Places:
    """The literal places of some kinds. A fence that is never closed holds all that follows it.

    Kinds: front (front matter), code (fenced, indented or between backticks), formula (LaTeX), address (URLs, e-mail, paths, the
    targets of links), tag (HTML and entities), name (#topics and @names), number (amounts, dates, times, versions).
    """
    forms = tuple(
        number
        for number, (kind, signs, _) in enumerate(_FORMS)
        if kind in kinds and (not signs or any(sign in text for sign in signs))
    )
    if not forms:
        return Places([])
    found = (Place(_FORMS[int((match.lastgroup or "f0")[1:])][0], *match.span()) for match in _pattern(forms).finditer(text))
    return Places([place for place in found if place.begin < place.end])
