"""A stream of bytes into blocks of whole lines, with their numbers, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

__all__ = ["MAX_LINE", "Lines", "line_blocks"]

BLOCK = 4 << 20
MAX_LINE = 64 << 20


@dataclass(frozen=True)
class Lines:
    """Lines that are not blank, their numbers counted from 1, and the numbers of lines too long to be read."""

    lines: list[bytes]
    numbers: list[int]
    too_long: list[int]


def line_blocks(stream: IO[bytes], *, block: int = BLOCK, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """Whole lines, about `block` bytes at a time; a line of more than `max_line` bytes is skipped and its number kept."""
    rest = b""
    number = 1
    skipping = False
    while chunk := stream.read(block):
        if number == 1 and not rest:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        *lines, tail = chunk.split(b"\n")
        if not lines:  # no line ends here
            rest = b"" if skipping or len(rest) + len(tail) > max_line else rest + tail
            skipping = skipping or not rest
            continue
        too_long = [number] if skipping or len(rest) + len(lines[0]) > max_line else []
        lines[0] = b"" if too_long else rest + lines[0]
        rest, skipping = tail, False
        kept = [(i, line) for i, line in enumerate(lines, start=number) if line.strip()]
        yield Lines([line for _, line in kept], [i for i, _ in kept], too_long)
        number += len(lines)
    if skipping or rest.strip():
        yield Lines([] if skipping else [rest], [] if skipping else [number], [number] if skipping else [])
