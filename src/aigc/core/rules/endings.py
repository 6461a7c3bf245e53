"""A text into what it leaves open: fences, quotation marks, brackets, its last sentence."""

import re
from collections.abc import Iterator, Sequence

from aigc.core.rules.lint import Lint
from aigc.core.rules.markdown_lines import Line

__all__ = ["ending_lints", "unclosed_lints"]

_QUOTES = {"“": "”", "「": "」", "『": "』"}
_BRACKETS = {"(": ")", "（": ")", "[": "]", "［": "]", "【": "】", "《": "》", "〈": "〉", "〔": "〕"}
_CLOSERS = {**{close: close for close in _BRACKETS.values()}, "）": ")", "］": "]"}
_MARKS = re.compile(f"[{re.escape(''.join([*_BRACKETS, *_CLOSERS]))}]")
_FACE = re.compile(r"[:;=8xX][-'^]?[(\[]|[(（][^()（）\w\s]{1,6}[;:]?$")  # :( is no bracket

_TERMINAL = ".!?。！？…～~♪"
_CLOSED = "\"'”’」』)）]】》〉*_`"
_BREAKS = re.compile(r"[,，、;；:：]$|[A-Za-z]-$")
_DANGLING = re.compile(
    r"(?:\b(?:the|a|an|of|and|or|to|with|from|by|that|which|because|his|her|their|its|my)|[和与及或把被从对跟])$"
)
_LONG = 80  # Latin letters, or half as many Chinese characters: a shorter line may be a headline
_TAIL = re.compile(r"(?:\s|#[^\s#]+#?|@\w+|[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B50\uFE0F\u200D]|https?://\S+)+$")  # tags, emoji


def unclosed_lints(prose: str, lines: Sequence[Line]) -> Iterator[Lint]:
    """What is opened and never closed; a quotation that goes on over paragraphs may open each of them.

    Args:
        prose: the text, code blanked out.
        lines: its lines.
    """
    fences = [line for line in lines if line.kind == "fence"]
    if len(fences) % 2:
        yield Lint("unclosed", fences[-1].begin, fences[-1].end, "the code fence is not closed")
    for opened, closed in _QUOTES.items():
        depth: list[int] = []
        for match in re.finditer(f"[{opened}{closed}]", prose):
            if match[0] == closed:
                del depth[-1:]
            elif not (depth and prose[: match.start()].rstrip(" \t\u3000")[-1:] in ("", "\n")):
                depth.append(match.start())
        if depth:
            yield Lint("unclosed", depth[0], depth[0] + 1, f"{opened} is not closed")
    yield from _straight(prose)
    for match in re.finditer(r"[^\n]+(?:\n(?![ \t]*\n)[^\n]*)*", prose):
        yield from _brackets(match.start(), match[0])


def _straight(prose: str) -> Iterator[Lint]:
    """The last quotation mark, where it opens and no other follows. What stands around a mark tells which kind it is."""
    opened: int | None = None
    for match in re.finditer(r'(?<!\d)"', prose):  # 12" is a measure
        before, after = prose[: match.start()].rstrip(" \t")[-1:], prose[match.end() : match.end() + 1]
        spaced = prose[match.start() - 1 : match.start()] in ("", " ", "\n", "\t", "(", "—", "-")
        if spaced and after.strip():
            opened = opened if opened is not None and before in ("", "\n") else match.start()  # of paragraphs that go on
        elif not spaced and (not after.strip() or after in ".,;:!?)，。；：！？）—"):
            opened = None
        else:
            opened = match.start() if opened is None else None
    if opened is not None:
        yield Lint("unclosed", opened, opened + 1, "the quotation mark is not closed")


def _brackets(begin: int, paragraph: str) -> Iterator[Lint]:
    opened: list[tuple[str, int]] = []
    for match in _MARKS.finditer(paragraph):
        if match[0] in _CLOSERS:
            places = [place for place, (wanted, _) in enumerate(opened) if wanted == _CLOSERS[match[0]]]
            if places:
                del opened[places[-1]]
        elif paragraph[match.end() : match.end() + 1] in tuple("\"'”’"):
            continue  # the bracket itself is talked about
        elif not _FACE.search(paragraph[max(match.start() - 2, 0) : match.end()]):
            opened.append((_BRACKETS[match[0]], match.start()))
    for _, place in opened:
        yield Lint("unclosed", begin + place, begin + place + 1, f"{paragraph[place]} is not closed")


def ending_lints(prose: str, lines: Sequence[Line]) -> Iterator[Lint]:
    """A last sentence that breaks off: at a comma or a word that wants another, or without the mark that the others end in.

    Texts whose lines mostly end without such a mark (verse, lists, posts) are only taken to break off at a comma or such a word.
    """
    filled = [line for line in lines if line.kind != "blank"]
    if not filled or filled[-1].kind in ("heading", "table", "fence", "code"):
        return
    last = filled[-1]
    line = prose[last.begin : last.end]
    said = _TAIL.sub("", line)
    if not said or said != line.rstrip():
        return
    core = said.rstrip(_CLOSED)
    mark = core[-1:]
    if mark in _TERMINAL:
        return
    place = last.begin + len(core) - 1
    if len(core) == len(said) and (_BREAKS.search(core) or (last.kind == "prose" and _DANGLING.search(core))):
        yield Lint("ending", place, place + 1, f"the text breaks off at {core[-12:]!r}")
        return
    if len(core) < len(said) or not mark.isalnum():
        return
    same = [one for one in filled if one.kind == last.kind]
    ended = [one for one in same[:-1] if prose[one.begin : one.end].rstrip().rstrip(_CLOSED)[-1:] in _TERMINAL]
    inside = re.search(r"[。！？!?]|[.](?=\s)", core) is not None
    alone = len(core) <= 20 and not inside  # a signature, 完, The End
    if last.kind == "item" or len(same) > 1:
        broken = not alone and 2 * len(ended) >= len(same) - 1 > 0
    else:
        broken = inside and len(core) + len(re.findall(r"[\u3400-\u9fff]", core)) >= _LONG
    if broken:
        yield Lint("ending", place, place + 1, f"the text breaks off at {core[-12:]!r}")
