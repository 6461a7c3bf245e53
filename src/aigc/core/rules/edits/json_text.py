"""Text that is nearly JSON into JSON."""

import json
import re
from decimal import Decimal

import polars as pl

from aigc.core.rules.edits.each import each
from aigc.core.rules.rule import Edit

__all__ = ["RepairJson"]


class RepairJson(Edit):
    """Repair a text that is to be JSON: cut off, with single or full-width quotes, commas too few or too many, or in a fence.

    JSON that can be read stays byte for byte, and so does what is no JSON at all. A repair counts only if it holds each word and
    each number of the text in their order (the last may be cut off): what would lose prose, or read 5% as 5, is left as it is.
    Chinese stays Chinese (no \\uXXXX). Source: json-repair 0.64.
    """

    def text(self) -> pl.Expr:
        return each(_repaired, where=r"^\s*(?:```|[{\[])")


_FENCED = re.compile(r"\s*```+[ \t]*(?:json|JSON)?[ \t]*\n(?P<inside>.*?)(?:\n[ \t]*```+\s*)?\Z", re.DOTALL)
_BEGINS = re.compile(
    r"\s*(?:\{\s*(?:\}|[\"'“”‘’][^\"'“”‘’\n]*[\"'“”‘’]\s*[:：]|[A-Za-z_]\w*\s*[:：])|\[\s*(?:[{\[\"'“]|-?\d[\d.]*\s*[,，]))"
)
_OUTSIDE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|“[^”\n]*”|[：，［］｛｝]")
_ASCII = str.maketrans("：，［］｛｝", ":,[]{}")
_CONTROL = re.compile(r"\\[bfnrt]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORD = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|[^\W\d_]+|[%％$€£¥￥]")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")


def _repaired(text: str) -> str:
    if _is_json(text):
        return text
    fenced = _FENCED.match(text)
    source = fenced["inside"] if fenced else text
    if not _BEGINS.match(source):
        return text
    if _is_json(source):
        return source.strip()
    import json_repair  # here, for the rules are imported with the project file's schema

    plain = _OUTSIDE.sub(lambda found: found[0].translate(_ASCII) if len(found[0]) == 1 else found[0], source)
    try:
        fixed = json_repair.repair_json(plain, ensure_ascii=False)
    except (RecursionError, ValueError):  # what cannot be repaired stays
        return text
    checked = _as_spelled(source, fixed) if fixed else None
    return checked if checked is not None and _is_json(checked) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _as_spelled(source: str, fixed: str) -> str | None:
    """The repair, its numbers as the source spells them (1.10); None where it lost or changed a word or a number.

    The last word may be missing where the source was cut off.
    """
    wanted = [found[0] for found in _WORD.finditer(_unescaped(source))]
    given = list(_WORD.finditer(_hidden(fixed)))
    was_cut = not source.rstrip().endswith(("}", "]"))
    if len(wanted) - len(given) not in ((0, 1) if was_cut else (0,)):
        return None
    parts, at = [], 0
    for old, new in zip(wanted, given, strict=False):
        if old != new[0] and not _mean_the_same(old, new[0]):
            return None
        parts += [fixed[at : new.start()], old if _NUMBER.fullmatch(old) else new[0]]
        at = new.end()
    return "".join([*parts, fixed[at:]])


def _mean_the_same(old: str, new: str) -> bool:
    if new in ("true", "false", "null"):
        return old.casefold().replace("none", "null") == new
    return bool(_NUMBER.fullmatch(old) and _NUMBER.fullmatch(new)) and Decimal(old) == Decimal(new)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), _hidden(text))


def _hidden(text: str) -> str:
    """The text, the letters of escapes such as \\n out of sight; as long as before."""
    return _CONTROL.sub("  ", text)
