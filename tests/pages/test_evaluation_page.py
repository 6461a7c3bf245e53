"""The evaluation's page: figures with intervals beside the baseline, a confusion matrix that can be read, samples side by side."""

from collections.abc import Mapping
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from selectolax.lexbor import LexborNode as Node

from aigc.core.evaluation.classes import classification
from aigc.core.evaluation.figures import Figure, figures_of
from aigc.core.evaluation.intervals import mean
from aigc.pages.confusion import confusion
from aigc.pages.evaluation import render
from aigc.pages.figures import cells, figures_table, verdict, with_interval

EVIL = "<script>alert(1)</script>"


def figure(**more: Any) -> dict[str, Any]:
    return Figure("macro_f1", 0.83412, 0.81234, 0.85678, 0.71, 0.12412, 0.0931, 0.1552, "higher").as_json() | more


def report() -> dict[str, Any]:
    """A report with every key."""
    names = ["经济", "sport", "culture & arts"]
    return {
        "name": "news",
        "task": "classify",
        "split": "test",
        "documents": 900,
        "model": "runs/news/finetune/model",
        "baseline": "the starting checkpoint",
        "figures": [figure(), figure(name="log_loss", better="lower"), figure(name="made_up", better=None)],
        "resamples": 1000,
        "classes": {"names": names, "precision": [0.5, 1, 0], "recall": [1, 0.25, 0], "f1": [0.667, 0.4, 0], "support": [2, 4, 0]}
        | {"confusion": [[2, 0, 0], [2, 1, 1], [0, 0, 0]]},
        "baseline_classes": {"names": names, "confusion": [[0, 2, 0], [4, 0, 0], [0, 0, 0]]},
        "samples": [{"id": "zh-7", "prompt": "写标题", "reference": "港务委员会", "before": "委员", "after": "港务会"}],
        "warnings": ["3 documents were seen in training"],
    }


def page(given: Mapping[str, Any]) -> HTMLParser:
    return HTMLParser(render(given))


def cell_texts(row: Node) -> list[str]:
    return [cell.text() for cell in row.css("td")]


def test_the_table_shows_result_interval_baseline_and_difference() -> None:
    rows = [cell_texts(row) for row in page(report()).css("#figures tbody tr")]
    assert rows[0] == ["Macro-F1", "0.834", "0.812 to 0.857", "0.710", "+0.124", "+0.093 to +0.155", "better"]
    assert rows[1][0] == "Log lossnats per document" and rows[1][-1] == "worse"
    assert rows[2][0] == "made up" and rows[2][-1] == "", "which way is better is not known"


def test_console_and_page_share_one_table() -> None:
    head, rows = cells(report()["figures"])
    tree = HTMLParser(figures_table(report()["figures"]))
    assert [cell.text() for cell in tree.css("th")] == head
    assert [cell_texts(row)[1:] for row in tree.css("tbody tr")] == [row[1:] for row in rows]


def test_without_a_baseline_there_are_no_columns_for_it() -> None:
    alone = {key: value for key, value in figure().items() if "baseline" not in key and "difference" not in key}
    assert cells([alone]) == (["", "result", "95% interval"], [["Macro-F1", "0.834", "0.812 to 0.857"]])
    assert cells([]) == (["", "result", "95% interval"], []) and not figures_table([])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "0.834 (0.812 to 0.857)"),
        ({"value": 23.41, "low": 22.8, "high": 24.02}, "23.4 (22.8 to 24.0)"),
        ({"value": 12345.6, "low": 11000.0, "high": 14000.0}, "12,346 (11,000 to 14,000)"),
        ({"value": 0.5, "low": 0.4999999, "high": 0.5000001}, "0.500000 (0.500000 to 0.500000)"),
        ({"value": -0.25, "low": -0.31, "high": -0.19}, "\u22120.25 (\u22120.31 to \u22120.19)"),
        ({"low": None, "high": None}, "0.8341"),
        ({"value": None}, "– (0.812 to 0.857)"),
        ({"value": float("nan"), "low": None}, "–"),
    ],
)
def test_decimals_are_those_that_the_interval_leaves_sure(changes: dict[str, Any], shown: str) -> None:
    assert with_interval(figure(**changes)) == shown


