"""A label beside a plain text, which has no place for it: the notice in the text, all else in a sidecar file."""

import hashlib
import json

from aigc.labels.label import AIGC, DISCLOSURE, Found, Label, found_in, refuse_faulty
from aigc.labels.notice import explicit_in, noticed, unnoticed

__all__ = ["SIDECAR", "read", "strip", "write"]

SIDECAR = ".aigc.json"  # behind the whole name of the text: story.txt.aigc.json
_DIGEST = "sha256"


def write(text: str, label: Label, sidecar: str | None = None) -> tuple[str, str]:
    """The text with this label's notice and no other, and the sidecar for it.

    Args:
        sidecar: that which the text has now.

    Raises:
        AigcError: the label breaks the standard.
    """
    refuse_faulty(label)
    told = noticed(strip(text, sidecar), label.notice, label.place)
    values = {AIGC: label.fields, DISCLOSURE: label.companion, _DIGEST: _digest(told)}
    return told, json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def strip(text: str, sidecar: str | None) -> str:
    """The text without the notice that its sidecar names."""
    found = _labelled(sidecar)
    return text if found is None else unnoticed(text, found.notice, found.place)


def read(text: str, sidecar: str | None) -> Found | None:
    """The label of a text, None where it has none; a notice alone counts, too."""
    found = _labelled(sidecar)
    if found is None:
        return explicit_in(text, "text")
    if not found.fields or json.loads(str(sidecar)).get(_DIGEST) in (None, _digest(text)):
        return found
    return Found(found.where, found.fields, found.companion, (*found.faults, "the text was changed since it was labelled"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _labelled(sidecar: str | None) -> Found | None:
    if sidecar is None:
        return None
    try:
        values = json.loads(sidecar)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return Found("sidecar", {}, {}, ("it holds no JSON object",))
    return found_in(values.get(AIGC), values.get(DISCLOSURE), where="sidecar")
