"""A label in Markdown: `AIGC` and `ai_disclosure` in the YAML front matter (TC260-PG-20258A), the notice as a quotation."""

import re
from dataclasses import dataclass

import yaml

from aigc.errors import AigcError
from aigc.labels.label import AIGC, DISCLOSURE, Found, Label, found_in, refuse_faulty
from aigc.labels.notice import explicit_in, noticed, unnoticed

__all__ = ["read", "strip", "text_of", "write"]

MOST = 1 << 20  # characters in which a front matter must end
_FRONT = re.compile(r"(?P<open>\ufeff?---[ \t]*\r?\n)(?P<yaml>(?:.*\n)*?)(?P<close>(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z))")


@dataclass(frozen=True)
class _Parts:
    """A file in pieces that make it up again."""

    open: str  # the line of hyphens; empty where there is no front matter
    yaml: str
    close: str
    body: str
    newline: str


def write(text: str, label: Label) -> str:
    """The Markdown with this label and no other; the front matter that is there is kept as it stands.

    Raises:
        AigcError: the label breaks the standard, or the front matter is in braces.
    """
    refuse_faulty(label)
    parts = _parts(strip(text))
    newline = parts.newline
    mark = "\ufeff" if not parts.open and parts.body.startswith("\ufeff") else ""
    ours = [*_block(AIGC, label.fields, newline), *_block(DISCLOSURE, label.companion, newline)]
    front = "".join([parts.open or f"{mark}---{newline}", parts.yaml, *ours, parts.close or f"---{newline}"])
    if parts.close and not parts.close.endswith("\n"):
        front += newline
    return front + noticed(parts.body.removeprefix(mark), f"> {label.notice}", label.place, newline)


def _block(name: str, values: dict[str, str], newline: str) -> list[str]:
    quoted = ("  {}: '{}'{}".format(key, value.replace("'", "''"), newline) for key, value in values.items())
    return [f"{name}:{newline}", *quoted]


def strip(text: str) -> str:
    """The Markdown without a label, nor the notice that it names.

    Raises:
        AigcError: the front matter is in braces, and a label in it.
    """
    parts = _parts(text)
    found = _labelled(parts)
    if found is None:
        return text
    kept, last = "", 0
    for start, end in _places(parts.yaml):
        kept, last = kept + parts.yaml[last:start], end
    kept += parts.yaml[last:]
    body = unnoticed(parts.body, f"> {found.notice}" if found.notice else "", found.place, parts.newline)
    if not kept:
        return ("\ufeff" if parts.open.startswith("\ufeff") else "") + body
    return parts.open + kept + parts.close + body


def read(text: str) -> Found | None:
    """The label of a Markdown file, None where it has none; a notice alone counts, too."""
    parts = _parts(text)
    return _labelled(parts) or explicit_in(parts.body, "text")


def _labelled(parts: _Parts) -> Found | None:
    values = _values(parts.yaml)
    return found_in(values.get(AIGC), values.get(DISCLOSURE), where="front matter")


def text_of(text: str) -> str:
    """What there is to read, without front matter and notice."""
    return _parts(strip(text)).body


def _parts(text: str) -> _Parts:
    newline = "\r\n" if "\r\n" in text[:MOST] and "\n" not in text[:MOST].replace("\r\n", "") else "\n"
    found = _FRONT.match(text, 0, MOST)
    if found is None or not _values(found["yaml"]):
        return _Parts("", "", "", text, newline)
    return _Parts(found["open"], found["yaml"], found["close"], text[found.end() :], newline)


def _values(source: str) -> dict[object, object]:
    """The mapping that YAML holds, empty where it holds none."""
    try:
        values = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError):  # e.g. a rule of dashes above and below a text
        return {}
    return values if isinstance(values, dict) else {}


def _places(source: str) -> list[tuple[int, int]]:
    """Where the keys that are a label's begin and end with their values."""
    node = yaml.compose(source, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    if node.flow_style:
        raise AigcError("the front matter is a mapping in braces; write a key in each line to change its label")
    starts = [key.start_mark.index for key, _ in node.value] + [len(source)]
    found = []
    for number, (key, _) in enumerate(node.value):
        if key.value in (AIGC, DISCLOSURE):
            start, end = starts[number : number + 2]
            behind = re.search(r"(?:^(?:#.*)?\r?\n)+\Z", source[start:end], re.MULTILINE)  # comments are not of this key
            found.append((start, start + behind.start() if behind else end))
    return found
