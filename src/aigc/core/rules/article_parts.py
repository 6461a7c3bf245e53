"""What a model wrote for a part of an article into that part: a title, the headings of an outline, a section's paragraphs."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from aigc.core.rules.markdown_lines import lines_of

__all__ = ["headings_of", "paragraphs_of", "section_of", "title_of"]

_LONGEST = 100  # characters of a heading: what is longer is a paragraph
_LABEL = re.compile(r"(?i)(?:title|headline|outline|heading|标题|题目|大纲|提纲|小标题)\s*[:：]\s*")
_MARK = re.compile(
    r"(?:[#>\s]+|[-*+•·●▪◦]\s+|\(?\d{1,3}(?:\.\d{1,3})*[.)）、:：]\s*(?!\d)|[（(]?[一二三四五六七八九十]{1,3}[)）、.]\s*|[①-⑳]\s*"
    r"|第[一二三四五六七八九十百\d]{1,3}[章节回部分篇][\s:：、.]*|(?:chapter|part|section)\s+(?:\d{1,3}|[ivxl]+|one|two|three)\b[\s:.—–-]*)+",
    re.IGNORECASE,
)
_INLINE = re.compile(r"(?:(?<=\s)|(?<=[；;。，,]))(?=(?:\d{1,2}[.、)]|[一二三四五六七八九十]{1,2}、)\s*[^\d\s])")
_PAIRS = {"“": "”", '"': '"', "《": "》", "「": "」", "『": "』", "'": "'", "‘": "’"}
_ENDED = re.compile(r"[.!?。！？…][\"'”’」』)）]*\s*$")


def title_of(text: str) -> str:
    """The first line that says something, without marks and quotation marks around it; "" where there is none."""
    for line in text.splitlines():
        title = _plain(line)
        if len(title) > _LONGEST:
            title = re.split(r"(?<=[。！？!?])|(?<=\.)\s", title, maxsplit=1)[0][:_LONGEST].strip()
        if title:
            return title
    return ""


def headings_of(text: str, *, most: int) -> tuple[str, ...]:
    """The headings of an outline: numbered, with bullets or bare, one in each line or several in one.

    A paragraph ends it, and so does a line without a number or bullet behind a blank one. A heading that stands twice counts once.
    """
    found: dict[str, str] = {}
    apart = False
    for line in text.splitlines():
        if not line.strip():
            apart = bool(found)
            continue
        if apart and not _MARK.match(line.strip().lstrip("*_")):
            break
        apart = False
        for item in _items(line):
            heading = _plain(item).rstrip("；;，,。.：: ")
            if len(heading) > _LONGEST:
                return tuple(found.values())
            if re.search(r"\w", heading):
                found.setdefault(heading.casefold(), heading)
            if len(found) == most:
                return tuple(found.values())
    return tuple(found.values())


def _items(line: str) -> Iterator[str]:
    """The line itself, or its parts where it numbers several: 1. a 2. b."""
    cuts = [0, *(match.start() for match in _INLINE.finditer(line)), len(line)]
    numbered = [line[a:b] for a, b in pairwise(cuts)]
    yield from numbered if len(numbered) > 2 or (len(numbered) == 2 and _MARK.match(numbered[0].strip())) else [line]


def _plain(line: str) -> str:
    """A line without its number, label, emphasis and quotation marks around the whole."""
    line = re.sub(r"\*\*|__|`", "", line).strip()
    line = _LABEL.sub("", _MARK.sub("", line, count=1) if _MARK.match(line) else line, count=1).strip()
    while len(line) > 1 and _PAIRS.get(line[0]) == line[-1]:
        line = line[1:-1].strip()
    return line.strip("# ")


def section_of(text: str, *, heading: str, outline: Sequence[str]) -> str:
    """What was written under a heading, up to where the next one begins; the heading itself is left out."""
    headings = {_plain(one).casefold() for one in outline}
    kept: list[str] = []
    for line in lines_of(text.strip()):
        plain = _plain(line.text).casefold()
        said = line.kind not in ("code", "fence") and bool(plain)
        if said and not any(one.strip() for one in kept) and plain == _plain(heading).casefold():
            continue
        if said and ((line.kind == "heading" and line.level <= 2) or plain in headings):
            break
        kept.append(line.text)
    return "\n".join(kept).strip()


def paragraphs_of(text: str) -> str:
    """Markdown in which each line of prose that ends a sentence is a paragraph."""
    lines = lines_of(text)
    out: list[str] = []
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        out.append(line.text.rstrip())
        if following is not None and line.kind == following.kind == "prose" and _ENDED.search(line.text):
            out.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()
