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

__all__ = ["STDIN", "Meter", "expand", "format_of", "opened"]

STDIN = Path("-")
FORMATS = ("jsonl", "ndjson", "json", "csv", "tsv", "parquet", "txt")
COMPRESSIONS = ("gz", "zst", "xz")
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, lzma.LZMAError)


def expand(patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, each once, in name order.

    A pattern is a path, a glob (`data/**/*.jsonl.gz`), a folder (all its files of a known format), `samples:GLOB` for the
    corpus that ships with aigc, or `-` for standard input.

    Raises:
        AigcError: a pattern names no file, or a file is of no known format.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if pattern == "-":
            found[STDIN] = None
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
        return [inner for inner in path.rglob("*") if inner.is_file() and _known(inner) and not _hidden(inner, path)]
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


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _known(path: Path) -> bool:
    return bool({suffix.lower() for suffix in path.suffixes[-2:]} & {f".{name}" for name in FORMATS})


def format_of(path: Path) -> str:
    """One of jsonl, json, csv, tsv, parquet, txt, from the name: `a.jsonl.gz` is jsonl. Standard input is jsonl."""
    if path == STDIN:
        return "jsonl"
    suffixes = [suffix.lower().removeprefix(".") for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    name = suffixes[-1] if suffixes else ""
    if name not in FORMATS:
        raise AigcError(f"{path}: unknown format {name!r}; known are {', '.join(FORMATS)}, each also as .gz .zst .xz")
    return "jsonl" if name == "ndjson" else name


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
