"""Bytes of unknown encoding into the encoding they are written in, and a stream of them into one that can be cut at newlines.

The order: a byte order mark, UTF-8 (also with a few broken characters), then whichever of GB18030, Big5, Windows-1252 and UTF-16
makes the bytes most probable as Chinese or Western text. Japanese, Korean and Cyrillic encodings are not looked for: name them.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from aigc.core.documents.files import joined
from aigc.core.documents.hanzi import COMMON
from aigc.errors import AigcError

__all__ = ["Declares", "Encoded", "codec_of", "encoded", "find_encoding", "says_nothing"]

SAMPLE = 1 << 20  # bytes that are looked at
EVIDENCE = 1 << 16  # of these, bytes from the first that is not ASCII on, which are weighed
MARGIN = 7.0  # nats by which the best encoding must lead: the second is a thousand times less probable

_MARKS = (  # UTF-32 before UTF-16, whose mark it starts with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_CHINESE = ("gb18030", "big5hkscs", "utf-16-le", "utf-16-be")
_WEB = {  # what pages call an encoding, and the larger one that browsers read it as (WHATWG Encoding Standard, "Names and labels")
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
}
_WIDE = re.compile(r"utf-(?:16|32)|utf-7|hz|iso2022")  # a byte 0x0A need not end a line, or ASCII bytes need not be ASCII


def codec_of(name: str) -> str:
    """Python's name of an encoding.

    Raises:
        AigcError: there is no such text encoding.
    """
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, UnicodeError):
        raise AigcError(
            f"unknown encoding {name!r}; utf-8, gb18030, big5, utf-16, cp1252 and all others of Python are known"
        ) from None
    return {"utf-8-sig": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}.get(info.name, info.name)


def find_encoding(sample: bytes, *, whole: bool = True, declared: str | None = None) -> str:
    """Python's name of the encoding that a text starts in.

    Args:
        sample: the first bytes of the text.
        whole: nothing follows the sample; else its last character may be cut.
        declared: what the text says of itself; believed where it is no UTF-8 and can be decoded so.

    Returns:
        "utf-8" also where nothing is sure, for no other would be wrong so loudly.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if b"\0" not in sample and _is_utf8(sample, whole):
        return "utf-8"
    if declared is not None and (believed := _believed(sample, whole, declared)):
        return believed
    return _most_probable(sample, whole)


def _is_utf8(sample: bytes, whole: bool) -> bool:
    """Whether nine characters in ten that are not ASCII are valid: a broken one does not make a text GB18030."""
    text = _decoded(sample, "utf-8", whole)
    broken = text.count("\ufffd") - sample.count("\ufffd".encode())
    return not broken or len(text) - len(text.encode("ascii", "ignore")) >= 10 * broken


def _decoded(sample: bytes, codec: str, whole: bool) -> str:
    return codecs.getincrementaldecoder(codec)("replace").decode(sample, whole)


def _believed(sample: bytes, whole: bool, declared: str) -> str | None:
    try:
        codec = codec_of(declared)
    except AigcError:
        return None
    codec = _WEB.get(codec, codec)
    if codec == "utf-8" or _WIDE.match(codec):
        return None
    broken = _decoded(sample, codec, whole).count("\ufffd")
    return codec if broken * 100 <= len(sample) else None


def _most_probable(sample: bytes, whole: bool) -> str:
    first = re.search(rb"[\x00\x80-\xff]", sample)
    start = first.start() & ~1 if first else 0  # even, for UTF-16; before it all is ASCII
    evidence = sample[start : start + EVIDENCE]
    whole = whole and start + EVIDENCE >= len(sample)
    scores = {codec: _as_chinese(_decoded(evidence, codec, whole)) for codec in _CHINESE}
    scores["cp1252"] = _as_western(evidence)
    (best, (score, plausible)), (_, (second, _)) = sorted(scores.items(), key=lambda item: -item[1][0])[:2]
    return best if plausible and score - second >= MARGIN else "utf-8"


# Natural logarithms of how probable a character of each kind is: rounded from the share of the kind in Chinese news, prose and
# poems, or in French and German, divided by the number of characters of that kind.
_ASCII_CHARACTER, _CONTROL = -3.0, -14.0
_COMMON_HAN, _OTHER_HAN, _CJK_MARK, _STRANGE, _BROKEN = -7.0, -10.0, -6.0, -15.0, -22.0
_INSIDE_WORD = -6.0  # on top, for a single Han character between small Latin letters
_LONE_LETTER, _LONE_MARK, _IN_A_ROW, _UNDEFINED = -5.0, -7.0, -9.0, -20.0
_LEAST = -9.4  # the mean per character that is not ASCII, below which a text is not in this encoding


