"""Numbers in digits, Chinese numerals and English words are read by value, and what only looks like one is let alone."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.rules.numbers import numbers, of_numerals


def values(text: str, *, small: bool = False) -> list[float]:
    return [float(number.value) for number in numbers(text, small=small)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("共1,200人，３．５万元", [1200, 35000]),
        ("1.2 million people and 3 thousand", [1_200_000, 3000]),
        ("£1.8m and $3bn, 5 m away", [1_800_000, 3_000_000_000, 5]),
        ("2026年11月3日", [2026, 11, 3]),
        ("2026.11.03", [2026, 11, 3]),
        ("2026-11-03 at 9:30", [2026, 11, 3, 9, 30]),
        ("10km in 2.5 hours, up 5.2%", [10, 2.5, 5.2]),
        ("三百二十人，二〇二六年，一亿二千万", [320, 2026, 120_000_000]),
        ("共 12 人。", [12]),
    ],
)
def test_values(text: str, expected: list[float]) -> None:
    assert values(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "A380, COVID-19, 5G, 3D",
        "https://example.org/2024/17 and a2026@example.org",
        "1. 首先\n2. 其次",
        "(1) one",
        "## 3.2 结果",
        "统一，万一，三三两两，百万，三四十人",
        "一个人，二是",
        "three people",
    ],
)
def test_what_is_no_number(text: str) -> None:
    assert values(text) == []


def test_small_numbers_count_where_they_are_wanted() -> None:
    assert values("三人, three hundred and five, twenty-one", small=True) == [3, 305, 21]
    assert values("一个，十分", small=True) == []
    assert values("3 million", small=True) == [3_000_000]


def test_places_are_those_of_the_text() -> None:
    text = "访问 http://a.cn/9 的有３２０人，约 1,500 次"
    assert [text[number.begin : number.end] for number in numbers(text)] == ["３２０", "1,500"]


@given(st.integers(0, 10**12))
def test_digits_with_and_without_separators_are_the_same(number: int) -> None:
    assert values(f"共 {number} 个") == values(f"共 {number:,} 个") == [number]


DIGITS = "零一二三四五六七八九"


def _written(number: int) -> str:
    """A number below ten thousand as it is written in Chinese."""
    out = ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            out += DIGITS[digit] + name
        elif out and number % unit and not out.endswith("零"):
            out += "零"
    return out


@given(st.integers(1, 9999), st.integers(0, 9999))
def test_chinese_numerals(high: int, low: int) -> None:
    assert of_numerals(_written(high)) == high
    zero = "零" if 0 < low < 1000 else ""
    assert of_numerals(_written(high) + "万" + zero + _written(low)) == high * 10_000 + low
    assert of_numerals(_written(high) + "亿") == high * 10**8


def test_fractions_are_exact() -> None:
    assert [number.value for number in numbers("0.1 0.2")] == [Fraction(1, 10), Fraction(1, 5)]
