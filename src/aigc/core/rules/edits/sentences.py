"""Text that a sampler left into whole sentences."""

import re

import polars as pl

from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import HAN, places
from aigc.core.rules.rule import Edit

__all__ = ["FinishSentence"]


class FinishSentence(Edit):
    """Trim a last sentence that was cut off; text without any finished sentence stays as it is.

    A sentence ends in . ! ? before white space, or in 。！？…, with the quotes and brackets that follow; ～, an emoji and a #topic
    end the text as well. Nothing is cut inside code, front matter, lists or tables, and no end is seen in an address, a number or
    an abbreviation.
    """

    def text(self) -> pl.Expr:
        return each(_finished, where=r"[.!?。！？…]")


_EMOJI = "\u2600-\u27bf\u2b50\ufe0f\U0001f1e6-\U0001faff"
_END = re.compile(
    rf"(?<![.\w])(?:[A-Z]\.)+(?=\s*\Z)|[.!?]+[\"'”’)\]」』）]*(?=\s|\Z)|[!?]+(?=[{HAN}])|[。！？…]+[”’」』）】\"')\]]*"
)
_LOOSE_END = re.compile(
    rf"(?:[～~♪{_EMOJI}][”’」』）)\s]*|#[\w·-]+#?"
    r"|[.!?。！？…][\"'”’」』]*\s*(?:（[^（）\n]{1,60}）|\([^()\n]{1,60}\)|【[^【】\n]{1,60}】))\Z"  # （完）
)
_BEFORE_HAN = re.compile(rf"\s*[{HAN}]")
_SHORT = re.compile(
    r"(?:^|[^\w.])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Sgt|Capt|Lt|Gov|Sen|Rep|Rev|Hon|No|Nos|vs|etc|Inc|Ltd|Co|Corp|Fig|Eq|cf|approx"
    r"|e\.g|i\.e|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|[A-Z](?:\.[A-Z])*)\Z"
)
_NUMBERED = re.compile(r"^[ \t>]*(?:\d{1,3}|[A-Za-z])\Z", re.MULTILINE)
_ITEM = re.compile(r"[ \t>]*(?:[-*+•][ \t]|(?:\d{1,3}|[A-Za-z])[.)）][ \t]|\d{1,3}、|[（(]\d{1,3}[)）]|\|)")
_INDENTED = re.compile(r"[ \t]+\S")


def _finished(text: str) -> str:
    body = text.rstrip()
    if _LOOSE_END.search(body) or _ends_in_block(body):
        return body
    kept = places(body)
    fences = [place.end for place in kept.all if place.kind in ("code", "front") and "\n" in body[place.begin : place.end]]
    last = max((end for end in fences if end <= len(body)), default=0)
    for found in _END.finditer(body):
        place = kept.at(found.start(), found.start() + 1)
        inside = place is not None and not (place.kind in ("number", "name", "address") and found.start() + 1 >= place.end)
        if not inside and not _is_abbreviation(body, found):
            last = max(last, found.end())
    last = max(last, _end_of_block(body, last))
    return body[:last].rstrip() if last and body[:last].strip() else text


def _is_abbreviation(text: str, found: re.Match[str]) -> bool:
    """Mr. and J. inside a text, and the number of a list's item, a table or a section of Chinese (`表 3.5. 命令`)."""
    if found[0] != "." or not text[found.end() :].strip():
        return False
    before = text[max(found.start() - 12, 0) : found.start()]
    if before[-1:].isdigit() and _BEFORE_HAN.match(text, found.end()):
        return True
    return bool(_SHORT.search(before) or _NUMBERED.search(text[text.rfind("\n", 0, found.start()) + 1 : found.start()]))


def _ends_in_block(text: str) -> bool:
    """Whether the last line belongs to a list, a table or a fence."""
    fences = [place for place in places(text, ("code", "front")).all if "\n" in text[place.begin : place.end]]
    if fences and fences[-1].end >= len(text):
        return True
    return _is_item(text, text.rfind("\n") + 1)


def _is_item(text: str, begin: int) -> bool:
    """Whether the line that begins there is one of a list or a table; a line that is set in belongs to the one before it."""
    line = text[begin : (text.find("\n", begin) + 1 or len(text) + 1) - 1]
    while _INDENTED.match(line) and not _ITEM.match(line) and begin > 0:
        begin = text.rfind("\n", 0, begin - 1) + 1
        line = text[begin : text.find("\n", begin)]
    return bool(_ITEM.match(line))


def _end_of_block(text: str, last: int) -> int:
    """The end of the last list or table behind `last`, which a sentence that goes must not take along."""
    end = last
    for found in re.finditer(r"\n", text[last:]):
        at = last + found.start()
        if at > 0 and _is_item(text, text.rfind("\n", 0, at) + 1):
            end = at
    return end
