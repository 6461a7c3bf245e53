"""The page of a search has every trial, the best one marked, and stands whatever is missing."""

import re
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.scatter import Dot, scatter
from aigc.pages.tune import render


def report(**changes: Any) -> dict[str, Any]:
    return {
        "name": "news",
        "stage": "finetune",
        "metric": "macro_f1",
        "direction": "maximize",
        "sampler": "tpe",
        "pruner": "median",
        "states": {"complete": 4, "pruned": 1, "failed": 1},
        "keys": {
            "finetune.learning_rate": {"range": [1e-5, 1e-3], "log": True},
            "finetune.lora.rank": {"choices": [4, 8, None]},
        },
        "usual": {"finetune.learning_rate": 5e-5, "finetune.lora.rank": 8},
        "importance": {"finetune.learning_rate": 0.75, "finetune.lora.rank": 0.25},
    } | changes


def trial(
    number: int, metric: float | None, rate: float, rank: int | None, state: str = "complete", error: str = ""
) -> dict[str, Any]:
    values = {"finetune.learning_rate": rate, "finetune.lora.rank": rank}
    course = [[0, 0.1], [10, metric]] if metric is not None else []
    return {
        "number": number,
        "state": state,
        "values": values,
        "metric": metric,
        "step": 10,
        "error": error or None,
        "evaluations": course,
    }


TRIALS = [
    trial(0, 0.50, 5e-5, 8),
    trial(1, 0.61, 1e-4, 4),
    trial(2, 0.20, 1e-5, 8, "pruned"),
    trial(3, None, 9e-4, None, "failed", "the loss is <nan>"),
    trial(4, 0.72, 1e-3, None),
    trial(5, 0.70, 4e-4, 8),
]


def test_the_best_is_marked_and_stands_beside_the_file() -> None:
    tree = HTMLParser(render(report(), TRIALS))
    assert [node.text() for node in tree.css(".tiles dd")][:2] == ["0.72", "0.5 with the file's own values"]
    rows = [[cell.text() for cell in row.css("td")] for row in tree.css("#best tbody tr")]
    assert rows == [
        ["finetune.learning_rate", "0.001", "5e-05", "1e-05 to 0.001, log"],
        ["finetune.lora.rank", "null", "8", "4, 8, null"],
    ]
    strong = [node.text() for node in tree.css("#history svg path.c1 title")]
    assert strong == ["trial 4: 0.72, complete; learning_rate 0.001, lora.rank null"]
    assert "The best learning_rate, 0.001, is at the end of its range" in tree.css_first(".alert.plain").text()
    assert "the loss is <nan>" in tree.css_first(".alert.warn").text()


def test_every_trial_has_a_row_the_best_first() -> None:
    tree = HTMLParser(render(report(), TRIALS))
    rows = [[cell.text() for cell in row.css("td")] for row in tree.css("#trials tbody tr")]
    assert [row[0] for row in rows] == ["4", "5", "1", "0", "2", "3"]
    assert rows[0] == ["4", "complete", "0.72", "10", "0.001", "null"]
    assert [node.text() for node in tree.css("#keys h3")] == ["learning_rate", "lora.rank"]
    assert [len(chart.css("path title")) for chart in tree.css("#keys svg")] == [5, 5], "but those without a figure"
    assert [node.text() for node in tree.css("#importance b")] == ["75.0%", "25.0%"]


@pytest.mark.parametrize("trials", [[], [trial(0, None, 1e-4, 4, "failed", "x")], [trial(0, 0.5, 1e-4, 4)]])
@pytest.mark.parametrize("given", [{}, report(), report(keys={}, usual=None, importance=None)])
def test_what_is_missing_is_left_out(given: dict[str, Any], trials: list[dict[str, Any]]) -> None:
    page = render(given, trials)
    assert page.startswith("<!doctype html>") and "nan" not in page.split("</style>")[1]


def test_dots_lie_where_their_values_say() -> None:
    dots = [Dot(1e-4, 1.0, "a"), Dot(1e-3, 3.0, "b"), Dot(1e-2, 2.0, "c"), Dot(1.0, float("nan"), "d")]
    tree = HTMLParser(scatter(dots, log=True))
    places = {node.text(): re.findall(r"[\d.]+", node.parent.attributes["d"])[:2] for node in tree.css("path title")}
    (ax, ay), (bx, by), (cx, cy) = (tuple(map(float, places[name])) for name in "abc")
    assert bx - ax == pytest.approx(cx - bx, abs=0.2), "a decade is as wide as the next"
    assert by < cy < ay and "d" not in places


def test_one_that_came_to_nothing_does_not_press_the_others_together() -> None:
    lost = [*({**one, "metric": 2 + one["number"] / 10} for one in TRIALS if one["metric"]), trial(9, 900.0, 1e-3, 4)]
    tree = HTMLParser(render(report(metric="validation_loss", direction="minimize"), lost))
    heights = [float(re.findall(r"[\d.]+", node.parent.attributes["d"])[1]) for node in tree.css("#history svg path title")]
    assert max(heights) - min(heights) > 100 and sorted(heights)[-1] - sorted(heights)[-3] > 10
