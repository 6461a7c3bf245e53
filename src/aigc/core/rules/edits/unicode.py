"""Mojibake, control characters and white space into clean text."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import product
from typing import Any

import polars as pl

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["RepairUnicode", "Whitespace"]


class RepairUnicode(Edit):
    """Mend mojibake, compose characters (NFC), remove control and zero-width characters. Source: ftfy 6.

    UTF-8 that was read as cp1252 or latin-1, once or twice, or as cp1251 is mended by ftfy; its fixes of width and curly quotes
    stay off, for they turn Chinese punctuation into ASCII. Chinese UTF-8 that was read as GBK, and GBK that was read as
    latin-1, is mended here, and only where the bytes decode cleanly into common characters (see `_is_sure`); a byte that is lost
    leaves U+FFFD. Only text that shows a sign of a fault is looked at, the rest stays byte for byte.
    """

    def text(self) -> pl.Expr:
        return TEXT.map_batches(_repaired, return_dtype=pl.String)


_CONTROLS = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F"
_INVISIBLE = r"\x{80}-\x{9F}\x{AD}\x{200B}\x{2060}\x{FEFF}\x{FFFE}\x{FFFF}"
_UNCOMPOSED = (  # combining marks and what NFC replaces; decides who is looked at, so a little wide
    r"\p{M}\x{1100}-\x{11FF}\x{374}\x{37E}\x{387}\x{1F71}-\x{1FFD}\x{2000}\x{2001}\x{2126}-\x{212B}\x{2329}\x{232A}\x{2ADC}"
    r"\x{F900}-\x{FB4E}\x{16D67}\x{1D15E}-\x{1D1C0}\x{2F800}-\x{2FA1D}"
)
_LATIN = r"[Â-ïŒœŠšŽžƒˆ˜‚„†‡‰‹›€™][\x{80}-\x{BF}ŒœŠšŽžƒˆ˜‚„†‡‰‹›€™“”‘’–—•… ]"
_CYRILLIC = r"[А-п][ЂЃѓ‚„†‡€‰Љ‹ЊЌЋЏђ‘’“•–—™љ›њќћџ\x{A0}ЎўЈ¤Ґ¦§©Є«¬\x{AD}®Ї°±Ііґµ¶·ё№є»јЅѕї]"
_LATIN_RUN = re.compile(r"(?<![^\x00-\x7F])[\xA1-\xFE]{6,}(?![^\x00-\x7F])")
_FTFY: dict[str, Any] = {
    "unescape_html": False,
    "fix_character_width": False,
    "uncurl_quotes": False,
    "fix_latin_ligatures": False,
    "normalization": None,
    "explain": False,
}


def _repaired(texts: pl.Series) -> pl.Series:
    sign = f"[\r{_CONTROLS}{_INVISIBLE}{_UNCOMPOSED}]|{_LATIN}|{_CYRILLIC}|[\xa1-\xfe]{{6}}|{_gbk_sign()}"
    rows = texts.str.contains(sign).arg_true()
    if not len(rows):
        return texts
    faulty = texts.gather(rows).str.replace_all(f"[{_CONTROLS}]", "")  # ftfy needs U+0080 to U+009F to mend
    faulty = _mended(faulty, f"[\xa1-\xfe]{{6}}|{_gbk_sign()}", _mend_gbk)
    faulty = _mended(faulty, f"{_LATIN}|{_CYRILLIC}", _mend_with_ftfy)
    faulty = faulty.str.normalize("NFC").str.replace_all(r"\r\n?", "\n").str.replace_all(f"[{_CONTROLS}{_INVISIBLE}]", "")
    return texts.scatter(rows, faulty)


def _mended(texts: pl.Series, sign: str, mend: Callable[[str], str]) -> pl.Series:
    rows = texts.str.contains(sign).arg_true()
    return texts.scatter(rows, [mend(text) for text in texts.gather(rows)]) if len(rows) else texts


def _mend_with_ftfy(text: str) -> str:
    import ftfy  # here, for the rules are imported with the project file's schema and this costs 35 ms

    return ftfy.fix_text(text, ftfy.TextFixerConfig(**_FTFY))


def _mend_gbk(text: str) -> str:
    """UTF-8 read as GBK and GBK read as latin-1 into what they were, span by span."""
    text = _LATIN_RUN.sub(_gbk_in_latin, text)
    sign = re.compile(_gbk_sign())
    pieces, done, place = [], 0, 0
    while found := sign.search(text, place):
        start = found.start()
        end, result = _utf8_in_gbk(text, start)
        if _is_sure(text[start:end], result):
            pieces += [text[done:start], result]
            done = place = end
        else:
            place = start + 1
    return "".join(pieces) + text[done:]


def _gbk_in_latin(found: re.Match[str]) -> str:
    """`ÄãºÃ` into 你好: a whole run of letters and symbols mixed as nobody writes them, nearly all common Chinese."""
    run = found[0]
    try:
        result = run.encode("latin-1").decode("gb2312")
    except UnicodeDecodeError:
        return run
    mixed = re.search(r"[\xA1-\xBF]", run) and re.search(r"[\xC0-\xFE]", run)
    common = sum(char in _common() for char in result)
    return result if mixed and common >= 0.9 * len(result) and len(set(result) & _common()) >= 3 else run


def _utf8_in_gbk(text: str, start: int) -> tuple[int, str]:
    """The longest span from `start` whose GBK bytes are UTF-8 of Chinese: where it ends, and the text that it was.

    A byte that GBK cannot hold has become "�" or "?": the character that it belonged to is lost, and "�" says so. "€" is the
    byte 80 or the bytes A2E3: both readings are followed, by the bytes that wait for the rest of their character.
    """
    end, result = start, ""
    readings = {b"": ""}
    for place in range(start, min(len(text), start + 1000)):  # a longer span goes on in the next
        char = text[place]
        if char.isascii() or char == "�":
            cut = [was for waiting, was in readings.items() if waiting]
            return (place + 1, cut[0] + "�") if cut and char in "?�" else (end, result)
        try:
            choices = (b"\x80", b"\xa2\xe3") if char == "€" else (char.encode("gb18030"),)
        except UnicodeEncodeError:
            break
        readings = {
            waiting: was + more
            for before, was in readings.items()
            for choice in choices
            for waiting, more in _decoded(before, choice)
            if _PLAUSIBLE.fullmatch(more)
        }
        if not readings:
            break
        if b"" in readings:
            end, result = place + 1, readings[b""]
    return end, result


def _decoded(waiting: bytes, more: bytes) -> Iterator[tuple[bytes, str]]:
    """Bytes that still wait and the characters that are whole, or nothing where this is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        characters = decoder.decode(waiting + more)
    except UnicodeDecodeError:
        return
    yield decoder.getstate()[0], characters


