"""A text into the places where its sentences, paragraphs or words begin, in Chinese and in English."""

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal

from aigc.errors import AigcError

__all__ = ["Unit", "marks_of"]

Unit = Literal["sentence", "paragraph", "word"]

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_CLOSERS = "\"'”’»」』）)】〗\\]》〉}｝"
_ENDS = re.compile(rf"[.!?。！？…]++[{_CLOSERS}]*+")
_FULL_ENDS = re.compile("[。！？…]")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*+\n)++")
_LINES = re.compile(r"\n++")
_SPACE = re.compile(r"\s*+")
# Letters and digits that are not Han, with apostrophes and decimal marks inside them; anything else but white space
_WORDS = re.compile(rf"(?:(?![{_HAN}])[\w\u0300-\u036f])++(?:['’](?![{_HAN}])\w++|(?<=\d)[.,]\d++)*+|[^\w\s]++")
_IS_HAN = re.compile(f"[{_HAN}]")


def marks_of(kind: Unit) -> Callable[[str], list[int]]:
    """What finds where units begin: character offsets, ascending, 0 first; none for the empty text.

    - sentence: after . ! ? with white space behind, after 。！？… without; quotes and brackets that close go with the sentence. A
      paragraph begins a sentence, too.
    - paragraph: a line after a blank one, or every line of a text that has none.
    - word: a run of letters and digits, a Chinese word (by dictionary), or a run of other marks. White space begins none.

    Args:
        kind: the unit.
    """
    return {"sentence": _sentences, "paragraph": _paragraphs, "word": _words}[kind]


def _paragraphs(text: str) -> list[int]:
    if not text:
        return []
    found = [match.end() for match in _BLANK_LINES.finditer(text)] or [match.end() for match in _LINES.finditer(text)]
    return sorted({0, *(at for at in found if at < len(text))})


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _sentences(text: str) -> list[int]:
    if not text:
        return []
    found = {0, *(_after_space(text, at) for at in _paragraphs(text)[1:])}
    for match in _ENDS.finditer(text):
        end = match.end()
        if end == len(text):
            continue
        following = text[end]
        if following.isspace() or _FULL_ENDS.search(match[0]) or ("." not in match[0] and _IS_HAN.match(following)):
            found.add(_after_space(text, end))
    found.discard(len(text))
    return sorted(found)


@cache
def _segmenter() -> Any:
    """The dictionary of Chinese words.

    Raises:
        AigcError: it is not installed.
    """
    try:
        return import_module("rjieba")
    except ImportError:
        raise AigcError("words of Chinese text need a dictionary: pip install 'aigc[words]'") from None


def _words(text: str) -> list[int]:
    found = [match.start() for match in _WORDS.finditer(text)]
    if _IS_HAN.search(text):
        found += [start for word, start, _ in _segmenter().tokenize(text) if _IS_HAN.match(word)]
    return sorted({0, *found}) if text else []
