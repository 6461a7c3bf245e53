"""Mojibake, control characters and white space into clean text."""

from typing import Any

import polars as pl

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["RepairUnicode", "Whitespace"]


class RepairUnicode(Edit):
    """Mend mojibake, compose characters (NFC), remove control and zero-width characters. Source: ftfy 6.

    Only text that shows signs of mojibake goes through ftfy (2 MB/s); its fixes of width and of curly quotes stay off, for
    they turn Chinese punctuation into ASCII.
    """

    def text(self) -> pl.Expr:
        plain = TEXT.str.replace_all(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]", "")  # ftfy needs U+0080 to U+009F to mend
        mended = plain.map_batches(_mend_mojibake, return_dtype=pl.String)
        return (
            mended.str.normalize("NFC")
            .str.replace_all(r"\r\n?", "\n")
            .str.replace_all(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x{9F}\x{AD}\x{200B}\x{2060}\x{FEFF}\x{FFFE}\x{FFFF}]", "")
        )


_MOJIBAKE = r"[\x{80}-\x{9F}Â-ïŒœŠšŽžƒˆ˜‚„†‡‰‹›€™][\x{80}-\x{BF}ŒœŠšŽžƒˆ˜‚„†‡‰‹›€™“”‘’–—•… ]"
_FTFY: dict[str, Any] = {
    "unescape_html": False,
    "fix_character_width": False,
    "uncurl_quotes": False,
    "fix_latin_ligatures": False,
    "normalization": None,
    "explain": False,
}


def _mend_mojibake(texts: pl.Series) -> pl.Series:
    rows = texts.str.contains(_MOJIBAKE).arg_true()
    if not len(rows):
        return texts
    import ftfy  # here, for the rules are imported with the project file's schema and this costs 35 ms

    config = ftfy.TextFixerConfig(**_FTFY)
    return texts.scatter(rows, [ftfy.fix_text(text, config) for text in texts.gather(rows)])


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
