"""A label in a .docx file: the custom properties `AIGC` and `ai_disclosure` (TC260-PG-20258A), the notice as a paragraph."""

import json
from xml.sax.saxutils import escape, quoteattr

from aigc.errors import AigcError
from aigc.labels.label import AIGC, DISCLOSURE, Found, Label, found_in, refuse_faulty
from aigc.labels.notice import explicit_in
from aigc.labels.package import Element, elements, packed, replaced, unpacked

__all__ = ["read", "strip", "text_of", "write"]

NOTICE = "aigc_notice"  # the bookmark that its paragraph has
_CUSTOM = "docProps/custom.xml"
_DOCUMENT = "word/document.xml"
_TYPES = "[Content_Types].xml"
_RELATIONS = "_rels/.rels"
_XML = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PROPERTIES = "http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
_VALUES = "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes"
_WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/custom-properties"
_FORMAT = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"  # of properties that users define: ECMA-376, part 1, 22.3


def write(data: bytes, label: Label) -> bytes:
    """The file with this label and no other.

    Raises:
        AigcError: it is no .docx, or the label breaks the standard.
    """
    refuse_faulty(label)
    parts = unpacked(strip(data))
    values = {AIGC: json.dumps(label.fields, separators=(",", ":")), DISCLOSURE: json.dumps(label.companion, ensure_ascii=False)}
    parts[_CUSTOM] = _with_properties(parts.get(_CUSTOM), values)
    _register(parts)
    document = parts[_DOCUMENT]
    found = elements(document, _DOCUMENT)
    body = next((one for one in found if one.name == "body"), None)
    if body is None:
        raise AigcError(f"no .docx: {_DOCUMENT} has no body")
    last = next((one for one in reversed(found) if one.name == "sectPr" and one.parents[-1] == "body"), None)
    at = body.inner if label.place == "start" else last.start if last is not None else body.close
    number = 1 + max((_number(one, "id") for one in found if one.name == "bookmarkStart"), default=0)
    parts[_DOCUMENT] = replaced(document, [(at, at, _paragraph(label.notice, number))])
    return packed(parts)


def _paragraph(notice: str, number: int) -> bytes:
    return (
        f'<w:p xmlns:w="{_WORDS}"><w:pPr><w:spacing w:after="240"/></w:pPr><w:bookmarkStart w:id="{number}" w:name="{NOTICE}"/>'
        f'<w:r><w:rPr><w:color w:val="595959"/><w:sz w:val="18"/></w:rPr><w:t>{escape(notice)}</w:t></w:r>'
        f'<w:bookmarkEnd w:id="{number}"/></w:p>'
    ).encode()


def _with_properties(part: bytes | None, values: dict[str, str]) -> bytes:
    part = part or _XML + f'<Properties xmlns="{_PROPERTIES}" xmlns:vt="{_VALUES}"></Properties>'.encode()
    found = elements(part, _CUSTOM)
    [root] = [one for one in found if not one.parents]
    if root.inner == root.close == root.end:  # <Properties ... />
        name = part[root.start + 1 : root.end - 2].split()[0]
        return _with_properties(part[: root.end - 2] + b"></" + name + b">" + part[root.end :], values)
    number = max((_number(one, "pid") for one in found if one.name == "property"), default=1)
    written = "".join(
        f'<property xmlns="{_PROPERTIES}" fmtid="{_FORMAT}" pid="{pid}" name={quoteattr(name)}>'
        f'<vt:lpwstr xmlns:vt="{_VALUES}">{escape(value)}</vt:lpwstr></property>'
        for pid, (name, value) in enumerate(values.items(), start=number + 1)
    )
    return replaced(part, [(root.close, root.close, written.encode())])


def _register(parts: dict[str, bytes]) -> None:
    """Name the part of the properties where its kind and its place are looked up."""
    types = elements(parts[_TYPES], _TYPES)
    if not any(one.attributes.get("PartName") == f"/{_CUSTOM}" for one in types):
        _append(parts, _TYPES, types, f'<Override PartName="/{_CUSTOM}" ContentType="{_TYPE}"/>')
    relations = elements(parts[_RELATIONS], _RELATIONS)
    if not any(one.attributes.get("Type") == _RELATION for one in relations):
        taken = {one.attributes.get("Id") for one in relations}
        name = next(name for name in (f"rId{number}" for number in range(1, len(taken) + 2)) if name not in taken)
        _append(parts, _RELATIONS, relations, f'<Relationship Id="{name}" Type="{_RELATION}" Target="{_CUSTOM}"/>')


def _append(parts: dict[str, bytes], name: str, found: list[Element], written: str) -> None:
    root = found[-1]
    parts[name] = replaced(parts[name], [(root.close, root.close, written.encode())])


def strip(data: bytes) -> bytes:
    """The file without a label and its notice; the same bytes where it has none.

    Raises:
        AigcError: it is no .docx.
    """
    parts = unpacked(data)
    notices = [(one.start, one.end, b"") for one in _notices(parts)]
    labels = [(one.start, one.end, b"") for one in _labels(parts)]
    if not notices and not labels:
        return data
    parts[_DOCUMENT] = replaced(parts[_DOCUMENT], notices)
    if labels:
        parts[_CUSTOM] = replaced(parts[_CUSTOM], labels)
    return packed(parts)


def _notices(parts: dict[str, bytes]) -> list[Element]:
    found = elements(parts[_DOCUMENT], _DOCUMENT)
    marks = [one.start for one in found if one.name == "bookmarkStart" and one.attributes.get("name") == NOTICE]
    return [one for one in found if one.name == "p" and any(one.start < mark < one.end for mark in marks)]


def _labels(parts: dict[str, bytes]) -> list[Element]:
    if _CUSTOM not in parts:
        return []
    found = elements(parts[_CUSTOM], _CUSTOM)
    return [one for one in found if one.name == "property" and one.attributes.get("name") in (AIGC, DISCLOSURE)]


def read(data: bytes) -> Found | None:
    """The label of a file, None where it has none; a notice alone counts, too.

    Raises:
        AigcError: it is no .docx.
    """
    parts = unpacked(data)
    labels = _labels(parts)
    by_name = {str(one.attributes["name"]): one.text for one in reversed(labels)}
    found = found_in(by_name.get(AIGC), by_name.get(DISCLOSURE), where=_CUSTOM)
    if found is None:
        return explicit_in(_text(parts), "text")
    count = sum(one.attributes["name"] == AIGC for one in labels)
    faults = (*found.faults, f"{count} labels, and there may be one") if count > 1 else found.faults
    return Found(found.where, found.fields, found.companion, faults)


def text_of(data: bytes) -> str:
    """What there is to read, a line for each paragraph, without the notice.

    Raises:
        AigcError: it is no .docx.
    """
    return _text(unpacked(strip(data)))


def _text(parts: dict[str, bytes]) -> str:
    lines: list[str] = []
    for one in sorted(elements(parts[_DOCUMENT], _DOCUMENT), key=lambda one: one.start):
        if one.name == "p":
            lines.append("")
        elif lines and one.parents[-1:] == ("r",):
            lines[-1] += {"t": one.text, "br": "\n", "tab": "\t"}.get(one.name, "")
    return "\n".join(line for line in lines if line)


def _number(one: Element, name: str) -> int:
    value = one.attributes.get(name, "")
    return int(value) if value.isdecimal() else 1