def _as_chinese(text: str) -> tuple[float, bool]:
    """How probable a text is as Chinese, and whether its characters are such as a Chinese text has."""
    score = other_score = 0.0
    others = controls = 0
    for character, count in Counter(text).items():
        if character >= "\x80":
            others += count
            other_score += count * _of_chinese(character)
        elif character >= " " or character in "\t\n\r\f":
            score += count * _ASCII_CHARACTER
        else:
            controls += count
    score += other_score + controls * _CONTROL + len(_IN_WORD.findall(text)) * _INSIDE_WORD
    return score, other_score / others >= _LEAST if others else not controls


_IN_WORD = re.compile(r"(?<=[a-z])[^\x00-\x7f](?=[a-z])")


def _of_chinese(character: str) -> float:
    if character in COMMON:
        return _COMMON_HAN
    if "\u4e00" <= character <= "\u9fff":
        return _OTHER_HAN
    if "\u3000" <= character <= "\u3020" or "\uff01" <= character <= "\uff5e" or "\u2010" <= character <= "\u2027":
        return _CJK_MARK
    return _BROKEN if character == "\ufffd" else _STRANGE


_RUNS = re.compile(rb"[\x80-\xff]+")
_LETTERS = frozenset(range(0xC0, 0x100)) - {0xD7, 0xF7} | frozenset(b"\x8a\x8c\x8e\x9a\x9c\x9e\x9f")
_UNUSED = frozenset(b"\x81\x8d\x8f\x90\x9d")


def _as_western(evidence: bytes) -> tuple[float, bool]:
    """The same for Windows-1252, where letters with accents mostly stand alone among ASCII letters."""
    score = 0.0
    others = 0
    for run, count in Counter(_RUNS.findall(evidence)).items():
        others += count * len(run)
        if len(run) == 1:
            score += count * _of_western(run[0])
        else:
            score += count * sum(min(_IN_A_ROW, _of_western(byte)) for byte in run)
    plausible = others > 0 and score / others >= _LEAST
    controls = sum(map(evidence.count, (bytes([code]) for code in range(32) if code not in b"\t\n\r\f")))
    return score + controls * _CONTROL + (len(evidence) - others - controls) * _ASCII_CHARACTER, plausible


def _of_western(byte: int) -> float:
    if byte in _UNUSED:
        return _UNDEFINED
    return _LONE_LETTER if byte in _LETTERS else _LONE_MARK


Declares = Callable[[bytes], str | None]  # what a text's first bytes say its encoding is


def says_nothing(_: bytes) -> None:
    """For texts that do not tell their encoding."""


@dataclass(frozen=True)
class Encoded:
    """A stream in which each line ends with the byte 0x0A."""

    stream: IO[bytes]
    codec: str  # of the stream's bytes
    name: str  # of the encoding of the file, to be shown


def encoded(stream: IO[bytes], forced: str | None = None, *, declares: Declares = says_nothing, look_at: int = SAMPLE) -> Encoded:
    """A stream without byte order mark, and its encoding; what cannot be cut at newlines comes out as UTF-8.

    Args:
        forced: the encoding, where it is known; a byte order mark is left out all the same.
        declares: finds in the first bytes what a text says its encoding is.
        look_at: how many bytes decide; so many are held in memory.
    """
    sample = _read_up_to(stream, look_at)
    whole = len(sample) < look_at
    name = find_encoding(sample, whole=whole, declared=declares(sample)) if forced is None else codec_of(forced)
    for mark, marked in _MARKS:
        if sample.startswith(mark) and (marked == name or (forced is not None and marked.startswith(f"{name}-"))):
            sample, name = sample[len(mark) :], marked
            break
    rest = joined(sample, stream)
    if not _WIDE.match(name):
        return Encoded(rest, name, shown(name))
    return Encoded(io.BufferedReader(_AsUtf8(rest, name), 1 << 20), "utf-8", shown(name))


def shown(codec: str) -> str:
    """The name of an encoding as people write it."""
    return {"big5hkscs": "Big5", "cp1252": "Windows-1252"}.get(codec, codec.upper())


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    """So many bytes or all there are; a pipe or an archive may give them in pieces."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class _AsUtf8(io.RawIOBase):
    """Text of any encoding as UTF-8; a place that cannot be decoded becomes the byte FF, which no UTF-8 has."""

    def __init__(self, stream: IO[bytes], codec: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)("strict")
        self._ready = memoryview(b"")
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._ready) and not self._done:
            data = self._stream.read(1 << 18)
            self._done = not data
            self._ready = memoryview(self._decode(data))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decode(self, data: bytes) -> bytes:
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(data, not data).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self._decoder.setstate(before)
            self._decoder.errors = "replace"
            text = self._decoder.decode(data, not data)
            self._decoder.errors = "strict"
            return text.encode("utf-8", "surrogatepass").replace("\ufffd".encode(), b"\xff")
