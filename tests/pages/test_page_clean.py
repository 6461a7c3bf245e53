"""The clean report's page: every section from the contract, sums that add up, and no report that breaks it."""

import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reports import EN, ZH, bell, clean_report
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.clean import render
from aigc.pages.measured import bound_of, curve, outside

EVIL = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>"


def texts(tree: HTMLParser, selector: str) -> list[str]:
    return [node.text() for node in tree.css(selector)]


def amounts(tree: HTMLParser, kind: str) -> list[int]:
    return [int(node.attributes["data-amount"] or -1) for node in tree.css(f"#flow li.{kind}")]


def poisoned(value: Any) -> Any:
    """The same report with markup in every string and every key of data."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    if isinstance(value, dict):
        return {key: poisoned(one) for key, one in value.items()}
    return value


@pytest.fixture(scope="module")
def tree() -> HTMLParser:
    return HTMLParser(render(clean_report()))


def test_every_section_is_there(tree: HTMLParser) -> None:
    ids = [node.attributes["id"] for node in tree.css("section")]
    assert ids == ["flow", "rules", "measures", "drops", "duplicates", "edits", "sources", "failures"]
    assert texts(tree, "h1") == ["5,700 of 6,827 documents kept"]
    assert texts(tree, ".tiles dd:not(.remark)") == ["6,827", "5,700", "1,119", "8", "15.2M"]


def test_the_flow_adds_up(tree: HTMLParser) -> None:
    report = clean_report()
    (read,), (kept,), (failed,) = amounts(tree, "start"), amounts(tree, "end"), amounts(tree, "bad")
    assert (read, kept, failed) == (report["read"], report["kept"], report["failed"])
    assert read == kept + sum(amounts(tree, "drop")) + failed
    body = tree.body
    assert body is not None
    assert [int(body.attributes[f"data-{key}"] or -1) for key in ("read", "kept", "dropped", "failed")] == [6827, 5700, 1119, 8]


def test_a_rule_that_occurs_twice_is_told_apart(tree: HTMLParser) -> None:
    assert [name for name in texts(tree, "#flow li.drop .name") if name.startswith("words")] == ["words", "words (2)"]
    assert texts(tree, "#flow .idle") == ["3 dropped nothing: mean_word_length, stop_words, exact_duplicates"]


def test_drops_are_told_by_rule_and_language(tree: HTMLParser) -> None:
    head = texts(tree, "#rules th")
    rows = {row.css("td")[1].css_first("b").text(): [cell.text() for cell in row.css("td")] for row in tree.css("#rules tbody tr")}
    line = dict(zip(head, rows["near_duplicates"], strict=True))
    assert (line["dropped"], line["en"], line["zh"], line["seen"]) == ("87112.8%", "70016.4%", "1716.7%", "6,571")
    assert dict(zip(head, rows["repair_unicode"], strict=True))["edited"] == "253"


def test_warnings_are_loud(tree: HTMLParser) -> None:
    (alert,) = tree.css(".alert.warn")
    assert alert.attributes["role"] == "alert" and "near_duplicates drops 16.4% of en" in alert.text()
    assert not tree.css(".alert.bad"), "nothing else is wrong"


def test_bounds_are_lines_with_labels_and_the_share_outside(tree: HTMLParser) -> None:
    figure = tree.css("#measures figure")[0]
    assert [node.text() for node in figure.css("text.label")] == ["min 50 (en)", "min 80 (zh)", "max 10000"]
    assert len(figure.css("path.area")) == 2, "one histogram for each language"
    assert re.search(r"en 4,\d{3} · ≈0\.9% below · <0\.1% above · 96 dropped", figure.text())


def test_a_dropped_text_says_its_value_and_bound(tree: HTMLParser) -> None:
    first = tree.css("#drops details")[1].css(".example")[0]
    assert first.css_first("p").text() == "zh-0041231min 80 (zh)"
    assert first.css_first(".text").attributes["lang"] == "zh"


def test_pairs_stand_side_by_side_with_what_differs_marked(tree: HTMLParser) -> None:
    pair = tree.css("#duplicates .example")[0]
    assert [node.text() for node in pair.css("h4")] == ["kept: zh-12", "dropped: zh-77"]
    assert [node.text() for node in pair.css("del")] == ["星期", "四"] and [node.text() for node in pair.css("ins")] == [
        "本周",
        "五",
    ]
    assert "871 dropped · 402 clusters · the largest of 40" in tree.css_first("#duplicates summary").text()


def test_edits_show_before_and_after(tree: HTMLParser) -> None:
    assert [node.text() for node in tree.css("#edits .example")[0].css("del")][-1] == "[U+200B]"


def test_sources_and_licences_are_bars(tree: HTMLParser) -> None:
    first = tree.css("#sources figure")[0]
    assert [node.text() for node in first.css(".name")] == ["City Desk", "港口日报", "Harbour Weekly", "no value", "other values"]
    assert "news-3.jsonl:1207" in tree.css_first("#failures").text() and "2 of 8 shown" in tree.css_first("#failures").text()


def test_a_dry_run_says_so_and_draws_drop_curves() -> None:
    assert not HTMLParser(render(clean_report())).css("#curves")
    tree = HTMLParser(render(clean_report(sample=2000)))
    assert "sample of 2,000 rows" in tree.css_first(".alert.plain").text()
    labels = texts(tree, "#curves text.label")
    assert labels[0].startswith("min 50 (en): 0.9%"), "the present bound, and what it drops"
    assert len(tree.css("#curves path.curve")) == 2 * len(tree.css("#curves figure"))


def test_nothing_of_the_data_is_markup() -> None:
    report = poisoned(clean_report(sample=10))
    for step, clean in zip(report["steps"], clean_report()["steps"], strict=True):
        step["kind"] = clean["kind"]
        for key in ("dropped", "edited", "histogram"):
            if key in step:
                step[key] = {EVIL + name: value for name, value in step[key].items()}
    report["columns"] = {EVIL: {EVIL: 3}}
    report["languages"] = {EVIL: {"read": 3, "kept": 2, "dropped": 1}}
    report["name"] = EVIL
    html = render(report)
    tree = HTMLParser(html)
    assert not tree.css("script, img, iframe, [onerror]")
    assert EVIL in tree.css_first("h1").text()
    assert html.lower().count("<script") == 0


@pytest.mark.parametrize("report", [{}, {"read": 0, "steps": [], "columns": {"source": {}}, "warnings": [], "failures": []}])
def test_an_empty_report_is_a_page(report: dict[str, Any]) -> None:
    tree = HTMLParser(render(report))
    assert amounts(tree, "start") == amounts(tree, "end") == [0]
    assert not tree.css(".alert.bad, .alert.warn")


def test_one_document_is_a_page() -> None:
    histogram = {"zh": {"edges": [7.0, 8.0], "counts": [1]}}
    step = {"rule": "words", "kind": "measure", "seen": 1, "dropped": {"zh": 1}, "bounds": ["min 8"], "histogram": histogram}
    tree = HTMLParser(render({"read": 1, "kept": 0, "dropped": 1, "failed": 0, "steps": [step], "sample": 1}))
    assert amounts(tree, "drop") == [1] and amounts(tree, "end") == [0]
    assert texts(tree, "#measures .notes li") == ["zh 1 · 100% below · 1 dropped"]


def test_huge_counts_are_a_page() -> None:
    report = clean_report()
    for step in report["steps"]:
        for key in ("dropped", "edited"):
            if key in step:
                step[key] = {name: value * 10**12 for name, value in step[key].items()}
    for key in ("read", "kept", "dropped", "failed"):
        report[key] *= 10**12
    tree = HTMLParser(render(report))
    assert (
        amounts(tree, "start")
        == [6827 * 10**12]
        == [amounts(tree, "end")[0] + sum(amounts(tree, "drop")) + amounts(tree, "bad")[0]]
    )
    assert texts(tree, ".tiles dd:not(.remark)")[0] == "6,827T"


def test_what_does_not_add_up_is_said() -> None:
    report = clean_report()
    report["kept"] -= 7
    tree = HTMLParser(render(report))
    assert "Does not add up: read is 7 more" in tree.css_first(".alert.bad").text()
    assert dict(zip(texts(tree, "#flow li.bad .name"), amounts(tree, "bad"), strict=True)) == {
        "failed to read": 8,
        "not accounted for": 7,
    }
    report["kept"] += 5000
    assert "No flow" in HTMLParser(render(report)).css_first("#flow .alert.bad").text()


def test_a_page_of_many_rules_and_long_texts_stays_small() -> None:
    report = clean_report(sample=2000)
    for step in report["steps"]:
        for example in step.get("examples", []):
            for key in ("text", "keeper_text", "before", "after"):
                if key in example:
                    example[key] = ((EN if key in ("text", "after") else ZH) * 40)[:2000]
    report["steps"] = [copy.deepcopy(step) for step in report["steps"] * 3]
    for step in report["steps"]:
        step["examples"] = step.get("examples", []) * 3
    assert len(render(report).encode()) < 300_000, "30 rules with five long examples each, a dry run"
    assert len(render(clean_report(sample=2000)).encode()) < 120_000


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_key_may_be_missing_or_empty(data: st.DataObject) -> None:
    report = clean_report(sample=5)
    for where in (report, *report["steps"]):
        for key in data.draw(st.lists(st.sampled_from(sorted(where)), unique=True)):
            old = where[key]
            if isinstance(old, list | dict) and data.draw(st.booleans()):
                where[key] = type(old)()
            elif key not in ("kind", "rule"):
                del where[key]
    assert HTMLParser(render(report)).css_first("h1") is not None


def test_bounds_are_read_as_the_report_writes_them() -> None:
    assert bound_of("min 50 (en)") == ("min", 50.0, "en")
    assert bound_of("max 0.1") == ("max", 0.1, "")
    assert bound_of("max 10,000") == ("max", 10_000.0, "")
    assert bound_of("min -3.5e-2 (zh)") == ("min", -0.035, "zh")
    assert bound_of("in en, zh") is None


def test_outside_counts_whole_bins_and_parts_of_the_cut_one() -> None:
    bins = ([0.0, 1.0, 2.0, 4.0], [3.0, 4.0, 6.0])
    assert [outside(bins, "min", x) for x in (-1, 0, 1, 2, 3, 4, 9)] == [0, 0, 3, 7, 10, 13, 13]
    assert [outside(bins, "max", x) for x in (0, 3, 4)] == [13, 3, 0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_a_drop_curve_rises_with_min_and_falls_with_max(counts: list[int]) -> None:
    bins = ([float(i * i) for i in range(len(counts) + 1)], [float(amount) for amount in counts])
    up, down = curve(bins, "min"), curve(bins, "max")
    if not sum(counts):
        assert up == down == []
        return
    assert (up[0][1], up[-1][1], down[0][1], down[-1][1]) == (0, 1, 1, 0)
    assert [y for _, y in up] == sorted(y for _, y in up)
    assert all(a[1] + b[1] == pytest.approx(1) for a, b in zip(up, down, strict=True))
    assert all(y == pytest.approx(outside(bins, "min", x) / sum(counts)) for x, y in up)


def test_the_made_up_report_keeps_the_contract() -> None:
    for step in clean_report()["steps"]:
        for one in step.get("histogram", {}).values():
            assert len(one["edges"]) == len(one["counts"]) + 1
    assert sum(bell([0.0, 1.0, 10.0, 100.0], 5, 1, 1000)) == pytest.approx(1000, rel=0.05)
