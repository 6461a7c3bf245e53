"""A row of generated text into a piece that can be published: title, text, licence, attribution."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc.pages.page import language as han_or_not

__all__ = ["Names", "Piece", "language_of", "piece_of"]

LONGEST = 60  # characters of a title that is the beginning of the text
_HEADING = re.compile(r"\s*#{1,2}[ \t]+(.+?)[ \t#]*(?:\n+|\Z)")
_SENTENCE = re.compile(r"[^。！？!?\n]*?(?:[。！？!?]|\.(?=\s|$)|\n|$)")
_WORDS = {
    "zh": {"licence": "许可", "model": "模型", "data": "训练数据的许可", "sources": "训练数据来源"},
    "en": {
        "licence": "Licence",
        "model": "Model",
        "data": "Licences of the training data",
        "sources": "Sources of the training data",
    },
}


@dataclass(frozen=True)
class Piece:
    """One text with what belongs to it, in the words of its language."""

    id: str
    title: str
    headed: bool  # whether the title is more than the beginning of the text, and stands above it
    text: str  # without the title
    language: str  # zh or en
    credits: tuple[tuple[str, str], ...]  # name and value: licence, model, licences and sources of the training data

    @property
    def colon(self) -> str:
        """Between a name and its value."""
        return "：" if self.language == "zh" else ": "


def language_of(row: Mapping[str, Any]) -> str:
    """zh or en: what the row says, else by its characters."""
    told = next((row[name] for name in ("language", "lang") if isinstance(row.get(name), str)), None)
    if told is not None:
        return "zh" if told.lower().startswith(("zh", "cmn")) else "en"
    return han_or_not(row.get("text")) or "en"


def piece_of(row: Mapping[str, Any], *, licence: str | None, data: Sequence[str], sources: Sequence[str]) -> Piece:
    """A row as a piece. Its title is that of the row, else the heading that the text begins with, else its first sentence.

    Args:
        licence: of the piece; the row's own comes first.
        data: names of the licences of what the model was trained on.
        sources: of those that ask to be named.
    """
    text, language = str(row["text"]), language_of(row)
    given = row.get("title")
    heading = _HEADING.match(text)
    if heading and (not given or str(given).strip() == heading[1]):
        title, text = heading[1], text[heading.end() :]
    elif given:
        title = str(given)
    else:
        title = _beginning(text) or str(row["id"])
    own = next((str(row[name]) for name in ("license", "licence") if row.get(name)), licence)
    values = {"licence": own, "model": row.get("model"), "data": ", ".join(data), "sources": "; ".join(sources)}
    credits = tuple((_WORDS[language][name], _line(value)) for name, value in values.items() if value)
    headed = bool(given) or heading is not None
    return Piece(str(row["id"]), _line(title), headed, text.strip("\n"), language, credits)


def _line(value: object) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def _beginning(text: str) -> str:
    found = _SENTENCE.match(text.lstrip())
    line = _line(re.sub(r"[*_`#>]+", "", found[0])) if found else ""
    line = line.rstrip("。.")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"


class Names:
    """File names without endings for ids, no two alike even where capitals do not count."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self.last = ""  # the name that was given last

    def of(self, id_: str) -> str:
        """A new name: letters, digits, points, hyphens and underscores of the id."""
        plain = re.sub(r"[^\w.-]+", "-", id_).strip("-.")[:80] or "piece"
        self.last, number = plain, 1
        while self.last.casefold() in self._taken:
            number += 1
            self.last = f"{plain}-{number}"
        self._taken.add(self.last.casefold())
        return self.last
