"""Rows of a file, of stdin or of the project file into prompts."""

import hashlib
import os
import select
import sys
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.core.documents.blocks import MAX_LINE
from aigc.core.documents.files import STDIN, Meter, expand, format_of, opened
from aigc.core.documents.formats.json import json_object
from aigc.core.documents.reading import Failure, rows_of
from aigc.core.documents.template import MissingField, fill
from aigc.core.tokens.text import TextCodec

__all__ = ["BadPrompt", "Prompt", "arriving", "prompt_ids", "read_prompts"]

GRACE = 0.05  # seconds that a prompt on stdin is waited for, behind one that came
PATIENCE = 0.5  # seconds that are spent so before those that came are told that no more came

Found = tuple[str, dict[str, Any] | Failure]


@dataclass(frozen=True)
class Prompt:
    """A row whose template was filled."""

    id: str
    text: str
    origin: str = field(default="", compare=False)  # file:line
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # of the row


@dataclass(frozen=True)
class BadPrompt:
    """A row that is no prompt."""

    id: str
    origin: str
    reason: str


def read_prompts(given: str | Sequence[str | dict[str, Any]] | None, template: str) -> Iterator[Prompt | BadPrompt]:
    """Fill the template from each row, as rows arrive. An id that is given is kept, else it is the row's number.

    Args:
        given: a file, `-`, a list of texts or rows, or None for one row without fields.
        template: text with {field} places; a row that is a text has the one field `prompt`.

    Raises:
        AigcError: the file cannot be read. Rows that are broken, or lack a field, are bad prompts.
    """
    return (found for found in arriving(given, template) if found is not None)


def arriving(
    given: str | Sequence[str | dict[str, Any]] | None, template: str, *, reader: int | None = None
) -> Iterator[Prompt | BadPrompt | None]:
    """As read_prompts, and None each time that stdin has nothing more to offer for a moment: those that came need not wait.

    Args:
        reader: the descriptor of a pipe that is written to; while stdin is waited for, it is watched as well.

    Raises:
        BrokenPipeError: nobody reads that pipe any more.
    """
    names = _Names()
    number = 0
    for found in _rows(given, reader):
        if found is None:
            yield None
            continue
        origin, row = found
        told = None if isinstance(row, Failure) else row.get("id")
        name = names.unique(f"{number:06d}" if told is None or told == "" else str(told))
        number += 1
        if isinstance(row, Failure):
            yield BadPrompt(name, origin, row.reason)
            continue
        try:
            yield Prompt(name, fill(template, row), origin, row)
        except MissingField as error:
            yield BadPrompt(name, origin, str(error))


class _Names:
    """Makes each id the only one of its name, the second one by `#2`; 8 bytes of each are kept, so that rows may be many.

    Two ids among ten million share these 8 bytes with a probability of 3 in a million: the later one is then renamed without need,
    and in the same way each time.
    """

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._last: dict[int, int] = {}  # the number of the last repeat

    def unique(self, name: str) -> str:
        key = _key(name)
        if key not in self._used:
            self._used.add(key)
            return name
        count = self._last.get(key, 1) + 1
        while (other := _key(f"{name}#{count}")) in self._used:
            count += 1
        self._last[key] = count
        self._used.add(other)
        return f"{name}#{count}"


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _rows(given: str | Sequence[str | dict[str, Any]] | None, reader: int | None) -> Iterator[Found | None]:
    if given is None:
        yield "generate.prompt", {}
    elif not isinstance(given, str):
        for number, item in enumerate(given, start=1):
            yield f"generate.prompts:{number}", {"prompt": item} if isinstance(item, str) else item
    else:
        for path in expand([given]):
            if path == STDIN:
                yield from _from_stdin(sys.stdin.fileno(), reader)
            elif format_of(path) == "txt":
                yield from _lines(path)
            else:
                yield from rows_of(path)


def _lines(path: Path) -> Iterator[Found]:
    with opened(path, Meter()) as stream:
        for number, line in enumerate(stream, start=1):
            if (row := _prompt_of(path, number, line)) is not None:
                yield f"{path}:{number}", row


def _prompt_of(path: Path, number: int, line: bytes) -> dict[str, Any] | Failure | None:
    """A line of text as a row; None where it is blank."""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        return Failure(f"{path}:{number}", "not UTF-8 text", "")
    return {"prompt": text} if text.strip() else None


def _from_stdin(descriptor: int, reader: int | None) -> Iterator[Found | None]:
    """Lines as soon as they are there; None when a while has passed since the last, before the next is waited for.

    They are JSON if the first one begins as an object does, else each is a prompt.
    """
    row_of: Callable[[Path, int, bytes], dict[str, Any] | Failure | None] | None = None
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if reader is not None:
        poll.register(reader, 0)  # what went wrong with it is told unasked
    rest = bytearray()
    number, waited, new, skipping = 0, 0.0, False, False
    while True:
        began = time.monotonic()
        ready = poll.poll(GRACE * 1000 if new else None)
        waited += time.monotonic() - began
        if any(which != descriptor for which, _ in ready):
            raise BrokenPipeError
        if new and (not ready or waited > PATIENCE):
            yield None
            new = False
        if not new:
            waited = 0.0
        if not ready:
            continue
        chunk = os.read(descriptor, 1 << 16)
        *lines, tail = chunk.split(b"\n") if chunk else [bytes(rest), b""]
        if lines and chunk:
            lines[0] = bytes(rest) + lines[0]
        if lines:
            rest.clear()
        for line in lines:
            number += 1
            if skipping or len(line) > MAX_LINE:
                yield _too_long(number)
            elif line.strip():
                row_of = row_of or (json_object if line.removeprefix(BOM_UTF8).lstrip().startswith(b"{") else _prompt_of)
                if (row := row_of(STDIN, number, line)) is not None:
                    yield f"{STDIN}:{number}", row
            new = new or skipping or bool(line.strip())
            skipping = False
        if not chunk:
            return
        rest += tail
        if len(rest) > MAX_LINE:
            skipping = True
        if skipping:
            rest.clear()


def _too_long(number: int) -> Found:
    origin = f"{STDIN}:{number}"
    return origin, Failure(origin, f"a line of more than {MAX_LINE >> 20} MB", "")


def prompt_ids(codec: TextCodec, text: str) -> list[int]:
    """A prompt as a model reads it, one token at least."""
    return [*codec.start, *codec.encode([codec.prefix + text])[0]] or [codec.end]
