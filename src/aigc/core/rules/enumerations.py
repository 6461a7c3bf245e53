"""The enumerations of a text, lists and sentences, into where they start and do not end, skip or repeat."""

import re
from collections.abc import Iterator, Sequence

from aigc.core.rules.lint import Lint
from aigc.core.rules.markdown_lines import Line
from aigc.core.rules.numbers import of_numerals

__all__ = ["enumeration_lints"]

_START = r"(?:^|(?<=[\n。！？；：，!?;:,—”」]))[ \t\u3000]*"  # of a Chinese clause
_COUNTED = [  # a name, and how each member begins; of one kind all belong to one sequence
    ("第一", re.compile(_START + r"(第([一二三四五六七八九十]{1,2})(?:点|条|项|步|个|，是|是)?)(?=[，、：,:])")),
    ("其一", re.compile(_START + r"(其([一二三四五六七八九十]))(?=[，、：,:])")),
    ("一是", re.compile(r"(?:^|(?<=[\n。；：，;:,]))[ \t\u3000]*(([一二三四五六七八九])是)(?=[^否])")),
    ("一来", re.compile(r"(?:^|(?<=[\n。；：，;:,]))[ \t\u3000]*(([一二三四])来)(?=[，、])")),
]
_SENTENCE = r"(?:^|(?<=[\n.!?\"”:])|(?<=\n[-*]))[ \t]*"  # the start of an English one
_OPENINGS = [  # what starts, what must follow, what is missing
    (
        re.compile(_START + r"(首先)(?=[，、,])"),
        re.compile(r"其次|再次|再者|然后|接着|随后|而后|之后|接下来|最后|第二|此外|另外|同时|再|又|也"),
    ),
    (re.compile(r"(?<!另)(一方面)"), re.compile(r"一方面|另外|同时|但|然而|而")),
    (
        re.compile(_SENTENCE + r"(First|Firstly|First of all)(?=,)"),
        re.compile(r"(?i)\b(?:second(?:ly)?|then|next|after|later|finally|last(?:ly)?|also|furthermore|moreover|and)\b"),
    ),
    (re.compile(_SENTENCE + r"([Oo]n (?:the )?one hand)\b"), re.compile(r"(?i)\bother\b|\bbut\b|\bhowever\b|\byet\b")),
]
_SEQUELS = [  # what goes on, what must have come before
    (re.compile(_START + r"(其次|再次)(?=[，、,])"), re.compile(r"首先|第一|其一|先|最|一是|首要|主要|除")),
    (
        re.compile(_SENTENCE + r"(Secondly|Thirdly)(?=,)"),
        re.compile(r"(?i)\b(?:first(?:ly)?|one|foremost|most|main|chief|begin with)\b"),
    ),
]
_NAMED = {name: i for i, name in enumerate("two three four five six seven eight nine ten".split(), start=2)}
_ANNOUNCED = re.compile(
    r"(?:([两二三四五六七八九十]|\d{1,2})\s?(?:个|点|条|项|步|种|大)[^，。；：:\n]{0,10}"
    rf"|\b({'|'.join(_NAMED)}|\d{{1,2}}) [a-z][a-z -]{{2,30}}?)[：:]\s*$",
    re.IGNORECASE,
)


def enumeration_lints(prose: str, lines: Sequence[Line]) -> Iterator[Lint]:
    """Faults of numbered lists and of enumerations in sentences.

    Args:
        prose: the text, code blanked out.
        lines: its lines.
    """
    yield from _lists(lines)
    for name, pattern in _COUNTED:
        members = [(of_numerals(match[2]) or 0, match.start(1), match.end(1)) for match in pattern.finditer(prose)]
        yield from _sequence(members, name)
    for opening, sequel in _OPENINGS:
        for match in opening.finditer(prose):
            if not sequel.search(prose, match.end()):
                yield Lint("enumeration", match.start(1), match.end(1), f"{match[1]!r} starts an enumeration that does not go on")
    for sequel, opening in _SEQUELS:
        first = sequel.search(prose)
        if first and not opening.search(prose[: first.start(1)]):
            yield Lint("enumeration", first.start(1), first.end(1), f"{first[1]!r} goes on with an enumeration that did not start")


def _sequence(members: Sequence[tuple[int, int, int]], name: str) -> Iterator[Lint]:
    """第一 … 第二 …: each is one more than the one before it, or the first of another enumeration."""
    for place, (number, begin, end) in enumerate(members):
        before = members[place - 1][0] if place else 0
        last = place + 1 == len(members) or members[place + 1][0] == 1
        if number == 1:
            if last and name != "第一":  # 第一，… may stand alone
                yield Lint("enumeration", begin, end, "the first of an enumeration that does not go on")
            elif last and place + 1 < len(members):
                yield Lint("enumeration", begin, end, "the first of an enumeration stands twice")
        elif before == 0 and name in ("一是", "一来", "第一"):
            continue  # 二是, 三来 and 第三 are words as well
        elif number != before + 1:
            yield Lint(
                "enumeration", begin, end, f"number {number} follows number {before}" if before else f"number {number} is first"
            )


def _lists(lines: Sequence[Line]) -> Iterator[Lint]:
    """Numbered lines: a list may go on behind other lines, and starts anew behind a heading."""
    runs: dict[tuple[str, int], list[Line]] = {}
    for line in [*lines, None]:
        if line is None or line.kind == "heading":
            for run in runs.values():
                yield from _run_lints(run)
            runs = {}
        elif line.kind == "item" and line.mark is not None:
            for key in [key for key in runs if key[1] > line.level]:  # what was indented more is over
                yield from _run_lints(runs.pop(key))
            key = (line.mark.family, line.level)
            run = runs.get(key, [])
            if run and line.mark.number == (1,) and run[-1].mark is not None and run[-1].mark.number != (1,):
                yield from _run_lints(run)
                run = []
            runs[key] = [*run, line]
    yield from _announced(lines)


def _run_lints(run: Sequence[Line]) -> Iterator[Lint]:
    numbers = [line.mark.number[-1] for line in run if line.mark is not None]
    if len(numbers) == 1 and numbers[0] == 1:
        yield Lint("enumeration", run[0].begin, run[0].end, "the list has a first item only")
    if set(numbers) == {1}:
        return  # Markdown counts them itself
    for place, (line, number) in enumerate(zip(run, numbers, strict=True)):
        before = numbers[place - 1] if place else 0
        if number != before + 1:
            what = f"item {number} follows item {before}" if place else f"item {number} is the first of its list"
            yield Lint("list_number", line.begin, line.end, what)


def _announced(lines: Sequence[Line]) -> Iterator[Lint]:
    """Three reasons: and a list right behind it that has two items."""
    for place, line in enumerate(lines):
        match = _ANNOUNCED.search(line.text) if line.kind == "prose" else None
        if match is None:
            continue
        behind = [one for one in lines[place + 1 :] if one.kind != "blank"]
        count = 0
        for one in behind:
            if one.kind != "item" and one.level <= line.level:
                break
            count += one.kind == "item" and one.level == behind[0].level
        written = (match[1] or match[2]).lower()
        announced = int(written) if written.isdecimal() else _NAMED.get(written) or of_numerals(written)
        if count and announced != count:
            yield Lint("enumeration", line.begin, line.end, f"{announced} are announced, and the list has {count}")
