"""The headings of a text into what is wrong with their order."""

from collections.abc import Iterator, Sequence

from aigc.core.rules.lint import Lint
from aigc.core.rules.markdown_lines import Line

__all__ = ["heading_lints"]


def heading_lints(lines: Sequence[Line]) -> Iterator[Lint]:
    """Levels that are jumped, numbers that skip or repeat, headings that repeat, sections without text."""
    path: list[Line] = []  # the last heading, below those that it stands under
    places: list[int] = []  # their numbers among the headings
    seen: set[tuple[tuple[int, ...], str]] = set()  # what stands under what
    numbers: dict[tuple[tuple[int, ...], str], Line] = {}  # the last of each kind under each heading
    headings = [line for line in lines if line.kind == "heading"]
    for place, line in enumerate(headings):
        before = headings[place - 1] if place else None
        if before is not None and before.level <= 6 and before.level + 1 < line.level <= 6:
            yield _lint("heading_level", line, f"level {line.level} follows level {before.level}")
        while path and path[-1].level >= line.level:
            path.pop()
            places.pop()
        above = tuple(places)
        title = line.title.casefold()
        if title and (above, title) in seen:
            yield _lint("heading_repeated", line, f"the heading {line.title!r} stands twice")
        seen.add((above, title))
        if line.mark is not None:
            yield from _number(line, numbers, above)
        path.append(line)
        places.append(place)
    yield from _empty(lines)


def _number(line: Line, numbers: dict[tuple[tuple[int, ...], str], Line], above: tuple[int, ...]) -> Iterator[Lint]:
    assert line.mark is not None
    family, number = line.mark.family, line.mark.number
    nested = family == "1.1"
    key = ((), f"{family} {number[:-1]}") if nested else (above, family)
    before = numbers.get(key)
    numbers[key] = line
    last = number[-1]
    if before is None:
        if last > 1 and (nested or not _late(family)):
            yield _lint("heading_number", line, f"{_said(number)} is the first of its kind")
        return
    assert before.mark is not None
    previous = before.mark.number[-1]
    if last == previous:
        yield _lint("heading_number", line, f"{_said(number)} stands twice")
    elif last != previous + 1:
        yield _lint("heading_number", line, f"{_said(number)} follows {_said(before.mark.number)}")


def _late(family: str) -> bool:
    """Whether a text may begin with a later one: an excerpt from chapter 7."""
    return family.startswith("第") or family.isalpha()


def _said(number: tuple[int, ...]) -> str:
    return ".".join(map(str, number))


def _empty(lines: Sequence[Line]) -> Iterator[Lint]:
    """A heading after which no text comes, but a heading of its own level or above, or nothing at all."""
    open_heading: Line | None = None
    for line in [*lines, None]:
        if line is None or line.kind == "heading":
            over = line is None or (open_heading is not None and line.level <= open_heading.level)
            if open_heading is not None and over:
                yield _lint("empty_section", open_heading, "nothing stands under the heading")
            open_heading = line
        elif line.kind != "blank":
            open_heading = None


def _lint(kind: str, line: Line, message: str) -> Lint:
    return Lint(kind, line.begin, line.end, message)  # type: ignore[arg-type]