@pytest.mark.parametrize(
    ("low", "high", "better", "told"),
    [
        (0.1, 0.2, "higher", "better"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.2, -0.1, "lower", "better"),
        (-0.1, 0.2, "higher", "unclear"),
        (0.0, 0.2, "lower", "unclear"),
        (None, None, "higher", ""),
        (0.1, 0.2, None, ""),
    ],
)
def test_a_verdict_needs_an_interval_that_leaves_out_zero(low: float, high: float, better: str, told: str) -> None:
    assert verdict(figure(difference_low=low, difference_high=high, better=better)) == told


def test_what_became_worse_cannot_be_missed() -> None:
    bad = page(report()).css_first(".alert.bad")
    assert bad is not None and bad.css_first("li").text() == "Log loss: 0.834, the baseline has 0.710"
    assert page(report() | {"figures": [figure()]}).css_first(".alert.bad") is None


def test_few_documents_are_said() -> None:
    assert "Only 12 documents" in page({"documents": 12}).css_first(".alert.warn").text()
    assert "Only 1 document:" in page({"documents": 1}).css_first(".alert.warn").text()
    assert page({"documents": 30}).css_first(".alert") is None


def test_the_tiles_are_the_first_figures_beside_their_baseline() -> None:
    tiles = page(report()).css(".tiles > div")
    assert [dd.text() for dd in tiles[0].css("dd")] == ["0.834", "baseline 0.710"]


def test_a_confusion_matrix_has_a_cell_for_each_pair_and_says_its_share() -> None:
    tree = HTMLParser(confusion(["经济", "sport"], [[6, 2], [0, 4]]))
    assert [cell.css_first("title").text() for cell in tree.css("g")] == [
        "经济 told as such: 6 of 8 (75.0%)",
        "经济 taken for sport: 2 of 8 (25.0%)",
        "sport taken for 经济: 0 of 4 (0%)",
        "sport told as such: 4 of 4 (100%)",
    ]
    assert [cell.css_first("text").text() if cell.css("text") else "" for cell in tree.css("g")] == ["6", "2", "", "4"]
    assert "10 of 12 documents are right" in tree.css_first("svg").attributes["aria-label"]
    depths = [float(rect.attributes["style"].rpartition(":")[2]) for rect in tree.css("rect.right, rect.wrong")]
    assert depths[2] == 1 and depths[0] > depths[1] > 0.08, "deeper where more of a row is"


@pytest.mark.parametrize("classes", [2, 7, 20])
def test_labels_of_any_length_stay_within_the_picture(classes: int) -> None:
    names = [("an extraordinarily long name of a class " * 3, "一个长得不像话的类别名称" * 5, "x")[i % 3] for i in range(classes)]
    tree = HTMLParser(confusion(names, [[1] * classes] * classes))
    width, height = map(float, str(tree.css_first("svg").attributes["viewBox"]).split()[2:])
    assert width < 1032, "the page's column"
    for label in tree.css("svg > text.on"):
        wide = sum(12 if ord(sign) > 0x2E7F else 6.7 for sign in label.text(deep=False))
        at = label.attributes.get("x")
        if at is not None:
            assert float(at) - wide >= 20 if label.attributes["text-anchor"] == "end" else True
        else:
            x, y = (float(part) for part in str(label.attributes["transform"]).split(")")[0].removeprefix("translate(").split())
            assert x + wide * 0.7071 <= width and y - wide * 0.7071 >= 14 and y < height
        assert label.css_first("title").text() in names, "whole on hover"


