"""Texts into code points in which a term is found however it is written: one width, case, script, no accents, nothing hidden."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ANYWHERE",
    "CLAUSE_MARKS",
    "DOCUMENT",
    "STARS",
    "WORD",
    "Codes",
    "Tables",
    "folded",
    "origins",
    "searched",
    "tables",
    "text_of",
]

Codes = NDArray[np.uint32]

# What a character is for matching. A folded text is an array of code points.
_SOFT, ANYWHERE, WORD, _HARD = 0, 1, 2, 3  # separator, letter of a script without spaces, other letter or digit, clause mark
DOCUMENT, _SPACE = 1, 32  # code points that end a document and that separate
_DROP, _EXPAND = 0xFFFFFFFF, 0xFFFFFFFE  # not in the folded text; more than one character there
CLAUSE_MARKS = ",;:!?。、…"
_INNER = "*.-_~+|/#@^=·•'\"`\\&%$"  # what hides a Chinese term: up to two of them between two characters, one if . or -
_ALONE = ".-"
STARS = "*~^|"


@dataclass(frozen=True)
class Tables:
    """Code point -> what it is."""

    fold: Codes
    kind: NDArray[np.uint8]  # of a folded code point
    expansions: dict[str, str]
    inner: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    token: NDArray[np.bool_]  # letters, digits and signs of which a disguised word is made
    letter: NDArray[np.bool_]


@lru_cache(1)
def tables() -> Tables:
    """The tables, made at the first call."""
    from opencc import OpenCC

    han = [chr(code) for code in range(0x3400, 0xA000)]
    simple = dict(zip(han, OpenCC("t2s").convert("\n".join(han)).split("\n"), strict=True))
    fold = np.arange(0x110000, dtype=np.uint32)
    kind = np.zeros(0x110000, np.uint8)
    kind[0x20000:0x40000] = ANYWHERE
    expansions: dict[str, str] = {}
    for code in (
        *range(0xD800),
        *range(0xE000, 0x10000),
        *range(0x1D400, 0x1D800),
        *range(0x1F000, 0x1FC00),
        *range(0x2F800, 0x2FA20),
    ):
        char = chr(code)
        kind[code] = _kind(char)
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
        plain = unicodedata.normalize("NFC", "".join(c for c in plain if not _is_dropped(c)))
        plain = "".join(simple.get(c, c) for c in plain) if char != "…" else "…"
        fold[code] = ord(plain) if len(plain) == 1 else _EXPAND if plain else _DROP
        if len(plain) > 1:
            expansions[char] = plain
    fold[:32] = _SPACE
    fold[DOCUMENT] = DOCUMENT
    fold[0xE0000:0xE01F0] = _DROP
    kind[DOCUMENT] = _HARD

    def are(chars: str) -> NDArray[np.bool_]:
        mask = np.zeros(0x110000, np.bool_)
        mask[[ord(char) for char in chars]] = True
        return mask

    letters = "abcdefghijklmnopqrstuvwxyz"
    return Tables(fold, kind, expansions, are(_INNER), are(_ALONE), are(letters + "0123456789@$!" + STARS), are(letters))


def _kind(char: str) -> int:
    if char in CLAUSE_MARKS:
        return _HARD
    category = unicodedata.category(char)
    if category[0] in "LNM":
        return ANYWHERE if _WITHOUT_SPACES.match(char) else WORD
    return ANYWHERE if category == "So" else _SOFT  # an emoji is a term like a Han character


# Thai, Lao, Burmese, Khmer, kana, Han, Hangul (its particles are written on)
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)


def _is_dropped(char: str) -> bool:
    """Accents on letters, and what has no width."""
    return "\u0300" <= char <= "\u036f" or "\ufe00" <= char <= "\ufe0f" or (unicodedata.category(char) == "Cf")


def folded(texts: Iterable[str]) -> Codes:
    """Each character by itself into its plain form, so that no term is lost by what stands beside it; texts end in DOCUMENT."""
    codes = _expanded(_joined(texts))
    kept: Codes = codes[codes != _DROP]
    return kept


def origins(texts: Iterable[str]) -> NDArray[np.intp]:
    """The character that each one of `folded(texts)` comes from, counted through all texts, each of which is one longer."""
    joined = _joined(texts)
    expansions = tables().expansions
    plain = tables().fold[_codes(joined)]
    sizes = np.ones(len(plain), np.intp)
    for at in np.flatnonzero(plain == _EXPAND).tolist():
        sizes[at] = len(expansions[joined[at]])
    kept: NDArray[np.intp] = np.repeat(np.arange(len(plain)), sizes)[_expanded(joined) != _DROP]
    return kept


def text_of(codes: Codes) -> str:
    """Code points as text."""
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _joined(texts: Iterable[str]) -> str:
    return "".join(text.replace("\x01", " ") + "\x01" for text in texts)


def _expanded(joined: str) -> Codes:
    fold, expansions = tables().fold, tables().expansions
    codes: Codes = fold[_codes(joined)]
    if (codes == _EXPAND).any():
        codes = fold[_codes("".join(expansions.get(char, char) for char in joined))]
    return codes


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def searched(codes: Codes) -> tuple[Codes, NDArray[np.intp]]:
    """A folded text into what is searched, and the place of each of its characters in the folded text.

    Separators become one space, except that up to two symbols between characters of scripts without spaces go.
    """
    known = tables()
    is_soft = known.kind[codes] == _SOFT
    stays = np.ones(len(codes), np.bool_)
    stays[1:] = ~(is_soft[1:] & is_soft[:-1])
    before = np.flatnonzero(is_soft[1:] & ~is_soft[:-1])  # the characters before a separator
    before = before[known.kind[codes[before]] == ANYWHERE]
    for gap in (1, 2):
        at = before[before + gap + 1 < len(codes)]
        first, last = codes[at + 1], codes[at + gap]
        hides = (known.kind[codes[at + gap + 1]] == ANYWHERE) & known.inner[first] & known.inner[last]
        if gap == 2:
            hides &= ~(known.alone[first] | known.alone[last])
        stays[at[hides] + 1] = False
    places = np.flatnonzero(stays)
    return np.where(is_soft[places], np.uint32(_SPACE), codes[places]), places
