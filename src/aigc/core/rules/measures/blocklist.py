"""Measures: a document into the number of places where it uses a term of a blocklist.

No list is shipped, for lists over-block and miss: of 5,323 Chinese posts, two in five offensive, a list of 292 words found 0.058 of
the offensive ones, and more than half of what one of 9,562 words found was harmless (COLDataset, Deng et al. 2022). Which
words a corpus may not have is for its owner to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from aigc.core.rules.folding import ANYWHERE, CLAUSE_MARKS, DOCUMENT, STARS, WORD, Codes, folded, origins, searched, tables, text_of
from aigc.core.rules.rule import TEXT, Bound, Measure
from aigc.errors import AigcError

if TYPE_CHECKING:
    from ahocorasick_rs import AhoCorasick

__all__ = ["BlocklistHits"]

CHUNK = 1 << 18  # characters that are folded at a time: bounds the memory


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


class BlocklistHits(Measure):
    """Places that use a term of a blocklist: a count, none of which is kept unless max says so.

    Both text and terms are folded: width, case, accents, traditional to simplified characters, zero-width characters. Chinese and
    other terms of scripts without spaces match anywhere, also with a symbol between two characters; terms of letters match
    as whole words ("class" does not hold "ass"), also spelled out (f-u-c-k), with digits for letters, or with a star inside.
    Hits that overlap are one place.
    """

    shorthand = "files"

    files: Annotated[list[Path], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = Field([])
    """lists of terms, one file or several: UTF-8, one term a line; `#` starts a comment"""
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
        matcher = self._matcher()
        return TEXT.map_batches(lambda texts: _count(texts, matcher), return_dtype=pl.Float64)

    def spans(self, texts: pl.Series) -> NDArray[np.int64]:
        """Where the places are, as they are written.

        Returns:
            (S, 3) a text's number, the first character and the one behind the last; ascending.
        """
        return _located(texts, self._matcher())

    def _matcher(self) -> "_Matcher":
        terms = [*(term for file in self.files for term in _read(file)), *(("words", word) for word in self.words)]
        if not terms:
            raise AigcError(f"{', '.join(map(str, self.files))}: the blocklist has no terms")
        return _matcher(tuple(dict.fromkeys(terms)), tuple(("allow", phrase) for phrase in self.allow))


_LEET = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "!": "i"}
_LEET_TABLES = tuple(str.maketrans(_LEET | {"1": one} | dict.fromkeys(STARS, "")) for one in "il")


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


@dataclass(frozen=True)
class _Matcher:
    automaton: "AhoCorasick"
    edges: NDArray[np.uint8]  # of each pattern: kinds that may not stand before and after it, as bits
    allows: NDArray[np.bool_]  # of each pattern
    words: frozenset[str]  # terms that are one word of a-z


@lru_cache(8)
def _matcher(terms: tuple[Term, ...], allowed: tuple[Term, ...]) -> _Matcher:
    from ahocorasick_rs import AhoCorasick

    kind = tables().kind
    patterns: dict[str, tuple[int, int, bool]] = {}
    words = set()
    for where, term in (*allowed, *terms):
        plain = text_of(searched(folded([term]))[0][:-1]).strip(CLAUSE_MARKS + " ")  # less the document's end
        if not plain:
            raise AigcError(f"{where}: {term!r} has neither letters nor digits, so it cannot be looked for")
        is_allowed = where == "allow"
        first, last = (1 << WORD if kind[ord(plain[i])] == WORD else 0 for i in (0, -1))
        patterns.setdefault(plain, (first, last, is_allowed))
        if not is_allowed and " " not in plain and len(plain) >= (3 if first else 2):
            lone = 1 << WORD | 1 << ANYWHERE  # spelled out: each character stands alone
            patterns.setdefault(" ".join(plain), (lone, lone, False))
            if plain.isascii() and plain.isalpha():
                words.add(plain)
    return _Matcher(
        AhoCorasick(list(patterns), store_patterns=False),
        np.array([values[:2] for values in patterns.values()], dtype=np.uint8),
        np.array([values[2] for values in patterns.values()], dtype=np.bool_),
        frozenset(words),
    )


def _chunks(texts: pl.Series) -> Iterator[tuple[int, list[str]]]:
    """Some texts at a time, with the number of the first."""
    chunk = texts.str.len_chars().cum_sum().to_numpy() // CHUNK
    edges = [0, *(np.flatnonzero(chunk[1:] != chunk[:-1]) + 1).tolist(), len(texts)]
    return ((start, texts[start:end].to_list()) for start, end in pairwise(edges) if end > start)


def _count(texts: pl.Series, matcher: _Matcher) -> pl.Series:
    counts = [np.zeros(0)]
    for _, some in _chunks(texts):
        codes = folded(some)
        rows = np.searchsorted(np.flatnonzero(codes == DOCUMENT), _places(codes, matcher)[:, 0])
        counts.append(np.bincount(rows, minlength=len(some)).astype(np.float64))
    return pl.Series(np.concatenate(counts), dtype=pl.Float64)


def _located(texts: pl.Series, matcher: _Matcher) -> NDArray[np.int64]:
    """See BlocklistHits.spans. Accents and the like that stand behind the last character belong to it."""
    found = [np.zeros((0, 3), np.int64)]
    for first, some in _chunks(texts):
        begin, end = _places(folded(some), matcher).T
        if not len(begin):
            continue
        origin = origins(some)
        begin, end = origin[begin], np.maximum(origin[end - 1] + 1, origin[end])
        starts = np.cumsum([0, *(len(text) + 1 for text in some)])
        row = np.searchsorted(starts, begin, side="right") - 1
        found.append(np.stack([first + row, begin - starts[row], end - starts[row]], axis=1))
    return np.concatenate(found)


def _places(codes: Codes, matcher: _Matcher) -> NDArray[np.intp]:
    """Where folded texts use a term: (P, 2) begins and ends, ascending, none overlaps another."""
    look, places = searched(codes)
    hits = [*_disguised(codes, matcher.words)]
    allowed: list[tuple[int, int]] = []
    found = matcher.automaton.find_matches_as_indexes(text_of(look), overlapping=True)
    if found:
        pattern, start, end = np.array(found, dtype=np.intp).T
        bits = np.left_shift(1, tables().kind[look], dtype=np.uint8)  # the last is that of DOCUMENT, which suits before the first
        whole = ((bits[start - 1] & matcher.edges[pattern, 0]) | (bits[end] & matcher.edges[pattern, 1])) == 0
        pattern, start, end = pattern[whole], start[whole], end[whole]
        spans = zip(places[start].tolist(), (places[end - 1] + 1).tolist(), strict=True)
        for span, allows in zip(spans, matcher.allows[pattern].tolist(), strict=True):
            (allowed if allows else hits).append(span)
    hits = [hit for hit in hits if not any(start <= hit[0] and hit[1] <= end for start, end in allowed)]
    merged: list[list[int]] = []
    for begin, stop in sorted(hits):
        if not merged or begin >= merged[-1][1]:
            merged.append([begin, stop])
        merged[-1][1] = max(merged[-1][1], stop)
    return np.array(merged, np.intp).reshape(-1, 2)


def _disguised(codes: Codes, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Words written with digits or signs for letters (at most half of them), or with stars inside."""
    known = tables()
    token, letter = known.token[codes], known.letter[codes]
    other = token & ~letter
    mixed = (letter[:-1] & other[1:]) | (other[:-1] & letter[1:])
    starts, ends = np.flatnonzero(np.diff(token, prepend=False).astype(bool)).reshape(-1, 2).T  # a text ends in DOCUMENT
    for i in np.unique(np.searchsorted(starts, np.flatnonzero(mixed), side="right") - 1).tolist():
        raw = text_of(codes[starts[i] : ends[i]])
        written = raw.strip("*~^|!")
        plain = {written.translate(table) for table in _LEET_TABLES} & words
        if plain and 2 * sum(char.isdigit() for char in written) <= len(written):
            at = int(starts[i]) + raw.index(written)
            yield at, at + len(written)
