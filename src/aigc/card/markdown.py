"""Data into Markdown that shows it as it is: text in a line, tables, blocks."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["block", "inline", "items", "number", "plain", "share", "table"]

LONGEST = 160  # characters of a value that comes from data
_MARKED = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_NUMBER = re.compile(r"-?[\d,]+(\.\d+)?(e[+-]\d+)?%?|-?inf|nan|-")


def plain(value: object, most: int = LONGEST) -> str:
    """One line without control characters, cut where it is long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def inline(value: object, most: int = LONGEST) -> str:
    """Text in a line or a cell, in which nothing is markup."""
    escaped = _MARKED.sub(r"\\\1", plain(value, most))
    return re.sub(r"^(\d*)([-+=.)])(?=[\s=+-]|$)", r"\1\\\2", escaped)  # would begin a list, a heading or a rule


def number(value: float) -> str:
    """A count with thousands apart; four digits that count of anything else."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def share(part: float, whole: float) -> str:
    """So many percent."""
    return f"{part / whole:.1%}" if whole else "-"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table, with numbers at the right. Cells are data, columns are ours."""
    lines = [[number(cell) if isinstance(cell, int | float) else plain(cell) for cell in row] for row in rows]
    right = [all(_NUMBER.fullmatch(line[i]) for line in lines) for i in range(len(columns))]
    cells = [[cell if right[i] else inline(cell) for i, cell in enumerate(line)] for line in lines]
    head = [f"| {' | '.join(columns)} |", f"| {' | '.join('---:' if one else '---' for one in right)} |"]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in cells)])


def items(lines: Iterable[str]) -> str:
    """A list of lines that are Markdown already."""
    return "\n".join(f"- {line}" for line in lines)


def block(text: str, language: str = "") -> str:
    """A fenced block, whatever the text holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
