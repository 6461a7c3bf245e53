"""What a person sees while a command works, all on stderr: progress bars, tables and notes. The only room that knows rich."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

__all__ = ["Advance", "closing", "note", "progress", "table", "warn"]

Advance = Callable[..., None]
"""advance(amount, note="") moves a bar on and sets the note behind it."""


def _console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        if self._unit == "bytes":
            return Text(f"{speed / 1e6:.1f} MB/s")
        return Text(f"{speed:,.1f} {self._unit}/s" if speed < 100 else f"{speed:,.0f} {self._unit}/s")


@contextmanager
def progress(description: str, total: float | None, unit: str) -> Iterator[Advance]:
    """A bar with rate and time left; nothing where stderr is no terminal."""
    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = _console()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(description, total=total, note="")

        def advance(amount: float, note: str | None = None) -> None:
            fields = {} if note is None else {"note": note}
            bars.update(task, advance=amount, **fields)  # type: ignore[arg-type]

        yield advance


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; columns that hold numbers are set flush right."""
    drawn = Table(title=Text(title), title_justify="left", title_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) or row[i] in ("", "-") for row in rows)
        drawn.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_shown(cell)) for cell in row))
    _console().print(drawn)


def _shown(cell: object) -> str:
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.4g}"


def note(text: str) -> None:
    """A line for the reader."""
    _console().print(Text(text))


def warn(text: str) -> None:
    """A line that should not be overlooked."""
    _console().print(Text(f"warning: {text}", style="yellow"))


def closing(stage: str, seconds: float, folder: object) -> None:
    """The last line of a stage: how long it took and where the result lies."""
    _console().print(Text.assemble((stage, "bold"), f": done in {seconds:,.1f} s, see {folder}"))
