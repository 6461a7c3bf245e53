"""Patterns into files, and files into streams of bytes."""

import difflib
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files as package_files
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from aigc.errors import AigcError

__all__ = ["COMPRESSIONS", "HUB", "STDIN", "Meter", "expand", "format_of", "joined", "opened"]

STDIN = Path("-")
HUB = "hub:"
FORMATS = ("jsonl", "ndjson", "json", "csv", "tsv", "parquet", "arrow", "feather", "ipc", "txt", "html", "htm", "md", "markdown")
_SAME = {"ndjson": "jsonl", "feather": "arrow", "ipc": "arrow", "htm": "html", "markdown": "md"}
_ABOUT = ("readme", "license", "licence")  # of a folder, not in it
COMPRESSIONS = ("gz", "zst", "xz")
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, lzma.LZMAError)


def expand(patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, each once, in name order.

    A pattern is a path, a glob (`data/**/*.jsonl.gz`), a folder (all its files of a known format, but no README or LICENSE),
    `samples:GLOB` for the corpus that ships with aigc, `hub:owner/name[/config][:split]` for a data set of the Hugging Face hub, or
    `-` for standard input. The last two come back as they are: they are no file on this disk.

    Raises:
        AigcError: a pattern names no file, or a file is of no known format.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if pattern == "-" or pattern.startswith(HUB):
            found[Path(pattern)] = None
            continue
        paths = _matches(pattern)
        if not paths:
            raise AigcError(f"{pattern}: {_why_nothing(pattern)}")
        found.update(dict.fromkeys(paths))
    for path in found:
        format_of(path)
    return sorted(found)


def _matches(pattern: str) -> list[Path]:
    scheme, colon, rest = pattern.partition(":")
    if scheme == "samples" and colon:
        folder = Path(str(package_files("aigc") / "samples"))
        return [path for path in folder.glob(rest) if _known(path)]
    path = Path(pattern).expanduser()
    if path.is_dir():
        return [inner for inner in path.rglob("*") if inner.is_file() and _in_folder(inner, path)]
    if path.exists():
        return [path]
    first_glob = next((i for i, part in enumerate(path.parts) if any(c in part for c in "*?[")), None)
    if first_glob is None:
        return []
    root = Path(*path.parts[:first_glob])
    return [inner for inner in root.glob(str(Path(*path.parts[first_glob:]))) if inner.is_file()]


def _why_nothing(pattern: str) -> str:
    path = Path(pattern)
    if path.is_dir():
        return f"the folder holds no file of a known format ({', '.join(FORMATS)})"
    if any(c in pattern for c in "*?[") or pattern.startswith("samples:"):
        return "no file matches"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], 1, 0.6) if path.parent.is_dir() else []
    return "no such file" + (f"; did you mean {path.parent / near[0]}?" if near else "")


def _in_folder(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return _known(path) and not hidden and path.name.lower().partition(".")[0] not in _ABOUT


def _known(path: Path) -> bool:
    return _extension(path) in FORMATS


def _extension(path: Path) -> str:
    """The last extension that says no compression: `jsonl` of `a.jsonl.gz`."""
    suffixes = [suffix.lower().removeprefix(".") for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def format_of(path: Path) -> str:
    """One of jsonl, json, csv, tsv, parquet, arrow, txt, html, md, hub, from the name: `a.jsonl.gz` is jsonl. Stdin is jsonl.

    Raises:
        AigcError: the name says no known format.
    """
    if path == STDIN:
        return "jsonl"
    if str(path).startswith(HUB):
        return "hub"
    name = _extension(path)
    if name not in FORMATS:
        raise AigcError(f"{path}: unknown format {name!r}; known are {', '.join(FORMATS)}, each also as .gz .zst .xz")
    return _SAME.get(name, name)


class Meter:
    """Counts the bytes that were read from disk, before decompression: what a progress bar shows."""

    def __init__(self) -> None:
        self.bytes = 0


class _Metered(io.RawIOBase):
    def __init__(self, raw: IO[bytes], meter: Meter) -> None:
        self._raw, self._meter = raw, meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._meter.bytes += len(data)
        return len(data)


class _Zstd(io.RawIOBase):
    """Zstandard frames, one after the other; zstandard's own reader takes a file that is cut off for a whole one."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._raw.read(1 << 18)
            if not data:
                if self._frame is not None:
                    raise EOFError("it ends in the middle of a frame")
                return 0
            while data:
                self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
                self._ready += self._frame.decompress(data)
                data = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame = None
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


@contextmanager
def opened(path: Path, meter: Meter) -> Iterator[IO[bytes]]:
    """A file's bytes, decompressed as they are read, so that an archive is never whole in memory.

    Raises:
        AigcError: the file cannot be read, or the archive is damaged.
    """
    if path == STDIN:
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb", buffering=0) as raw, io.BufferedReader(_Metered(raw, meter), 1 << 20) as metered:
            with _decompressed(path, metered) as stream:
                yield stream
    except _DAMAGED as error:
        raise AigcError(f"{path}: the archive is damaged ({error})") from None
    except OSError as error:
        raise AigcError(f"{path}: cannot be read ({error.strerror or error})") from None


def _decompressed(path: Path, raw: IO[bytes]) -> IO[bytes]:
    match path.suffix.lower():
        case ".gz":
            return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        case ".zst":
            return io.BufferedReader(_Zstd(raw), 1 << 20)
        case ".xz":
            return lzma.LZMAFile(raw)
    return raw


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the rest of their stream."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if len(self._head) else self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def joined(head: bytes, rest: IO[bytes]) -> IO[bytes]:
    """The stream that begins with bytes which were read from it already."""
    return io.BufferedReader(_Joined(head, rest), 1 << 20)
