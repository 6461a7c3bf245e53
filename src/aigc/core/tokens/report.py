"""Texts into figures of how well a tokenizer suits them, by language."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.core.tokens.codec import Codec

__all__ = ["language_of", "token_report"]

_BATCH = 256
_READ = 4096  # characters that the language is told from
_HAN_SHARE = 0.3
_POINTS = 0x34000  # all that Unicode has assigned to letters


def token_report(codec: Codec, texts: Iterable[str]) -> dict[str, Any]:
    """Figures for report.json, from texts that are read once and never kept.

    Returns:
        `vocabulary`, `vocabulary_used` (share of the ids that occur) and `languages`: for `zh` and `en`, where they occur, `texts`,
        `bytes` (UTF-8), `tokens`, `bytes_per_token` (None without tokens), `unknown_share` (of the tokens) and `vocabulary_used`.
    """
    counted: dict[str, _Counts] = {}
    for batch in _batches(texts):
        for text, ids in zip(batch, codec.encode(batch), strict=True):
            counts = counted.setdefault(language_of(text), _Counts(np.zeros(codec.vocabulary, bool)))
            counts.add(text, np.asarray(ids, np.int64), codec.unknown)
    used = np.zeros(codec.vocabulary, bool)
    for counts in counted.values():
        used |= counts.used
    return {
        "vocabulary": codec.vocabulary,
        "vocabulary_used": float(used.mean()),
        "languages": {language: counted[language].figures() for language in sorted(counted)},
    }


def language_of(text: str) -> str:
    """`zh` where three letters in ten or more are Han characters, else `en`; told from the first 4,096 characters."""
    points = np.frombuffer(text[:_READ].encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _letters().take(points, mode="clip")
    letters = int(np.count_nonzero(classes))
    return "zh" if letters and np.count_nonzero(classes == 2) >= _HAN_SHARE * letters else "en"


@cache
def _letters() -> NDArray[np.uint8]:
    """1 for the code point of a letter, 2 for that of a Han character."""
    table = np.fromiter((chr(point).isalpha() for point in range(_POINTS)), np.uint8, _POINTS)
    for first, last in ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, _POINTS - 2)):
        table[first : last + 1] *= 2
    table[-1] = 0  # stands for all that lies above
    return table


@dataclass
class _Counts:
    used: NDArray[np.bool_]
    texts: int = 0
    bytes: int = 0
    tokens: int = 0
    unknown: int = 0

    def add(self, text: str, ids: NDArray[np.int64], unknown: int | None) -> None:
        self.texts += 1
        self.bytes += len(text.encode())
        self.tokens += len(ids)
        self.used[ids] = True
        if unknown is not None:
            self.unknown += int(np.count_nonzero(ids == unknown))

    def figures(self) -> dict[str, Any]:
        return {
            "texts": self.texts,
            "bytes": self.bytes,
            "tokens": self.tokens,
            "bytes_per_token": self.bytes / self.tokens if self.tokens else None,
            "unknown_share": self.unknown / self.tokens if self.tokens else 0.0,
            "vocabulary_used": float(self.used.mean()),
        }


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    source = iter(texts)
    while batch := list(islice(source, _BATCH)):
        yield batch
