"""Rows into a file of JSON lines that only grows, never by half a row, and what stands in it already."""

import fcntl
import json
import os
from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np

from aigc.errors import AigcError

__all__ = ["Row", "RowFile"]

BEGIN = b'{"id": '  # of each row

Row = dict[str, Any]
Key = Callable[[Row], str]
Check = Callable[[Row], str | None]
"""Why a row that stands in the file cannot be one of those that are to be added; None where it can."""


class RowFile:
    """A file of rows that is gone on with.

    Of each row that stood in it when it was opened, 24 bytes are kept: the row is read again when it is asked for. A last line that
    is not whole is cut off. What is no regular file (a pipe, a device) is only written to.

    Args:
        path: the file; it is made when the first row is added, or at once with `make`.
        key: tells rows apart.
        check: is asked about each row that stands there.

    Raises:
        AigcError: another process has the file open as a RowFile, or a line in it is none of these rows; it is left as it was.
    """

    def __init__(self, path: Path, *, key: Key, check: Check, make: bool = False) -> None:
        self.path = path
        self.rows = 0
        self._file: IO[bytes] | None = None
        self._keys = np.empty(0, np.uint64)  # sorted
        self._lines = np.empty(0, np.int64)  # where in the file each of them stands
        self._offsets = np.empty(0, np.int64)  # of the lines
        self.regular = path.is_file() or not path.exists()
        if make or path.exists():
            self._open()
            try:
                if self.regular:
                    self._read(key, check)
            except BaseException:
                self.close()
                raise

    def __len__(self) -> int:
        """How many rows stood in the file when it was opened."""
        return len(self._offsets)

    def __contains__(self, key: str) -> bool:
        return self._place(key) is not None

    def get(self, key: str) -> tuple[int, Row] | None:
        """A row that stood in the file when it was opened, and the number of its line, counted from 0."""
        place = self._place(key)
        if place is None:
            return None
        line = int(self._lines[place])
        with self.path.open("rb") as file:
            file.seek(int(self._offsets[line]))
            row: Row = json.loads(file.readline())
        return line, row

    def lines(self) -> Iterator[bytes]:
        """The lines that stand in the file."""
        if self._file is not None and self.regular:
            with self.path.open("rb") as file:
                yield from file

    def add(self, row: Row) -> None:
        """Write a row, all of it or nothing.

        Raises:
            OSError: there is no room.
        """
        if self._file is None:
            self._open()
        assert self._file is not None
        data = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        end = os.fstat(self._file.fileno()).st_size if self.regular else 0
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError:
            if self.regular:
                os.ftruncate(self._file.fileno(), end)
            raise
        self.rows += 1

    def close(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab" if self.regular else "wb", buffering=0)
        except OSError as error:
            raise AigcError(f"{self.path}: cannot be written ({error.strerror or error})") from None
        if self.regular:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.close()
                raise AigcError(f"{self.path}: another aigc is writing to it; wait for it, or name another file") from None

    def _read(self, key: Key, check: Check) -> None:
        assert self._file is not None
        keys, offsets = array("Q"), array("q")
        whole = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                torn = not line.endswith(b"\n")  # a process was killed in the middle of a row
                row = _row(line)
                if row is None and torn and line[: len(BEGIN)] == BEGIN[: len(line)]:
                    break
                why = "it is no row of samples" if row is None else check(row)
                if why is not None:
                    raise AigcError(f"{self.path}:{number}: {why}")
                if torn or row is None:
                    break
                keys.append(_digest(key(row)))
                offsets.append(whole)
                whole += len(line)
        if whole < os.fstat(self._file.fileno()).st_size:
            os.ftruncate(self._file.fileno(), whole)
        found = np.frombuffer(keys, np.uint64) if len(keys) else np.empty(0, np.uint64)
        self._lines = np.argsort(found, kind="stable")
        self._keys = found[self._lines]
        self._offsets = np.array(offsets, np.int64)
        self.rows = len(offsets)

    def _place(self, key: str) -> int | None:
        digest = np.uint64(_digest(key))
        place = int(np.searchsorted(self._keys, digest))
        return place if place < len(self._keys) and self._keys[place] == digest else None


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
