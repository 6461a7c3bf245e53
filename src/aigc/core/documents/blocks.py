"""A stream of bytes into blocks of whole lines, with their numbers, in bounded memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO

__all__ = ["MAX_LINE", "Lines", "line_blocks"]

BLOCK = 4 << 20
MAX_LINE = 64 << 20
_BLANK = re.compile(rb"\n[ \t\r\x0b\x0c]*(?:\n|\Z)")  # after the first line


@dataclass(frozen=True)
class Lines:
    """Whole lines, the last without its end. A line that was too long to be read is empty here, and its number is kept."""

    data: bytes
    first: int  # the number of the first line, counted from 1
    too_long: list[int] = field(default_factory=list)

    @property
    def all(self) -> list[bytes]:
        """Every line, the blank ones too."""
        return self.data.split(b"\n")

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines that are not blank."""
        return [line for line in self.all if line.strip()]

    @cached_property
    def numbers(self) -> list[int]:
        """The numbers of the lines that are not blank."""
        return [number for number, line in enumerate(self.all, start=self.first) if line.strip()]

    @cached_property
    def count(self) -> int:
        """How many lines there are, the blank ones too."""
        return self.data.count(b"\n") + 1

    @property
    def has_blank(self) -> bool:
        """Whether a line is blank; found without splitting."""
        return not self.data.partition(b"\n")[0].strip() or _BLANK.search(self.data) is not None


def line_blocks(stream: IO[bytes], *, block: int = BLOCK, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """Whole lines, about `block` bytes at a time; a line of more than `max_line` bytes is skipped and its number kept."""
    rest = b""
    number = 1
    skipping = False
    while chunk := stream.read(block):
        if number == 1 and not rest and not skipping:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        end = chunk.rfind(b"\n")
        if end < 0:  # no line ends here
            rest = b"" if skipping or len(rest) + len(chunk) > max_line else rest + chunk
            skipping = skipping or not rest
            continue
        first_end = chunk.find(b"\n")
        too_long = [number] if skipping or len(rest) + first_end > max_line else []
        lines = Lines(chunk[first_end:end] if too_long else rest + chunk[:end], number, too_long)
        yield lines
        number += lines.count
        rest, skipping = chunk[end + 1 :], False
    if skipping or rest.strip():
        yield Lines(rest, number, [number] if skipping else [])
