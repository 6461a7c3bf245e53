"""Personal data and secrets into typed placeholders."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import get_args

import polars as pl
from pydantic import Field

from aigc.core.rules.edits.secrets import SHAPES, Kind
from aigc.core.rules.rule import TEXT, Edit

__all__ = ["Found", "Kind", "Redact", "find"]

_KINDS: list[Kind] = list(get_args(Kind))

_ROUNDS = 10  # two are the rule; more only where secrets touch, and a text of nothing else must not take hours

_WIDE = "[０-９Ａ-Ｚａ-ｚ＠]"
_HAS_WIDE = re.compile(_WIDE)
_FOLD = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F) if _HAS_WIDE.match(chr(wide))}
_SEPARATORS = str.maketrans("＋－．（）‐‑‒–\u00a0\u2009\u202f\u3000", "+-.()----    ")
_HAS_SEPARATORS = re.compile("[＋－．（）‐‑‒–\u00a0\u2009\u202f\u3000]")


class Redact(Edit):
    """Replace personal data and secrets by typed placeholders.

    They are [EMAIL], [PHONE], [ID_CARD], [USCC], [BANK_CARD], [IP], [TOKEN] (in an address) and [KEY] (passwords, too).
    A check digit decides where a kind has one (GB 11643, GB 32100, Luhn), or else a word just before the number (身份证, card).
    Boundaries look at digits, not at words, so they hold between Han characters; full-width digits count. Of an address only
    the secret goes (url_token), the host stays. Example addresses such as 192.168.1.1 and 127.0.0.1 stay.
    """

    shorthand = "kinds"

    kinds: list[Kind] = Field(_KINDS, min_length=1)
    """what to replace"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(lambda texts: _redact(texts, self.kinds), return_dtype=pl.String)


@dataclass(frozen=True, slots=True)
class Found:
    """One secret: `text[start:end]`, in characters."""

    kind: Kind
    start: int
    end: int


def find(text: str, kinds: Iterable[Kind] = _KINDS) -> list[Found]:
    """The secrets of a text, in their order, apart from each other.

    Each kind hides what it found from those after it, behind brackets as a placeholder would, and the kinds take turns until
    none finds more (at most ten times): so nothing is found in the redacted text, whichever way the kinds are ordered.
    """
    chosen = set(kinds)
    shapes = [(kind, shape) for kind, shape in SHAPES.items() if kind in chosen]
    found: list[Found] = []
    text = _fold(text)
    for _ in range(_ROUNDS):
        known = len(found)
        for kind, shape in shapes:
            for form in shape.forms:
                group = "secret" if "secret" in form.pattern.groupindex else 0
                matches = form.pattern.finditer(_fold_separators(text) if shape.number else text)
                spans = [match.span(group) for match in matches if form.holds(match)]
                if spans:
                    found += [Found(kind, start, end) for start, end in spans]
                    text = _with(text, [(start, end, f"[{' ' * (end - start - 2)}]"[: end - start]) for start, end in spans])
        if len(found) == known:
            break
    return sorted(found, key=lambda secret: secret.start)


def _fold(text: str) -> str:
    """Full-width letters, digits and ＠ into ASCII, one character for one: positions stay true."""
    return text.translate(_FOLD) if _HAS_WIDE.search(text) else text


def _fold_separators(text: str) -> str:
    """What people write between digits into ASCII (full-width signs, dashes, hard spaces), one character for one."""
    return text.translate(_SEPARATORS) if _HAS_SEPARATORS.search(text) else text


def _with(text: str, replacements: Iterable[tuple[int, int, str]]) -> str:
    """The text with new parts, each given as start, end and what stands there from now on."""
    parts, place = [], 0
    for start, end, new in replacements:
        parts += [text[place:start], new]
        place = end
    return "".join([*parts, text[place:]])


def _redact(texts: pl.Series, kinds: list[Kind]) -> pl.Series:
    folded = _changed(texts, texts.str.contains(_WIDE).arg_true(), _fold)
    signs = folded.to_frame("text").select(TEXT.str.contains(SHAPES[kind].sign).alias(kind) for kind in dict.fromkeys(kinds))
    shown = signs.with_row_index("row").filter(pl.any_horizontal(kinds))
    if not shown.height:
        return texts
    seen = iter([kind for kind in kinds if sign[kind]] for sign in shown.iter_rows(named=True))
    return _changed(texts, shown["row"], lambda text: _redacted(text, next(seen)))


def _changed(texts: pl.Series, rows: pl.Series, change: Callable[[str], str]) -> pl.Series:
    if not len(rows):
        return texts
    return texts.clone().scatter(rows, [change(text) for text in texts.gather(rows)])  # scatter writes into its own series


def _redacted(text: str, kinds: list[Kind]) -> str:
    return _with(text, ((secret.start, secret.end, SHAPES[secret.kind].placeholder) for secret in find(text, kinds)))
