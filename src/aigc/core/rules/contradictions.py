"""A title and its text into the numbers and names of the title that the text states differently."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from aigc.core.rules.lint import Lint
from aigc.core.rules.numbers import Number, numbers, one_width

__all__ = ["title_lints"]

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾"
    "夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_LONG = 400  # Latin letters, or half as many Chinese characters
_MEASURES = "度元岁吨米"
_PLACES = "市县区镇乡村省州港岛湖河"
_GENERIC = re.compile(r"\W*(?:and|or|of|in|the|to|for|a|more|new|old|at|on|per|years?|days?|times?|ways?)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def title_lints(title: str, body: str) -> Iterator[Lint]:
    """What the text contradicts. Few false alarms are wanted, so much is let through.

    A number is a fault where the text has another number of the same things and never the title's; or where it is a telling one
    (three digits or more but no year, a fraction) and a text that is not short has such numbers, but never that one. A name is a
    fault where the text never has it and has another that differs in a letter or two (in one character of a Chinese name of
    three). Few false alarms are wanted, so much is let through.

    Args:
        body: without the title; spans are its own.
    """
    stated = numbers(body, small=True)
    values = {number.value for number in stated}
    is_long = len(body) + len(re.findall(f"[{_HAN}]", body)) >= _LONG
    plain_title, plain = one_width(title), one_width(body)
    for number in numbers(title, small=True):
        if number.value == 1 or any(_rounds(number, value) for value in values):
            continue
        unit = _unit(plain_title, number)
        others = [other for other in stated if unit and _same(unit, _unit(plain, other))]
        if len({other.value for other in others}) == 1:
            yield Lint("title", others[0].begin, others[0].end, f"the title says {number.text}, the text {others[0].text}")
        elif is_long and _is_telling(number) and any(_is_telling(other) for other in stated):
            yield Lint("title", 0, 0, f"the title says {number.text}, which the text never does")
    yield from _latin_names(title, body)
    yield from _chinese_names(title, body)


def _rounds(number: Number, value: Fraction) -> bool:
    """Whether a number is a value, or what it is rounded to: 三百 for 312, 3 % for 3.4."""
    step = Fraction(1, number.value.denominator)
    step = max((Fraction(10) ** k for k in range(-6, 13) if (number.value / Fraction(10) ** k).denominator == 1), default=step)
    return number.value == value or abs(number.value - value) < step


def _is_telling(number: Number) -> bool:
    value = number.value
    return value.denominator > 1 or (value >= 100 and not 1900 <= value <= 2100)


def _unit(text: str, number: Number) -> str:
    """What is counted: the Chinese characters behind a number (two at most), a sign, or an English word."""
    behind = text[number.end : number.end + 40]
    if match := re.match(rf"\s?(%|[多余来]?[{_HAN}]{{1,2}}|°C?)", behind):
        unit = match[1].lstrip("多余来")
        return unit[0] if unit[:1] in tuple(_MEASURES) else unit
    if re.match(r" per ?cent\b", behind):
        return "%"
    match = re.match(r"[ -]([a-z]{3,})", behind, re.IGNORECASE)
    return "" if match is None or _GENERIC.match(match[1]) else match[1].lower()


def _same(unit: str, other: str) -> bool:
    if unit.isascii():
        return unit.removesuffix("s") == other.removesuffix("s")
    return unit == other and (len(unit) == 2 or unit in _MEASURES)  # 三个 may be three of anything


def _latin_names(title: str, body: str) -> Iterator[Lint]:
    """A capitalised word that the text spells otherwise."""
    there = {_stem(match[0]) for match in _WORD.finditer(body)}
    names = [match for match in _WORD.finditer(body) if match[0][0].isupper() and not _starts(body, match.start())]
    for word in dict.fromkeys(match[0] for match in _WORD.finditer(title) if match[0][0].isupper() and match[0].isascii()):
        plain = _stem(word)
        if len(plain) < 6 or any(plain in other or other in plain for other in there if len(other) >= 4):
            continue
        for match in names:
            other = _stem(match[0])
            inflected = plain[: min(len(plain), len(other)) - 1] == other[: min(len(plain), len(other)) - 1]  # Canada, Canadian
            if (
                other.isascii()
                and plain[0] == other[0]
                and not inflected
                and 0 < _distance(plain, other) <= (1 if len(plain) < 8 else 2)
            ):
                yield Lint("title", match.start(), match.end(), f"the title says {word}, the text {match[0]}")
                break


def _starts(text: str, place: int) -> bool:
    """Whether a sentence starts there, so that a capital says nothing."""
    before = text[:place].rstrip(" \t\"'“‘(")
    return not before or before[-1] in ".!?:\n"


def _stem(word: str) -> str:
    return re.sub(r"['’]s$", "", word).casefold()


def _distance(a: str, b: str) -> int:
    """Letters put in, left out or changed (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        last, row = row, [i, *row[1:]]
        for j, y in enumerate(b, start=1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
    return row[-1]


def _chinese_names(title: str, body: str) -> Iterator[Lint]:
    """A person or place of three characters of which the text changes one, the same one each time, and does so twice or more."""
    for begin in range(len(title) - 2):
        name = title[begin : begin + 3]
        if not re.fullmatch(f"[{_HAN}]{{3}}", name) or name in body:
            continue
        if name[0] in _SURNAMES:
            pattern = f"{name[0]}(?:{name[1]}[{_HAN}]|[{_HAN}]{name[2]})"
        elif name[2] in _PLACES:
            pattern = f"(?:{name[0]}[{_HAN}]|[{_HAN}]{name[1]}){name[2]}"
        else:
            continue
        found = [match for match in re.finditer(pattern, body) if match[0] not in title]
        if len(found) >= 2 and len({match[0] for match in found}) == 1 and not _shares(name, title, body):
            yield Lint("title", found[0].start(), found[0].end(), f"the title says {name}, the text {found[0][0]}")


def _shares(name: str, title: str, body: str) -> bool:
    """Whether the text has the characters of the name that the other one lacks beside its neighbours: it may be no name at all."""
    place = title.index(name)
    around = title[max(place - 1, 0) : place + 4]
    pairs = {a + b for a, b in pairwise(name)}
    return any(pair in body for pair in {a + b for a, b in pairwise(around)} - pairs)
