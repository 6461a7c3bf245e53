"""A text into the numbers that it states, in digits of either width, in Chinese numerals and in English words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Number", "numbers", "of_numerals", "one_width"]

_WIDTH = {0xFF01 + i: chr(0x21 + i) for i in range(94)} | {0x3000: " ", 0x00A0: " ", 0x2007: " ", 0x202F: " "}

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_SCALES = _MYRIADS | {"百": 100, "千": 1000, "百万": 10**6, "千万": 10**7, "百萬": 10**6, "千萬": 10**7, "万亿": 10**12}
_SCALES |= {"thousand": 10**3, "million": 10**6, "mln": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "bln": 10**9}
_SCALES |= {"trillion": 10**12}
_SHORT = {"k": 10**3, "m": 10**6, "b": 10**9}  # behind a sum of money: £1.8m

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen".split()
_WORDS = {word: value for value, word in enumerate([*_SMALL, "eighteen", "nineteen"])}
_WORDS |= {word: 20 + 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())}
_POWERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}

_SKIPPED = re.compile(
    r"https?://\S+|www\.\S+|\S+@\S+|&#\d+;"
    r"|(?m:^[ \t]*(?:#{1,6}[ \t]*\d{1,3}(?:\.\d{1,3})*[.、) \t]|\d{1,3}[.)、](?!\d)|\(\d{1,3}\)))"  # marks of headings and items
)
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_ARABIC = re.compile(rf"(?:\d+(?:\.\d+){{2,}}|(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?)(?:[ ]?(?P<scale>{_SCALE})(?![A-Za-z]))?")
_MONEY = re.compile(r"[kKmMbB](?![A-Za-z])")
_NUMERALS = re.compile(rf"[{''.join([*_DIGITS, *_UNITS, *_MYRIADS])}]+")
_WORD = "|".join([*sorted(_WORDS, key=len, reverse=True), *_POWERS])
_ENGLISH = re.compile(rf"(?i)\b(?:{_WORD})(?:[ -](?:and )?(?:{_WORD}))*\b")


@dataclass(frozen=True)
class Number:
    """A number where it stands in a text."""

    begin: int
    end: int
    text: str  # in half width
    value: Fraction  # 3万 and 1.2 million with what they are multiplied by; of a share in per cent the figure before the sign


def one_width(text: str) -> str:
    """Full-width letters, digits and marks as half-width ones, and spaces of other widths as spaces; the length stays."""
    return text.translate(_WIDTH)


def numbers(text: str, *, small: bool = False) -> list[Number]:
    """The numbers of a text, in order. Numbers of list items and headings, in addresses and in names (A380, COVID-19) are none.

    Args:
        small: single Chinese numerals (三人) and English words (three) count as well; they need not be meant as numbers.
    """
    plain = _SKIPPED.sub(lambda match: " " * len(match[0]), one_width(text))
    found = [*_arabic(plain), *_chinese(plain, small)]
    if small:
        found += [
            Number(match.start(), match.end(), match[0], Fraction(_of_words(re.findall(_WORD, match[0].lower()))))
            for match in _ENGLISH.finditer(plain)
            if match[0].lower() not in _POWERS or not re.search(r"\d ?$", plain[: match.start()][-2:])  # 3 million is one number
        ]
    return sorted(found, key=lambda number: number.begin)


def _arabic(plain: str) -> Iterator[Number]:
    for match in _ARABIC.finditer(plain):
        if re.search(r"[A-Za-z_]-?$", plain[max(match.start() - 2, 0) : match.start()]):
            continue
        if re.match(r"[AC-JLN-Z](?![A-Za-z])", plain[match.end() : match.end() + 2]):  # 5G, 3D
            continue
        scale = match["scale"]
        figures = match[0].removesuffix(scale or "").rstrip(" ").replace(",", "")
        if figures.count(".") > 1:  # a date
            for part in re.finditer(r"\d+", match[0]):
                yield Number(match.start() + part.start(), match.start() + part.end(), part[0], Fraction(part[0]))
        else:
            end = match.end()
            factor = _SCALES[scale] if scale else 1
            if not scale and plain[match.start() - 1 : match.start()] in tuple("$£€") and (short := _MONEY.match(plain, end)):
                factor, end = _SHORT[short[0].lower()], short.end()
            yield Number(match.start(), end, plain[match.start() : end], Fraction(figures) * factor)


def _chinese(plain: str, small: bool) -> Iterator[Number]:
    for match in _NUMERALS.finditer(plain):
        numerals = match[0]
        if plain[match.start() - 1 : match.start()].isdigit():  # the scale of a number in digits
            continue
        if len(numerals) == 1 and (not small or numerals in "零〇一" or plain.startswith(("十分", "十足"), match.start())):
            continue
        value = of_numerals(numerals)
        if value is not None:
            yield Number(match.start(), match.end(), numerals, Fraction(value))


def of_numerals(numerals: str) -> int | None:
    """Chinese numerals as a number: 三百二十, 二〇二六, 一百二 (120). None where they are none, as in 三四十 and 万一."""
    if all(char in _DIGITS for char in numerals):
        if len(numerals) > 1 and not (set(numerals) & {"零", "〇"}) and not re.fullmatch("一[八九].{2}", numerals):
            return None  # 三三, 五六: about so many, or no number; 一九四九 is a year
        return int("".join(str(_DIGITS[char]) for char in numerals))
    total = section = 0
    digit: int | None = None
    before = ""
    unit = 1
    for char in numerals:
        if char in _DIGITS:
            if digit not in (None, 0):
                return None
            digit = _DIGITS[char]
        elif char in _UNITS:
            if not digit and (char != "十" or before not in ("", "零", "〇", *_MYRIADS)):
                return None
            unit = _UNITS[char]
            section += (digit or 1) * unit
            digit = None
        else:
            if not (section or digit) and before not in ("万", "萬"):
                return None
            unit = _MYRIADS[char]
            total = (total + section + (digit or 0)) * unit if unit > total else total + (section + (digit or 0)) * unit
            section, digit = 0, None
        before = char
    if digit and unit >= 100 and numerals[-2] not in "零〇":
        digit *= unit // 10
    return total + section + (digit or 0)


def _of_words(words: list[str]) -> int:
    total = section = 0
    for word in words:
        if word in _WORDS:
            section += _WORDS[word]
        elif word == "hundred":
            section = (section or 1) * 100
        else:
            total += (section or 1) * _POWERS[word]
            section = 0
    return total + section
