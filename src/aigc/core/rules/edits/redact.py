"""Personal data into typed placeholders."""

import re
from typing import Literal

import polars as pl
from pydantic import Field

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["Redact"]

Secret = Literal["email", "phone"]


class Redact(Edit):
    """Replace personal data by typed placeholders: [EMAIL], [PHONE].

    Phone numbers are mainland Chinese mobiles and land lines, numbers with a country code, and North American ones.
    Boundaries look at digits, not at words, so they hold between Han characters.
    """

    shorthand = "kinds"

    kinds: list[Secret] = Field(["email", "phone"], min_length=1)
    """what to replace"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(lambda texts: _redact(texts, self.kinds), return_dtype=pl.String)


_SECRETS: dict[Secret, tuple[str, re.Pattern[str]]] = {
    # a cheap sign that an expression can look for, and the exact pattern
    "email": ("@|＠", re.compile(
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}[@＠](?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}")),
    "phone": (r"[0-9][0-9)） .-]{5,}[0-9]", re.compile(r"""
        (?<![0-9A-Za-z_.+-])(?:
            (?:\(?(?:\+|00)86\)?[\s-]?)?1[3-9][0-9][\s-]?[0-9]{4}[\s-]?[0-9]{4}        # mobile, China
          | (?:\(?(?:\+|00)86\)?[\s-]?)?(?:[(（]0[1-9][0-9]{1,2}[)）]\s?|0[1-9][0-9]{1,2}[ -]?)[1-9][0-9]{6,7}  # land line, China
          | \+[1-9][0-9]{0,2}[\s-]?(?:\(0?[0-9]{1,4}\)[\s-]?)?[0-9]{2,5}(?:[\s-]?[0-9]{2,5}){1,4}(?!\.[0-9])  # with country code
          | (?:1[\s.-])?(?:\([2-9][0-9]{2}\)\s?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[\s.-][0-9]{4}          # North America
        )(?![0-9])""", re.VERBOSE)),
}  # fmt: skip


def _redact(texts: pl.Series, kinds: list[Secret]) -> pl.Series:
    for kind in kinds:
        sign, pattern = _SECRETS[kind]
        rows = texts.str.contains(sign).arg_true()
        if len(rows):
            texts = texts.scatter(rows, [_replace(pattern, f"[{kind.upper()}]", text) for text in texts.gather(rows)])
    return texts


def _replace(pattern: re.Pattern[str], placeholder: str, text: str) -> str:
    """Replace until nothing is left to replace: two numbers may touch."""
    while (after := pattern.sub(placeholder, text)) != text:
        text = after
    return text
