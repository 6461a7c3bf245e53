"""A text, Markdown or plain, into its lines: what each of them is, and the number that it begins with."""

import re
from dataclasses import dataclass
from typing import Literal

from aigc.core.rules.numbers import of_numerals, one_width

__all__ = ["Line", "Mark", "lines_of", "prose_of"]

Kind = Literal["blank", "heading", "item", "prose", "quote", "table", "fence", "code"]

_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}
_NAMED = {name: i for i, name in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), start=1)}
_ORDINAL = {name: i for i, name in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), start=1)}
_RANKS = {"卷": 1, "部": 1, "部分": 1, "篇": 1, "part": 1, "book": 1, "章": 2, "回": 2, "chapter": 2, "act": 2}
_RANKS |= {"节": 3, "幕": 3, "section": 3, "scene": 3, "步": 4, "天": 4, "step": 4, "day": 4}

_HASHES = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_BULLET = re.compile(r"[ \t]*[-*+•·●▪◦][ \t]+")
_NUMERALS = "一二三四五六七八九十"
_MARKS = [  # a name for the kind of number, and how it is written at the beginning of a line
    ("1.1", re.compile(r"(\d{1,2}(?:\.\d{1,2})+)[.、]?[ \t]+")),
    ("1.", re.compile(r"(\d{1,2})(?:[.)][ \t]+|[.)、](?=[^\d\s.)]))")),
    ("(1)", re.compile(r"\((\d{1,2})\)[ \t]*")),
    ("①", re.compile(r"([①-⑳])[ \t]*")),
    ("一、", re.compile(rf"([{_NUMERALS}]{{1,3}})[、.][ \t]*")),
    ("（一）", re.compile(rf"\(([{_NUMERALS}]{{1,3}})\)[ \t]*")),
]
_CHAPTER = re.compile(r"第([零〇一二三四五六七八九十百两\d]{1,5})(章|节|回|部分|部|篇|卷|幕|步|天)(?=[\s:、.,·-]|$)[\s:、.,·-]*")
_ENGLISH = re.compile(
    r"(?i)(chapter|part|book|act|section|scene|step|day)[ \t]+(\d{1,3}|[ivxl]{1,7}|[a-z]{3,6})(?=[\s:.,—–-]|$)[\s:.,—–-]*"
)
_PLAIN_HEADING = 40  # characters of a line that is a heading without Markdown, at most


@dataclass(frozen=True)
class Mark:
    """The number that a heading or an item begins with."""

    family: str  # how it is written: "1.", "(1)", "①", "一、", "（一）", "1.1", "第章", "chapter"
    number: tuple[int, ...]
    end: int  # characters of the line that it takes


@dataclass(frozen=True)
class Line:
    """A line of a text."""

    begin: int
    text: str  # without the line break
    kind: Kind
    level: int = (
        0  # of a heading: 1 to 6 in Markdown, from 7 on for 第一章 and Chapter 1; of an item: the columns that it is indented
    )
    title: str = ""  # what a heading says behind its number
    mark: Mark | None = None

    @property
    def end(self) -> int:
        """Behind its last character."""
        return self.begin + len(self.text)


def lines_of(text: str) -> list[Line]:
    """All lines, in order. A heading is a line with `#`, or a short one such as 第三章 雨夜 and Chapter 3: Rain."""
    lines: list[Line] = []
    fence = ""
    begin = 0
    front = text.startswith("---\n") and re.search(r"\n---[ \t]*(?:\n|$)", text[3:])
    body = 3 + front.end() if front else 0
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if begin < body:
            lines.append(Line(begin, line, "code"))
        elif fence:
            closed = opened is not None and opened[1].startswith(fence) and not opened[2].strip()
            lines.append(Line(begin, line, "fence" if closed else "code"))
            fence = "" if closed else fence
        elif opened and not (opened[1][0] == "`" and "`" in opened[2]):
            fence = opened[1]
            lines.append(Line(begin, line, "fence"))
        else:
            lines.append(_plain(begin, line))
        begin += len(line) + 1
    return lines


def _plain(begin: int, line: str) -> Line:
    if not line.strip() or _RULE.match(line):
        return Line(begin, line, "blank")
    if hashes := _HASHES.match(line):
        written = hashes[2] or ""
        mark = _mark(written, heading=True)
        return Line(begin, line, "heading", len(hashes[1]), _bare(written[mark.end :] if mark else written), mark)
    stripped = line.lstrip(" \t\u3000")
    indent = len(line) - len(stripped)
    if stripped.startswith("|"):
        return Line(begin, line, "table")
    if stripped.startswith(">"):
        return Line(begin, line, "quote")
    mark = _mark(stripped, heading=False)
    if mark is None and (mark := _chapter(stripped)) is not None:
        rest = stripped[mark.end :]
        if len(stripped.rstrip()) <= _PLAIN_HEADING and not re.search(r"[,，。！？!?;；]", rest):
            return Line(begin, line, "heading", 6 + _RANKS[mark.family.removeprefix("第")], _bare(rest), mark)
        mark = None
    if mark is not None:
        return Line(begin, line, "item", indent, mark=Mark(mark.family, mark.number, mark.end + indent))
    return Line(begin, line, "item" if _BULLET.match(line) else "prose", indent)


def _mark(written: str, *, heading: bool) -> Mark | None:
    """The number at the beginning of a heading or of an item."""
    if heading and (chapter := _chapter(written)):
        return chapter
    plain = one_width(written)
    for family, pattern in _MARKS:
        if (family != "1.1" or heading) and (match := pattern.match(plain)):
            number = _number(family, match[1])
            return None if number is None else Mark(family, number, match.end())
    return None


def _number(family: str, written: str) -> tuple[int, ...] | None:
    if family == "①":
        return (ord(written) - ord("①") + 1,)
    if family in ("一、", "（一）"):
        value = of_numerals(written)
        return None if value is None else (value,)
    return tuple(map(int, written.split(".")))


def _chapter(written: str) -> Mark | None:
    plain = one_width(written)
    if match := _CHAPTER.match(plain):
        value = int(match[1]) if match[1].isdecimal() else of_numerals(match[1])
        return None if value is None else Mark(f"第{match[2]}", (value,), match.end())
    if match := _ENGLISH.match(plain):
        value = _counted(match[2].lower())
        return None if value is None else Mark(match[1].lower(), (value,), match.end())
    return None


def _counted(word: str) -> int | None:
    """3, iii and three as 3."""
    if word.isdecimal():
        return int(word)
    if word in _NAMED or word in _ORDINAL:
        return _NAMED.get(word) or _ORDINAL[word]
    if set(word) <= set(_ROMAN):
        values = [_ROMAN[char] for char in word]
        return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    return None


def _bare(title: str) -> str:
    return re.sub(r"[*_`\s]+", " ", title).strip(" :：")


def prose_of(text: str, lines: list[Line]) -> str:
    """The text of the same length in which code, addresses on the web and comments are spaces."""
    parts = [" " * len(line.text) if line.kind in ("code", "fence") else line.text for line in lines]
    return re.sub(
        r"(`+)(?!`)[^\n]*?(?<!`)\1(?!`)|https?://[^\s，。）]+|<!--.*?-->",
        lambda match: re.sub(r"[^\n]", " ", match[0]),
        "\n".join(parts),
        flags=re.DOTALL,
    )