def test_more_classes_than_can_be_read_are_rolled_up_and_nothing_is_lost() -> None:
    counts = [[(i + 1) if i == j else int(j == 0) for j in range(50)] for i in range(50)]
    tree = HTMLParser(confusion([f"class {i}" for i in range(50)], counts))
    assert len(tree.css("g")) == 20 * 20 and "31 more" in tree.text() and "class 49" in tree.text()
    shown = sum(int(cell.css_first("title").text().rpartition(": ")[2].split(" of ")[0].replace(",", "")) for cell in tree.css("g"))
    assert shown == sum(map(sum, counts))
    assert "of 50 classes: 1,275 of" in tree.css_first("svg").attributes["aria-label"]


def test_counts_that_do_not_fit_the_names_draw_nothing() -> None:
    assert not confusion([], []) and not confusion(["a"], [[1, 2]]) and not confusion(["a", "b"], [[1, 2]])


def test_result_and_baseline_have_a_matrix_each_and_classes_stand_by_size() -> None:
    tree = page(report())
    assert len(tree.css("#classes svg")) == 2 and [h.text() for h in tree.css("#classes h3")] == ["Result", "Baseline"]
    rows = [cell_texts(row) for row in tree.css("#classes tbody tr")]
    assert rows[0] == ["sport", "100%", "25.0%", "40.0%", "4"] and rows[2][0] == "culture & arts"


def test_a_sample_stands_with_prompt_reference_baseline_and_result() -> None:
    tree = page(report() | {"samples": [report()["samples"][0], {"reference": "R", "after": "A"}]})
    one, other = tree.css("#samples details")
    assert [h.text() for h in one.css("h4")] == ["prompt", "reference", "baseline", "result"]
    assert [t.text() for t in one.css(".text")] == ["写标题", "港务委员会", "委员", "港务会"]
    assert [t.text() for t in other.css(".text")] == ["R", "A"] and other.css_first("summary").text() == "sample 2"


def test_what_core_finds_is_what_the_page_takes() -> None:
    found = classification([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1])
    figures = [one.as_json() for one in figures_of({"accuracy": mean([1, 1, 0])}, documents=3)]
    tree = page({"documents": 3, "figures": figures, "classes": {"names": ["a", "b"], **found.as_json()}})
    assert cell_texts(tree.css("#figures tbody tr")[0])[:2] == ["Accuracy", "0.7"]
    assert cell_texts(tree.css("#classes tbody tr")[0]) == ["b", "100%", "50.0%", "66.7%", "2"]


@pytest.mark.parametrize("key", sorted(report()))
def test_any_key_may_be_missing(key: str) -> None:
    given = report()
    del given[key]
    assert page(given).css_first("h1") is not None
    assert page({}).css_first("h1").text() == "An evaluation"


def test_nothing_of_the_data_is_markup() -> None:
    classes = {"names": [EVIL, EVIL], "precision": [1, 1], "recall": [1, 1], "f1": [1, 1], "support": [1, 1]}
    tree = page(
        {
            **dict.fromkeys(("name", "task", "split", "model", "baseline"), EVIL),
            "figures": [figure(name=EVIL, better=EVIL)],
            "classes": classes | {"confusion": [[1, 0], [0, 1]]},
            "samples": [dict.fromkeys(("id", "prompt", "reference", "before", "after"), EVIL)],
            "warnings": [EVIL],
        }
    )
    assert not tree.css("script") and tree.css_first("h1").text() == EVIL
    assert len(tree.css("svg title")) == 8 and EVIL in tree.css_first("svg title").text()


def test_the_page_stays_small_with_many_classes_and_long_samples() -> None:
    size = 1000
    classes = {"names": [f"class {i}" for i in range(size)], "support": [1] * size, "confusion": [[0] * size] * size}
    classes |= dict.fromkeys(("precision", "recall", "f1"), [0.5] * size)
    samples = [dict.fromkeys(("prompt", "reference", "before", "after"), "长" * 5000)] * 300
    html = render({"classes": classes, "samples": samples})
    assert len(html.encode()) < 700_000 and "100 of 1,000 classes" in html
