"""A total and what leaves it into a picture: a band from top to bottom that narrows, with an arm for everything that leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

from aigc.pages.page import Html, count, share, tag

__all__ = ["Branch", "flow"]

_BAND = 62.0  # width of the whole band; the picture is 100 wide and stretches to its column
_TALL = 190.0  # pixels of an arm that takes everything away
_ROW, _END = 32.0, 46.0


@dataclass(frozen=True)
class Branch:
    """What leaves the band at one place; `tone` is drop or bad."""

    name: str
    amount: int
    tone: str = "drop"


def flow(total: int, branches: Sequence[Branch], *, start: str = "read", end: str = "kept") -> Html:
    """A flow from `total` to what is left after all branches, each labelled with its amount and its share of the total.

    Widths are proportional to amounts. Branches of nothing are named in one line below. Labels carry data-amount, so that
    total = sum of branches + end can be read off the page. Amounts below 0, or more than the total, raise ValueError.
    """
    left = total - sum(branch.amount for branch in branches)
    if left < 0 or any(branch.amount < 0 for branch in branches):
        raise ValueError(f"a flow of {total} cannot lose {total - left}")
    shapes: list[Html] = []
    rows = [_row(start, total, total, height=_END, kind="start")]
    y, now = _END, total
    edge = f"M0 0H{_BAND if total else 0:g}V{y:g}"  # the band's right edge, from top to bottom
    for branch in branches:
        if not branch.amount:
            continue
        thick = max(branch.amount / total * _TALL, 1.5)
        height = max(_ROW, thick + 14)
        before, now = now, now - branch.amount
        shapes.append(_arm(before / total, now / total, y, height, thick, branch))
        edge += f"H{now / total * _BAND:.2f}V{y + height:.1f}"
        rows.append(_row(branch.name, branch.amount, total, height=height, kind=branch.tone, left=now))
        y += height
    shapes.append(tag("path", d=f"{edge}V{y + _END:.1f}H0Z", class_="band"))
    rows.append(_row(end, left, total, height=_END, kind="end"))
    picture = tag("svg", *shapes, viewBox=f"0 0 100 {y + _END:g}", height=y + _END, preserveAspectRatio="none", aria_hidden="true")
    idle = [branch.name for branch in branches if not branch.amount]
    none = tag("p", tag("b", f"{len(idle)} dropped nothing: "), ", ".join(idle), class_="remark idle") if idle else ""
    return tag("div", tag("div", picture, tag("ol", *rows), class_="flow"), none)


def _arm(before: float, after: float, y: float, height: float, thick: float, branch: Branch) -> Html:
    """The arm bends out of the band's right edge, from `before` to `after`, and runs to the right at half the row's height."""
    outer, inner = max(before * _BAND, after * _BAND + 0.5), after * _BAND
    top = y + max((height - thick) / 2, 4)
    bottom = top + thick
    path = (
        f"M{inner:.2f} {y:.1f}H{outer:.2f}Q{outer:.2f} {top:.1f} {outer + 5:.2f} {top:.1f}H100V{bottom:.1f}"
        f"H{inner + 5:.2f}Q{inner:.2f} {bottom:.1f} {inner:.2f} {y:.1f}Z"
    )
    return tag("path", d=path, class_=f"arm {branch.tone}")


def _row(name: str, amount: int, total: int, *, height: float, kind: str, left: int | None = None) -> Html:
    after = "" if left is None else tag("span", f"{count(left)} left", class_="left")
    figures = (tag("b", count(amount)), tag("span", share(amount, total), class_="share"), after)
    return tag(
        "li",
        tag("span", name, class_="name", title=name),
        *figures,
        class_=kind,
        style=f"height:{height:.1f}px",
        data_amount=amount,
    )
