"""Quotes, brackets and code fences that are open at the end of a text, or were never opened, into pairs."""

import re

import polars as pl

from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import places
from aigc.core.rules.rule import Edit

__all__ = ["BalanceMarks"]

_FAMILIES = ("“”", "「」", "『』", "（）", "()", "【】", "[]", "《》")
_CLOSER = {pair[0]: pair[1] for pair in _FAMILIES}
_FAMILY = {mark: pair.replace("（", "(").replace("）", ")") for pair in _FAMILIES for mark in pair}  # （ and ) are a pair as well


class BalanceMarks(Edit):
    """Close the quotes, brackets and code fences that are open at the end, and drop a closer that was never opened.

    The marks are “” 「」 『』 （） () 【】 [] 《》, straight double quotes, and fences of ``` or ~~~. Only what was opened in the
    last line is closed, at its end, for a quotation may go on over paragraphs. A closer goes only where it is the one fault of
    its line; lists (1) and a)), smileys and intervals such as [0, 1) stay. So do code, formulas, addresses, and texts that
    are JSON, which `repair_json` is for.
    """

    def text(self) -> pl.Expr:
        return each(_settled, where='[“”「」『』（）()【】\\[\\]《》"]|```|~~~')


_MOST = 3  # a text with more that is open at its end is no prose
_JSON = re.compile(r"\s*[{\[]\s*[\"'“{\[]")
_FENCE = re.compile(r"^[ ]{0,3}(```+|~~~+)[^\n]*$", re.MULTILINE)
_EXEMPT = re.compile(
    r"^[ \t]*\(?(?:[0-9]{1,3}|[A-Za-z]|[一二三四五六七八九十]{1,3})[)）]"  # 1) and a)
    r"|(?<!\w)[:;=][-~^']?[()\[\]](?!\w)|\([-^']?[:;](?=\s|$)|[（(][^（）()\n]{0,3}[▽∀ω´`^_＾・][^（）()\n]*[)）]"  # smileys
    r"|[\[(（][ ]?[-+]?[\w.∞]+[ ]?[,，][ ]?[-+]?[\w.∞]+[ ]?[)\]）]"  # intervals
    r"|\\[()\[\]\"]|(?<=[-+])[)\]]",  # \) and Ctrl-]
    re.MULTILINE,
)


def _settled(text: str) -> str:
    """Balanced until nothing is left to do: a closer that goes may bare a fence."""
    while (new := _balanced(text)) != text:
        text = new
    return text


def _balanced(text: str) -> str:
    if _JSON.match(text):
        return text
    if (fence := _open_fence(text)) is not None:
        return text + ("" if text.endswith("\n") else "\n") + fence
    body = text.rstrip()
    last = body.rfind("\n") + 1
    opened, lost = _unpaired(body)
    gone = [at for at in lost if _is_alone(body, at, lost)]
    open_in_last = opened and all(at >= last for at in opened)
    closers = (
        "".join(_CLOSER.get(body[at], '"') for at in reversed(opened))
        if open_in_last and len(opened) <= _MOST and _may_close(body)
        else ""
    )
    if not gone and not closers:
        return text
    kept = "".join(body[begin:end] for begin, end in zip([0, *(at + 1 for at in gone)], [*gone, len(body)], strict=True))
    return kept + closers + text[len(body) :]


def _open_fence(text: str) -> str | None:
    """The marks of a fence that nothing closes."""
    fence: str | None = None
    for found in _FENCE.finditer(text):
        if fence is None:
            fence = found[1]
        elif found[1].startswith(fence) and not found[0].strip().strip(fence[0]):
            fence = None
    return fence


def _unpaired(text: str) -> tuple[list[int], list[int]]:
    """Where marks stand that nothing closes, and closers that nothing opens; none of the first where they may be crossed."""
    kept = places(text)
    exempt = [found.span() for found in _EXEMPT.finditer(text)]
    low = "„" in text or "‚" in text  # German, where “ closes
    opened: list[int] = []
    lost: list[int] = []
    crossed = False
    for found in _MARK.finditer(text):
        at, mark = found.start(), found[0]
        if mark == "\n":  # a straight quote says nothing of what it is: lines are counted each on its own
            opened = [one for one in opened if text[one] != '"']
            continue
        if kept.at(at, at + 1) is not None or any(begin <= at < end for begin, end in exempt) or (low and mark in '“”"'):
            continue
        if mark == '"':
            if opened and text[opened[-1]] == '"':
                opened.pop()
            elif at and text[at - 1].isdigit():
                continue  # inches
            elif any(text[one] == '"' for one in opened):
                crossed = True
            else:
                opened.append(at)
        elif mark in _CLOSER:
            if mark == "“" and not text[text.rfind("\n", 0, at) + 1 : at].strip():
                opened = [one for one in opened if text[one] != "“"]  # each paragraph of a long quotation opens it anew
            opened.append(at)
        elif opened and _FAMILY.get(text[opened[-1]]) == _FAMILY[mark]:
            opened.pop()
        elif any(_FAMILY.get(text[one]) == _FAMILY[mark] for one in opened):
            crossed = True
        else:
            lost.append(at)
    turned = {_FAMILY[text[at]] for at in lost} & {_FAMILY.get(text[at]) for at in opened}  # ”好“ is a pair the wrong way round
    if crossed or turned or any(text[at] == '"' and not _OPENS.search(text[max(at - 1, 0) : at + 2]) for at in opened):
        return [], []
    return opened, lost


_OPENS = re.compile(r'(?:^|[\s（(「“：，。、:\u3400-\u9FFF])"\S')
_JOINED = re.compile(r"[^\W\u3400-\u9FFF].[^\W\u3400-\u9FFF]", re.DOTALL)
_MARK = re.compile('[“”「」『』（）()【】\\[\\]《》"\n]')


def _is_alone(text: str, at: int, lost: list[int]) -> bool:
    """Whether it is the only fault in its line (”你好” has two, and means a pair), and parts no words or numbers."""
    begin, end = text.rfind("\n", 0, at), text.find("\n", at)
    end = len(text) if end < 0 else end
    joins = _JOINED.fullmatch(text[max(at - 1, 0) : at + 2]) is not None
    return not joins and sum(1 for one in lost if begin < one < end) == 1


def _may_close(text: str) -> bool:
    """Whether something may be put behind the last character."""
    line = text[text.rfind("\n") + 1 :]
    return not line.lstrip().startswith("|") and not re.match(r"[ ]{0,3}(?:```|~~~)|---", line) and text[-1:] != "\\"
