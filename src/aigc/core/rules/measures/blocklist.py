"""Measures: a document into the number of places where it uses a term of a blocklist.

No list is shipped, for lists over-block and miss: of 5,323 Chinese posts, two in five offensive, a list of 292 words found 0.058 of
the offensive ones, and more than half of what one of 9,562 words found was harmless (COLDataset, Deng et al. 2022). Which
words a corpus may not have is for its owner to say.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator

from aigc.core.rules.rule import TEXT, Bound, Measure
from aigc.errors import AigcError

if TYPE_CHECKING:
    from ahocorasick_rs import AhoCorasick

__all__ = ["BlocklistHits"]

Codes = NDArray[np.uint32]

CHUNK = 1 << 18  # characters that are folded at a time: bounds the memory


class BlocklistHits(Measure):
    """Places that use a term of a blocklist: a count, none of which is kept unless max says so.

    Both text and terms are folded: width, case, accents, traditional to simplified characters, zero-width characters. Chinese and
    other terms of scripts without spaces match anywhere, also with a symbol between two characters; terms of letters match
    as whole words ("class" does not hold "ass"), also spelled out (f-u-c-k), with digits for letters, or with a star inside.
    Hits that overlap are one place.
    """

    shorthand = "files"

    files: list[Path] = Field([])
    """lists of terms: UTF-8, one a line; `#` starts a comment"""
    words: list[str] = Field([])
    """terms beside those of the files"""
    allow: list[str] = Field([])
    """phrases inside which a term does not count, such as names"""
    max: Bound | None = 0
    """the most places that are kept"""

    @model_validator(mode="after")
    def _has_terms(self) -> "BlocklistHits":
        if not self.files and not self.words:
            raise ValueError("a blocklist needs files or words; none is shipped")
        return self

    def reads(self) -> list[Path]:
        return self.files

    def value(self) -> pl.Expr:
        """See Measure.

        Raises:
            AigcError: a file cannot be read, or a term has neither letters nor digits.
        """
        terms = [*(term for file in self.files for term in _read(file)), *(("words", word) for word in self.words)]
        if not terms:
            raise AigcError(f"{', '.join(map(str, self.files))}: the blocklist has no terms")
        matcher = _matcher(tuple(dict.fromkeys(terms)), tuple(("allow", phrase) for phrase in self.allow))
        return TEXT.map_batches(lambda texts: _count(texts, matcher), return_dtype=pl.Float64)


Term = tuple[str, str]  # where it stands, and the term


def _read(file: Path) -> Iterator[Term]:
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise AigcError(f"{file}: the blocklist cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AigcError(f"{file}: the blocklist is not UTF-8 (byte {error.start})") from error
    for number, line in enumerate(lines, start=1):
        term = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if term:
            yield f"{file}:{number}", term


# What a character is for matching. A folded text is an array of code points.
_SOFT, _ANYWHERE, _WORD, _HARD = 0, 1, 2, 3  # separator, letter of a script without spaces, other letter or digit, clause mark
_DOCUMENT, _SPACE = 1, 32  # code points that end a document and that separate
_DROP, _EXPAND = 0xFFFFFFFF, 0xFFFFFFFE  # not in the folded text; more than one character there
_CLAUSE_MARKS = ",;:!?。、…"
_INNER = "*.-_~+|/#@^=·•'\"`\\&%$"  # what hides a Chinese term: up to two of them between two characters, one if . or -
_ALONE = ".-"
_STARS = "*~^|"
_LEET = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "!": "i"}
_LEET_TABLES = tuple(str.maketrans(_LEET | {"1": one} | dict.fromkeys(_STARS, "")) for one in "il")


@dataclass(frozen=True)
class _Tables:
    """Code point -> what it is."""

    fold: Codes
    kind: NDArray[np.uint8]  # of a folded code point
    expansions: dict[str, str]
    inner: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    token: NDArray[np.bool_]  # letters, digits and signs of which a disguised word is made
    letter: NDArray[np.bool_]


@lru_cache(1)
def _tables() -> _Tables:
    from opencc import OpenCC

    han = [chr(code) for code in range(0x3400, 0xA000)]
    simple = dict(zip(han, OpenCC("t2s").convert("\n".join(han)).split("\n"), strict=True))
    fold = np.arange(0x110000, dtype=np.uint32)
    kind = np.zeros(0x110000, np.uint8)
    kind[0x20000:0x40000] = _ANYWHERE
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
    fold[_DOCUMENT] = _DOCUMENT
    fold[0xE0000:0xE01F0] = _DROP
    kind[_DOCUMENT] = _HARD

    def are(chars: str) -> NDArray[np.bool_]:
        mask = np.zeros(0x110000, np.bool_)
        mask[[ord(char) for char in chars]] = True
        return mask

    letters = "abcdefghijklmnopqrstuvwxyz"
    return _Tables(fold, kind, expansions, are(_INNER), are(_ALONE), are(letters + "0123456789@$!" + _STARS), are(letters))


def _kind(char: str) -> int:
    if char in _CLAUSE_MARKS:
        return _HARD
    category = unicodedata.category(char)
    if category[0] in "LNM":
        return _ANYWHERE if _WITHOUT_SPACES.match(char) else _WORD
    return _ANYWHERE if category == "So" else _SOFT  # an emoji is a term like a Han character


# Thai, Lao, Burmese, Khmer, kana, Han, Hangul (its particles are written on)
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)


def _is_dropped(char: str) -> bool:
    """Accents on letters, and what has no width."""
    return "\u0300" <= char <= "\u036f" or "\ufe00" <= char <= "\ufe0f" or (unicodedata.category(char) == "Cf")


def _folded(texts: Iterable[str]) -> Codes:
    """Each character by itself into its plain form, so that no term is lost by what stands beside it; texts end in _DOCUMENT."""
    tables = _tables()
    joined = "".join(text.replace("\x01", " ") + "\x01" for text in texts)
    codes = tables.fold[_codes(joined)]
    if (codes == _EXPAND).any():
        codes = tables.fold[_codes("".join(tables.expansions.get(char, char) for char in joined))]
    kept: Codes = codes[codes != _DROP]
    return kept


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _text(codes: Codes) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _searched(codes: Codes) -> tuple[Codes, NDArray[np.intp]]:
    """A folded text into what is searched, and the place of each of its characters in the folded text.

    Separators become one space, except that up to two symbols between characters of scripts without spaces go.
    """
    tables = _tables()
    is_soft = tables.kind[codes] == _SOFT
    stays = np.ones(len(codes), np.bool_)
    stays[1:] = ~(is_soft[1:] & is_soft[:-1])
    before = np.flatnonzero(is_soft[1:] & ~is_soft[:-1])  # the characters before a separator
    before = before[tables.kind[codes[before]] == _ANYWHERE]
    for gap in (1, 2):
        at = before[before + gap + 1 < len(codes)]
        first, last = codes[at + 1], codes[at + gap]
        hides = (tables.kind[codes[at + gap + 1]] == _ANYWHERE) & tables.inner[first] & tables.inner[last]
        if gap == 2:
            hides &= ~(tables.alone[first] | tables.alone[last])
        stays[at[hides] + 1] = False
    places = np.flatnonzero(stays)
    return np.where(is_soft[places], np.uint32(_SPACE), codes[places]), places


@dataclass(frozen=True)
class _Matcher:
    automaton: "AhoCorasick"
    edges: NDArray[np.uint8]  # of each pattern: kinds that may not stand before and after it, as bits
    allows: NDArray[np.bool_]  # of each pattern
    words: frozenset[str]  # terms that are one word of a-z


@lru_cache(8)
def _matcher(terms: tuple[Term, ...], allowed: tuple[Term, ...]) -> _Matcher:
    from ahocorasick_rs import AhoCorasick

    kind = _tables().kind
    patterns: dict[str, tuple[int, int, bool]] = {}
    words = set()
    for where, term in (*allowed, *terms):
        plain = _text(_searched(_folded([term]))[0][:-1]).strip(_CLAUSE_MARKS + " ")  # less the document's end
        if not plain:
            raise AigcError(f"{where}: {term!r} has neither letters nor digits, so it cannot be looked for")
        is_allowed = where == "allow"
        first, last = (1 << _WORD if kind[ord(plain[i])] == _WORD else 0 for i in (0, -1))
        patterns.setdefault(plain, (first, last, is_allowed))
        if not is_allowed and " " not in plain and len(plain) >= (3 if first else 2):
            lone = 1 << _WORD | 1 << _ANYWHERE  # spelled out: each character stands alone
            patterns.setdefault(" ".join(plain), (lone, lone, False))
            if plain.isascii() and plain.isalpha():
                words.add(plain)
    return _Matcher(
        AhoCorasick(list(patterns), store_patterns=False),
        np.array([values[:2] for values in patterns.values()], dtype=np.uint8),
        np.array([values[2] for values in patterns.values()], dtype=np.bool_),
        frozenset(words),
    )


def _count(texts: pl.Series, matcher: _Matcher) -> pl.Series:
    chunk = texts.str.len_chars().cum_sum().to_numpy() // CHUNK
    edges = [0, *(np.flatnonzero(chunk[1:] != chunk[:-1]) + 1).tolist(), len(texts)]
    counts = [_count_chunk(texts[start:end].to_list(), matcher) for start, end in pairwise(edges) if end > start]
    return pl.Series(np.concatenate([np.zeros(0), *counts]), dtype=pl.Float64)


def _count_chunk(texts: Sequence[str], matcher: _Matcher) -> NDArray[np.float64]:
    codes = _folded(texts)
    searched, places = _searched(codes)
    hits = [*_disguised(codes, matcher.words)]
    allowed: list[tuple[int, int]] = []
    found = matcher.automaton.find_matches_as_indexes(_text(searched), overlapping=True)
    if found:
        pattern, start, end = np.array(found, dtype=np.intp).T
        bits = np.left_shift(
            1, _tables().kind[searched], dtype=np.uint8
        )  # the last is that of _DOCUMENT, which suits before the first
        whole = ((bits[start - 1] & matcher.edges[pattern, 0]) | (bits[end] & matcher.edges[pattern, 1])) == 0
        pattern, start, end = pattern[whole], start[whole], end[whole]
        spans = zip(places[start].tolist(), (places[end - 1] + 1).tolist(), strict=True)
        for span, allows in zip(spans, matcher.allows[pattern].tolist(), strict=True):
            (allowed if allows else hits).append(span)
    hits = [hit for hit in hits if not any(start <= hit[0] and hit[1] <= end for start, end in allowed)]
    merged: list[int] = []
    reach = 0
    for begin, stop in sorted(hits):
        if begin >= reach:
            merged.append(begin)
        reach = max(reach, stop)
    rows = np.searchsorted(np.flatnonzero(codes == _DOCUMENT), merged)
    return np.bincount(rows, minlength=len(texts)).astype(np.float64)


def _disguised(codes: Codes, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Words written with digits or signs for letters (at most half of them), or with stars inside."""
    tables = _tables()
    token, letter = tables.token[codes], tables.letter[codes]
    other = token & ~letter
    mixed = (letter[:-1] & other[1:]) | (other[:-1] & letter[1:])
    starts, ends = np.flatnonzero(np.diff(token, prepend=False).astype(bool)).reshape(-1, 2).T  # a text ends in _DOCUMENT
    for i in np.unique(np.searchsorted(starts, np.flatnonzero(mixed), side="right") - 1).tolist():
        raw = _text(codes[starts[i] : ends[i]])
        written = raw.strip("*~^|!")
        plain = {written.translate(table) for table in _LEET_TABLES} & words
        if plain and 2 * sum(char.isdigit() for char in written) <= len(written):
            at = int(starts[i]) + raw.index(written)
            yield at, at + len(written)
