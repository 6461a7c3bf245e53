"""Examples of a clean report into blocks to read: dropped texts, duplicates beside keepers, texts before and after an edit."""

from collections.abc import Mapping, Sequence
from typing import Any

from aigc.pages.diff import diff
from aigc.pages.page import Html, count, cut, details, join, number, share, table, tag, text

__all__ = ["drops", "duplicates", "edits"]

Steps = Sequence[tuple[str, Mapping[str, Any]]]
_MOST = 5  # examples of a rule
_ROOM = 36_000  # characters of examples in a section, so that the page stays small
_OPEN = 2  # rules that are unfolded from the start


def _list(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(step.get("examples") or ())[:_MOST]


def _limit(steps: Steps, sides: int) -> int:
    texts = sides * sum(len(_list(step)) for _, step in steps)
    return max(min(_ROOM // max(texts, 1), 600), 80)


def _total(step: Mapping[str, Any], key: str) -> int:
    return int(sum((step.get(key) or {}).values()))


def _id(value: object) -> Html:
    return tag("span", cut(value, 120), class_="id")


def _block(line: Sequence[object], body: Html) -> Html:
    return tag("div", tag("p", *line), body, class_="example")


def _summary(title: str, *remarks: str) -> Html:
    return join([title, tag("span", " · ".join(remarks), class_="small")])


def drops(steps: Steps) -> Html:
    """Per measure the texts that it dropped, each with its value and the bound that it broke."""
    shown = [(title, step) for title, step in steps if step.get("kind") not in ("edit", "duplicates") and _list(step)]
    limit = _limit(shown, 1)
    blocks: list[Html] = []
    for title, step in shown:
        texts = [
            _block(
                (_id(one.get("id")), tag("b", number(one.get("value"))), tag("span", one.get("bound"), class_="chip")),
                text(one.get("text"), limit),
            )
            for one in _list(step)
        ]
        summary = _summary(title, f"{count(_total(step, 'dropped'))} dropped", f"{len(texts)} shown")
        blocks.append(details(summary, *texts, open_=len(blocks) < _OPEN))
    return tag("div", *blocks) if blocks else Html()


def duplicates(steps: Steps) -> Html:
    """Per rule for duplicates: how many clusters, the largest of them, and pairs side by side with what differs marked."""
    shown = [
        (title, step) for title, step in steps if step.get("kind") == "duplicates" and (_total(step, "dropped") or _list(step))
    ]
    limit = _limit(shown, 2)
    blocks: list[Html] = []
    for title, step in shown:
        clusters = step.get("clusters") or {}
        largest = list(clusters.get("largest") or ())[:8]
        rows = [[count(one.get("size")), _id(one.get("keeper")), cut(one.get("text"), 90)] for one in largest]
        top = max((int(one.get("size") or 0) for one in largest), default=0)
        listed = (
            tag("div", table(["documents", "keeper", "largest clusters"], rows, numeric=(0,)), class_="clusters")
            if rows
            else Html()
        )
        remarks = [f"{count(_total(step, 'dropped'))} dropped", f"{count(clusters.get('count'))} clusters"]
        remarks += [f"the largest of {count(top)}"] if top else []
        pairs = [
            _block(
                (tag("b", f"{_alike(one.get('similarity'))} alike"),),
                diff(
                    one.get("keeper_text"),
                    one.get("text"),
                    names=(f"kept: {one.get('keeper')}", f"dropped: {one.get('id')}"),
                    limit=limit,
                ),
            )
            for one in _list(step)
        ]
        blocks.append(details(_summary(title, *remarks), listed, *pairs, open_=len(blocks) < _OPEN))
    return tag("div", *blocks) if blocks else Html()


def _alike(value: object) -> str:
    return share(value, 1) if isinstance(value, int | float) else "–"


def edits(steps: Steps) -> Html:
    """Per edit some texts before and after, with what changed marked."""
    shown = [(title, step) for title, step in steps if step.get("kind") == "edit" and _list(step)]
    limit = _limit(shown, 2)
    blocks: list[Html] = []
    for title, step in shown:
        texts = [_block((_id(one.get("id")),), diff(one.get("before"), one.get("after"), limit=limit)) for one in _list(step)]
        summary = _summary(title, f"{count(_total(step, 'edited'))} edited", f"{len(texts)} shown")
        blocks.append(details(summary, *texts, open_=len(blocks) < _OPEN))
    return tag("div", *blocks) if blocks else Html()
