"""The split report's page: no leak is said large and green only where it was checked; a leak is red and listed."""

from typing import Any

import pytest
from page_reports import split_report
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.split import render


def alerts(report: dict[str, Any]) -> dict[str, str]:
    """The messages of a page by their tone."""
    return {str(node.attributes["class"]): str(node.text()) for node in HTMLParser(render(report)).css(".alert")}


def test_no_leak_is_large_and_green() -> None:
    shown = alerts(split_report())
    assert list(shown) == ["alert good large"] and shown["alert good large"].startswith("0 leaks")


def test_leaks_are_red_and_listed_the_most_alike_first() -> None:
    shown = alerts(split_report(leaks=True))
    assert list(shown) == ["alert bad large"] and shown["alert bad large"].startswith("4 leaks")
    rows = [[cell.text() for cell in row.css("td")] for row in HTMLParser(render(split_report(leaks=True))).css("#leaks tbody tr")]
    assert rows[0] == ["test", "zh-3", "train", "zh-403", "0.85"] and len(rows) == 4


def test_a_pair_is_a_leak_even_if_the_counts_say_none() -> None:
    report = split_report() | {"leak_pairs": split_report(leaks=True)["leak_pairs"]}
    assert "alert bad large" in alerts(report)


@pytest.mark.parametrize("leaks", [None, {}, {"near": None}])
def test_what_was_not_checked_is_not_green(leaks: dict[str, Any] | None) -> None:
    report = split_report() | {"leaks": leaks}
    assert list(alerts(report)) == ["alert warn"]


def test_one_check_left_out_is_said() -> None:
    assert "ngram13: not checked" in alerts(split_report() | {"leaks": {"exact": 0, "ngram13": None}})["alert good large"]


def test_parts_and_what_was_asked_for() -> None:
    rows = [[cell.text() for cell in row.css("td")] for row in HTMLParser(render(split_report())).css("#parts tbody tr")]
    assert rows == [["■ train", "900", "90.0%", "90.0%"], ["■ validation", "48", "4.8%", "5.0%"], ["■ test", "52", "5.2%", "5.0%"]]
    as_it_came = split_report() | {"shares": {"train": 0.9, "validation": 0.048, "test": 0.052}}
    assert len(HTMLParser(render(as_it_came)).css("#parts th")) == 3, "shares that say the same are not said twice"


def test_parts_that_do_not_add_up_are_said() -> None:
    assert "Does not add up" in alerts(split_report() | {"documents": 1001})["alert bad"]


def test_classes_stand_by_size_with_their_spread() -> None:
    rows = HTMLParser(render(split_report())).css("#classes tbody tr")
    assert [row.css("td")[0].text() for row in rows] == ["culture", "经济", "sport"]
    assert [cell.text() for cell in rows[2].css("td.n")] == ["9090.0%", "55.0%", "55.0%", "100"]


@pytest.mark.parametrize("key", sorted(split_report()))
def test_any_key_may_be_missing(key: str) -> None:
    report = split_report(leaks=True)
    del report[key]
    assert HTMLParser(render(report)).css_first("h1") is not None
    assert HTMLParser(render({})).css_first("h1").text() == "0 documents in 0 parts"


def test_nothing_of_the_data_is_markup() -> None:
    evil = "<script>alert(1)</script>"
    report = {
        "name": evil,
        "parts": {evil: 2},
        "classes": {evil: {evil: 2}},
        "leaks": {evil: 1},
        "leak_pairs": [{"part": evil, "id": evil, "other_part": evil, "other": evil, "similarity": 0.9}],
    }
    tree = HTMLParser(render(report))
    assert not tree.css("script") and evil in tree.css_first("h1").text()
