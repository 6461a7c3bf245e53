"""Plain text files into rows: a file, a paragraph or a line each."""

from collections.abc import Iterator

import polars as pl

from aigc.core.documents.blocks import Lines, line_blocks
from aigc.core.documents.encodings import Encoded
from aigc.core.documents.rows import MAX_TEXT, TOO_LONG, Failure, Rows, numbered
from aigc.core.documents.source import Source

__all__ = ["read_txt"]


def read_txt(source: Source) -> Iterator[Rows]:
    """A document a file, or, in bounded memory however long the file is, a document a line or a paragraph (between blank lines).

    Blank lines are no documents; a line of ideographic spaces is blank. What cannot be decoded is a failure.
    """
    if source.txt_documents == "file":
        text = source.whole_text()
        if isinstance(text, Failure):
            yield Rows(pl.DataFrame(), numbered(1, 0), [text])
        else:
            yield _rows(source, [text], [1], [])
        return
    with source.text() as encoded:
        if source.txt_documents == "line":
            for block in line_blocks(encoded.stream):
                yield _lines(source, encoded, block)
        else:
            yield from _paragraphs(source, encoded)


def _rows(source: Source, texts: list[str], numbers: list[int], failures: list[Failure]) -> Rows:
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_columns(file=pl.lit(source.path.name))
    return Rows(frame, pl.Series(numbers, dtype=pl.Int64), failures)


def _decoded(encoded: Encoded, block: Lines) -> list[str | Failure]:
    """Every line of a block, blank ones too; a Failure, whose origin is still to be filled in, for one that is no text."""
    try:
        return list(block.data.decode(encoded.codec).split("\n"))
    except UnicodeDecodeError:
        return [_decoded_line(encoded, line) for line in block.all]


def _decoded_line(encoded: Encoded, line: bytes) -> str | Failure:
    try:
        return line.decode(encoded.codec)
    except UnicodeDecodeError:
        return Failure("", f"not {encoded.name} text", line[:200].decode("utf-8", "replace"))


def _lines(source: Source, encoded: Encoded, block: Lines) -> Rows:
    texts: list[str] = []
    numbers: list[int] = []
    failures = [Failure(f"{source.path}:{number}", TOO_LONG, "") for number in block.too_long]
    for number, line in enumerate(_decoded(encoded, block), start=block.first):
        if isinstance(line, Failure):
            failures.append(Failure(f"{source.path}:{number}", line.reason, line.raw))
        elif line.strip():
            texts.append(line.removesuffix("\r"))
            numbers.append(number)
    return _rows(source, texts, numbers, failures)


class _Paragraph:
    """The lines since the last blank one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.first = 0  # the number of its first line, 0 where there is none yet
        self.size = 0
        self.fault: Failure | None = None

    def add(self, number: int, line: str | Failure) -> None:
        """One more line; of a paragraph that is too long or no text, no line is kept."""
        self.first = self.first or number
        if isinstance(line, Failure):
            self.fault = self.fault or line
        else:
            self.size += len(line) + 1
            self.lines.append(line.removesuffix("\r"))
        if self.size > MAX_TEXT:
            self.fault = self.fault or Failure("", TOO_LONG, self.lines[0][:200])
        if self.fault is not None:
            self.lines.clear()


def _paragraphs(source: Source, encoded: Encoded) -> Iterator[Rows]:
    open_one = _Paragraph()
    texts: list[str] = []
    numbers: list[int] = []
    failures: list[Failure] = []

    def close() -> None:
        nonlocal open_one
        if open_one.fault is not None:
            failures.append(Failure(f"{source.path}:{open_one.first}", open_one.fault.reason, open_one.fault.raw))
        elif open_one.first:
            texts.append("\n".join(open_one.lines))
            numbers.append(open_one.first)
        open_one = _Paragraph()

    for block in line_blocks(encoded.stream):
        too_long = set(block.too_long)
        for number, line in enumerate(_decoded(encoded, block), start=block.first):
            if number in too_long:
                open_one.add(number, Failure("", TOO_LONG, ""))
            elif isinstance(line, Failure) or line.strip():
                open_one.add(number, line)
            elif open_one.first:
                close()
        yield _rows(source, texts, numbers, failures)
        texts, numbers, failures = [], [], []
    close()
    yield _rows(source, texts, numbers, failures)