def _is_sure(source: str, result: str) -> bool:
    """Nearly all of the result is common and, where it is short, little of the source is.

    One character alone must be a mark or a symbol, or have a "€" in it.
    """
    characters = [char for char in result if not char.isascii() and char != "�"]
    if not characters or (len(characters) == 1 and _HAN.match(characters[0]) and "€" not in source):
        return False
    common = sum(char in _common() or not _HAN.match(char) for char in characters) / len(characters)
    if common < 0.9:
        return False
    # four characters in a row that fit the pattern of UTF-8 are proof by themselves
    return len(characters) >= 4 or sum(char in _common() for char in source) <= 0.5 * len(source)


_HAN = re.compile(r"[\u3400-\u9FFF]")
_PLAUSIBLE = re.compile(r"[\x00-\x7F\u00B7\u2010-\u203B\u3000-\u30FF\u4E00-\u9FFF\uFF01-\uFF5E\uFFE5\U0001F300-\U0001FAFF]*")


@cache
def _common() -> frozenset[str]:
    """The first levels of GB 2312 (3,755 characters) and of Big5 (5,401), and Chinese punctuation."""
    simplified = bytes(byte for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) for byte in (row, cell))
    traditional = bytes(
        byte for row in range(0xA4, 0xC7) for cell in (*range(0x40, 0x7F), *range(0xA1, 0xFF)) for byte in (row, cell)
    )
    marks = "‘’“”…—·，。、；：？！（）《》〈〉「」『』【】〔〕％～￥\u3000"
    return frozenset(simplified.decode("gb2312", "ignore") + traditional.decode("big5", "ignore") + marks)


@cache
def _gbk_sign() -> str:
    """A regular expression of UTF-8 read as GBK: the start of a mark or an emoji, or of two Chinese characters."""
    leads, rest = (*range(0xE3, 0xEA), 0xEF), range(0x80, 0xC0)

    def read(first: Iterable[int], second: Iterable[int]) -> str:
        pairs = bytes(byte for pair in product(first, second) for byte in pair)
        return "".join(char for char in pairs.decode("gb18030", "ignore") if not char.isascii())

    middle = range(0x81, 0xC0)
    return f"[鈥锛銆馃]|[{read(leads, rest)}](?:€|[{read(middle, leads)}][€�{read(middle, rest)}])"


class Whitespace(Edit):
    """Fold runs of spaces, trim lines, keep at most one blank line."""

    def text(self) -> pl.Expr:
        return (
            TEXT.str.replace_all(r"\r\n?|[\x{85}\x{2028}]", "\n")
            .str.replace_all(r"\x{2029}", "\n\n")
            .str.replace_all(r"[\t\x0B\x0C\x{1C}-\x{1F}\p{Zs}]+", " ")
            .str.replace_all(r" ?\n ?", "\n")
            .str.replace_all(r"\n{3,}", "\n\n")
            .str.strip_chars()
        )
