"""A .docx file into its parts and back, and a part of XML into where its elements stand."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.parsers import expat

from aigc.errors import AigcError

__all__ = ["Element", "elements", "packed", "replaced", "unpacked"]

MOST = 1 << 27  # bytes of all parts together
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever they are written


@dataclass(frozen=True)
class Element:
    """An element and its bytes in the part."""

    name: str  # without its prefix
    parents: tuple[str, ...]
    attributes: Mapping[str, str]  # by name without prefix
    start: int
    inner: int  # behind its start tag
    close: int  # before its end tag; as `inner` where it is empty
    end: int
    text: str  # of all that it holds


def unpacked(data: bytes) -> dict[str, bytes]:
    """The parts by name, in order.

    Raises:
        AigcError: it is no .docx, or one that unpacks to more than 128 MB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > MOST:
                raise AigcError(f"it unpacks to more than {MOST >> 20} MB")
            parts = {info.filename: archive.read(info) for info in infos if not info.is_dir()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise AigcError(f"no .docx: {error}") from None
    if "[Content_Types].xml" not in parts or "word/document.xml" not in parts:
        raise AigcError("no .docx: it has no word/document.xml")
    return parts


def packed(parts: Mapping[str, bytes]) -> bytes:
    """The parts as a file; [Content_Types].xml is the first."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(parts, key=lambda name: name != "[Content_Types].xml"):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, parts[name])
    return stream.getvalue()


def elements(part: bytes, name: str) -> list[Element]:
    """All elements of a part, in the order of their ends.

    Args:
        name: of the part, for the message.

    Raises:
        AigcError: it is no XML, has a document type (which can blow up), or is not UTF-8.
    """
    parser = expat.ParserCreate()
    found: list[Element] = []
    open_: list[tuple[str, dict[str, str], int, list[str]]] = []

    def refuse(*_: object) -> None:
        raise AigcError(f"{name}: has a document type, which a .docx never has")

    def declared(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise AigcError(f"{name}: is {encoding}, not UTF-8")

    def begun(tag: str, attributes: dict[str, str]) -> None:
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        open_.append((tag.rpartition(":")[2], plain, parser.CurrentByteIndex, []))

    def ended(_tag: str) -> None:
        tag, attributes, start, texts = open_.pop()
        tag_end = _TAG.match(part, start)
        assert tag_end is not None, "expat has seen a tag that does not end"
        inner = tag_end.end()
        empty = part[inner - 2 : inner] == b"/>"
        close = inner if empty else parser.CurrentByteIndex
        end = inner if empty else part.index(b">", close) + 1
        text = "".join(texts)
        if open_:
            open_[-1][3].append(text)
        found.append(Element(tag, tuple(one[0] for one in open_), attributes, start, inner, close, end, text))

    parser.StartDoctypeDeclHandler = refuse
    parser.XmlDeclHandler = declared
    parser.StartElementHandler = begun
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = lambda data: open_[-1][3].append(data) if open_ else None
    try:
        parser.Parse(part, True)
    except expat.ExpatError as error:
        raise AigcError(f"{name}: no well-formed XML ({error})") from None
    return found


def replaced(part: bytes, changes: Sequence[tuple[int, int, bytes]]) -> bytes:
    """A part with other bytes in some of its places, as (start, end, bytes)."""
    pieces, last = [], 0
    for start, end, new in sorted(changes):
        pieces += [part[last:start], new]
        last = end
    return b"".join([*pieces, part[last:]])
