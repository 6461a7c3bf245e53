"""A label in HTML: the metas `AIGC`, `ai-disclosure` and `ai-generated` in the head, the notice as a paragraph of its own class."""

import json
import re
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser

from aigc.labels.label import AIGC, Found, Label, found_in, refuse_faulty
from aigc.labels.notice import explicit_in

__all__ = ["NOTICE", "read", "strip", "text_of", "write"]

NOTICE = "aigc-notice"  # the class of the paragraph
_BESIDE = "ai-disclosure"
_PLAIN = "ai-generated"
_OURS = (AIGC.lower(), _BESIDE, _PLAIN)
_UNREAD = ("script", "style", "template", "title", "noscript")
_BLOCKS = (
    "p",
    "div",
    "br",
    "li",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "section",
    "article",
    "hr",
    "footer",
)


@dataclass
class _Page(HTMLParser):
    """Where the places of a page are, as offsets. Scripts and comments are skipped by the parser."""

    source: str
    metas: list[tuple[str, str, int, int]] = field(default_factory=list)  # name, content, start, end
    notices: list[tuple[int, int]] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)  # behind a start tag, by its name; before an end tag, by /name
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines = [0, *(match.end() for match in re.finditer("\n", self.source))]
        self._notice: int | None = None
        self._unread = 0
        self.feed(self.source)
        self.close()

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self._offset()
        end = start + len(self.get_starttag_text() or "")
        given = {name: value or "" for name, value in attrs}
        if tag == "meta":
            name = (given.get("name") or given.get("property") or "").lower()
            if "charset" in given:
                self.at["charset"] = end
            if name in _OURS:
                self.metas.append((name, given.get("content", ""), start, end))
        elif tag == "p" and NOTICE in given.get("class", "").split():
            self._notice = start
        self.at.setdefault(tag, end)
        self._unread += tag in _UNREAD
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        start = self._offset()
        if tag == "p" and self._notice is not None:
            self.notices.append((self._notice, self.source.index(">", start) + 1))
            self._notice = None
        self.at[f"/{tag}"] = start  # the last one counts
        self._unread = max(self._unread - (tag in _UNREAD), 0)
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_decl(self, decl: str) -> None:
        self.at.setdefault("!", self.source.index(">", self._offset()) + 1)

    def handle_data(self, data: str) -> None:
        if self._notice is None and not self._unread:
            self.text.append(data)


def write(page: str, label: Label) -> str:
    """The page with this label and no other.

    Raises:
        AigcError: the label breaks the standard.
    """
    refuse_faulty(label)
    page = strip(page)
    metas = _meta(AIGC, json.dumps(label.fields, separators=(",", ":")))
    if label.disclosure:
        metas += _meta(_PLAIN, "true")
    metas += _meta(_BESIDE, json.dumps(label.companion, ensure_ascii=False, separators=(",", ":")))
    notice = f'<p class="{NOTICE}" role="note">{escape(label.notice)}</p>'
    at = _Page(page).at
    head = next((at[name] for name in ("/head", "charset", "head", "html", "!") if name in at), 0)
    if label.place == "start":
        body = max(at.get("body", head), head)
    else:
        body = max(next((at[name] for name in ("/body", "/html") if name in at), len(page)), head)
    return page[:head] + metas + page[head:body] + notice + page[body:]


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def strip(page: str) -> str:
    """The page without a label and its notice."""
    found = _Page(page)
    kept, last = "", 0
    for start, end in sorted([(start, end) for _, _, start, end in found.metas] + found.notices):
        kept, last = kept + page[last:start], end
    return kept + page[last:]


def read(page: str) -> Found | None:
    """The label of a page, None where it has none; a notice alone counts, too."""
    found = _Page(page)
    by_name = {name: content for name, content, _, _ in reversed(found.metas)}
    label = found_in(by_name.get(AIGC.lower()), by_name.get(_BESIDE), where="meta")
    if label is None and _PLAIN in by_name:
        label = Found("meta", {}, {"ai_generated": by_name[_PLAIN]})
    if label is not None:
        count = sum(name == AIGC.lower() for name, *_ in found.metas)
        faults = (*label.faults, f"{count} labels, and there may be one") if count > 1 else label.faults
        return Found(label.where, label.fields, label.companion, faults)
    notices = [unescape(re.sub("<[^>]*>", "", page[start:end])) for start, end in found.notices]
    return explicit_in(notices[0] if notices else text_of(page), "text")


def text_of(page: str) -> str:
    """What there is to read, without the notice."""
    lines = (" ".join(line.split()) for line in "".join(_Page(page).text).splitlines())
    return "\n".join(line for line in lines if line)
