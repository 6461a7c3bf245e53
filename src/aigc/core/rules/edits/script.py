"""Chinese text into simplified or traditional characters."""

import re
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl

from aigc.core.rules.rule import TEXT, Edit

if TYPE_CHECKING:
    from opencc import OpenCC

__all__ = ["ChineseScript"]

_To = Literal["simplified", "traditional", "taiwan", "hongkong"]
_SUFFIX: dict[_To, str] = {"traditional": "t", "taiwan": "tw", "hongkong": "hk"}
_KANA = r"[\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{FF66}-\x{FF9D}]"
_HAN = r"[\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{323AF}]"
_BLOCKS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xF900, 0xFB00))


class ChineseScript(Edit):
    """Convert Chinese text to simplified or traditional characters, word by word: 乾燥的乾坤 to 干燥的乾坤. Source: OpenCC 1.4.

    Words stay as they are (no 軟體 to 软件), only characters change. Text in which one character in twenty is kana is Japanese
    and left alone. Simplified text of which every character is also a traditional one (里, 后, 云) cannot be told from
    traditional text and is left alone. Text that is converted already stays byte for byte.
    """

    shorthand: ClassVar[str | None] = "to"

    to: _To = "simplified"
    """simplified (mainland), traditional (OpenCC's standard), taiwan or hongkong (traditional, with their variants)"""

    def text(self) -> pl.Expr:
        return TEXT.map_batches(self._converted, return_dtype=pl.String)

    def _converted(self, texts: pl.Series) -> pl.Series:
        han = texts.str.count_matches(_HAN)
        if not (han > 0).any():
            return texts  # and OpenCC is not loaded
        if self.to == "simplified":
            signs = _changed("t2s")
        else:
            signs = _simplified_only() | (_changed(f"t2{_SUFFIX[self.to]}") if self.to != "traditional" else frozenset())
        kana = texts.str.count_matches(_KANA)
        rows = (texts.str.contains(_any_of(signs).pattern) & (kana * 20 <= kana + han)).arg_true()
        if not len(rows):
            return texts
        edited = [
            _to_simplified(text) if self.to == "simplified" else _to_traditional(text, self.to) for text in texts.gather(rows)
        ]
        return texts.scatter(rows, edited)


def _to_simplified(text: str) -> str:
    """Traditional text as OpenCC has it; in simplified text only what is traditional, read in traditional surroundings.

    乾 is right in simplified 乾纲, but OpenCC knows only 乾綱: so such a text goes to traditional and back first.
    """
    converter, only = _converter("t2s"), _traditional_only()
    if only.isdisjoint(text):
        through = converter.convert(_converter("s2t").convert(text))
        pairs = zip(text, through if len(through) == len(text) else text, strict=True)
        return "".join(new if old in _changed("t2s") else old for old, new in pairs)
    simplified: str = converter.convert(text)
    return _any_of(only).sub(lambda left: str(converter.convert(left[0])), simplified)


def _to_traditional(text: str, to: _To) -> str:
    """Simplified text as OpenCC has it; in a text of both scripts, only the lines that are mostly simplified."""
    if not _is_simplified(text) and "\n" in text:
        return "\n".join(_to_traditional(line, to) for line in text.split("\n"))
    if _is_simplified(text):
        text = _converter(f"s2{_SUFFIX[to]}").convert(text)
    return text if to == "traditional" else str(_converter(f"t2{_SUFFIX[to]}").convert(text))


def _is_simplified(text: str) -> bool:
    """Whether more characters are only simplified than only traditional."""
    return len(_any_of(_simplified_only()).findall(text)) > len(_any_of(_traditional_only()).findall(text))


@cache
def _any_of(characters: frozenset[str]) -> re.Pattern[str]:
    return re.compile(f"[{''.join(sorted(characters))}]")


@cache
def _converter(config: str) -> "OpenCC":
    from opencc import OpenCC  # here, for the rules are imported with the project file's schema

    return OpenCC(config)


@cache
def _changed(config: str) -> frozenset[str]:
    """The characters that OpenCC changes when they stand alone."""
    characters = [chr(code) for block in _BLOCKS for code in block]
    changed = _converter(config).convert("\n".join(characters)).split("\n")
    return frozenset(old for old, new in zip(characters, changed, strict=True) if old != new)


@cache
def _simplified_only() -> frozenset[str]:
    """What becomes traditional and is not in Big5: 汉 but not 后."""
    return frozenset(char for char in _changed("s2t") if not char.encode("big5", "ignore"))


@cache
def _traditional_only() -> frozenset[str]:
    """What becomes simplified and is not in GB 2312: 漢 but not 乾."""
    return frozenset(char for char in _changed("t2s") if not char.encode("gb2312", "ignore"))
