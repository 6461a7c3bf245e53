"""Measures of a text against fields of its own row: facts that it does not carry, and numbers that it made up."""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BeforeValidator, Field, field_validator

from aigc.core.rules.numbers import numbers, one_width
from aigc.core.rules.rule import TEXT, Bound, Measure, column

__all__ = ["InventedNumbers", "MissingFacts"]

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACES = re.compile(r"\s+")
_FREE = re.compile(
    rf" (?=[{_HAN}，。、：；！？《》“”（）])|(?<=[{_HAN}，。、：；！？《》“”（）]) "
)  # a space that Chinese may have or not


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Given(Measure):
    scale: ClassVar[Literal["share", "count", "ratio"]] = "count"
    shorthand: ClassVar[str | None] = "fields"

    fields: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = Field(..., min_length=1)
    """columns of the row, e.g. [who, when, amount]"""
    max: Bound | None = 0
    """the most that are kept"""

    @field_validator("fields")
    @classmethod
    def _are_no_texts(cls, fields: list[str]) -> list[str]:
        if "text" in fields:
            raise ValueError("text is the document itself; name the fields that were given with it")
        return list(dict.fromkeys(fields))

    def columns(self) -> list[str]:
        return self.fields

    def value(self) -> pl.Expr:
        return self._read(lambda wrong: float(len(wrong)), pl.Float64)

    def detail(self) -> pl.Expr:
        return self._read("; ".join, pl.String)

    @classmethod
    @abstractmethod
    def _found(cls, text: str, given: Sequence[tuple[str, Any]]) -> list[str]:
        """A text, and the names and values of fields, into what is wrong with it, each in words."""

    def _read(self, told: Callable[[list[str]], Any], dtype: type[pl.DataType]) -> pl.Expr:
        def rows(documents: pl.Series) -> pl.Series:
            return pl.Series([told(self._found(text, given)) for text, given in self._rows(documents)], dtype=dtype)

        whole = pl.struct(TEXT, *(column(name) for name in self.fields))
        return whole.map_batches(rows, return_dtype=dtype)

    def _rows(self, documents: pl.Series) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
        for row in documents.struct.unnest().iter_rows():
            yield row[0], [(name, one) for name, value in zip(self.fields, row[1:], strict=True) for one in _each(value)]


class MissingFacts(_Given):
    """Facts, given as fields of the row, that do not stand in the text as they were given: names, numbers, dates.

    Only width and spaces may differ, and which apostrophe is used: 2026年11月3日 is not 2026-11-03, and 1200 is not 1,200. A fact
    that is a part of another name or number does not count: 12 is not in 123, 12.5, -12 and 12万, Li not in Lima. A field that is
    null or empty gives no fact; one that is a list gives several.
    """

    @classmethod
    def _found(cls, text: str, given: Sequence[tuple[str, Any]]) -> list[str]:
        plain = _folded(text)
        return [f"{name}: {value}" for name, value in given if not any(_states(plain, form) for form in _forms(value))]


class InventedNumbers(_Given):
    """Different numbers in the text that none of the given fields states, by value: 1,200 is 1200, 三百 is 300, 3万 is 30000.

    Numbers in digits and Chinese numerals of two characters or more count; English words, single numerals, the numbers of list
    items, of addresses on the web and in names (A380, COVID-19) do not.
    """

    @classmethod
    def _found(cls, text: str, given: Sequence[tuple[str, Any]]) -> list[str]:
        known = {number.value for _, value in given for form in _forms(value) for number in numbers(form, small=True)}
        return list(dict.fromkeys(number.text for number in numbers(text) if number.value not in known))


def _each(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None and str(one).strip()]


def _forms(value: Any) -> list[str]:
    """How a value may be written: a column that holds 1200 and 0.5 has 1200.0."""
    return [str(value), str(int(value))] if isinstance(value, float) and value.is_integer() else [str(value)]


def _folded(text: str) -> str:
    """Half width, single spaces, none beside Chinese."""
    return _FREE.sub("", _SPACES.sub(" ", one_width(text).replace("’", "'"))).strip()


def _states(plain: str, fact: str) -> bool:
    return _pattern(fact).search(plain) is not None


@lru_cache(4096)
def _pattern(fact: str) -> re.Pattern[str]:
    """A fact that is not a part of a longer name or number."""
    folded = _folded(fact)
    before = after = ""
    if folded[0].isdecimal():
        before = r"(?<!\d)(?<!\d[.,])(?<!(?<![\w%)])[-−])"
    elif re.match(rf"[^\W\d_{_HAN}]", folded):
        before = rf"(?<![^\W\d_{_HAN}])"
    if folded[-1].isdecimal():
        after = r"(?!\d|[.,]\d| ?(?:[%‰十百千万萬亿億]|hundred|thousand|million|billion|trillion|bn\b))"
    elif re.search(rf"[^\W\d_{_HAN}]$", folded):
        after = rf"(?![^\W\d_{_HAN}])"
    return re.compile(before + re.escape(folded) + after)
