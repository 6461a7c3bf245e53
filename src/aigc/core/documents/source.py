"""A path, and how it is to be read, into a stream of bytes, a stream of text, or one text."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from aigc.core.documents.encodings import Declares, Encoded, encoded, says_nothing
from aigc.core.documents.files import Meter, opened
from aigc.core.documents.rows import MAX_TEXT, TOO_LONG, Failure

__all__ = ["Source", "TxtDocuments"]

TxtDocuments = Literal["file", "paragraph", "line"]


@dataclass(frozen=True)
class Source:
    """A file, and the reader's wishes about it."""

    path: Path
    meter: Meter = field(default_factory=Meter)
    encoding: str | None = None  # None: find it
    txt_documents: TxtDocuments = "file"

    @contextmanager
    def bytes(self) -> Iterator[IO[bytes]]:
        """The file's bytes, decompressed."""
        with opened(self.path, self.meter) as stream:
            yield stream

    @contextmanager
    def text(self) -> Iterator[Encoded]:
        """The file's bytes without a byte order mark, and their encoding; a line ends with the byte 0x0A."""
        with opened(self.path, self.meter) as stream:
            yield encoded(stream, self.encoding)

    def whole_text(self, declares: Declares = says_nothing) -> str | Failure:
        """All of the file as one text, or why it is none."""

        def failure(reason: str, data: bytes) -> Failure:
            return Failure(f"{self.path}:1", reason, data[:200].decode("utf-8", "replace"))

        with opened(self.path, self.meter) as stream:
            text = encoded(stream, self.encoding, declares=declares, look_at=MAX_TEXT + 1)
            data = text.stream.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            return failure(TOO_LONG, data)
        try:
            return data.decode(text.codec)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            return failure(f"not {text.name} text at line {line}", data)
