"""The training report's page: headline figures, curves and tables from the contract, and no run that breaks it."""

import math
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_runs import run_metrics, run_report, run_samples
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.curves import curves_of, panels, smoothed
from aigc.pages.training import render

EVIL = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>"


def texts(tree: HTMLParser, selector: str) -> list[str]:
    return [node.text() for node in tree.css(selector)]


def tiles(tree: HTMLParser) -> dict[str, str]:
    """The large figures by name."""
    return dict(zip(texts(tree, ".tiles dt"), texts(tree, ".tiles dd:not(.remark)"), strict=True))


def coordinates(path: str) -> list[tuple[float, float]]:
    numbers = [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", path.replace("h0", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def figure(tree: HTMLParser, title: str) -> Any:
    return next(node for node in tree.css("figure") if node.css_first("h3").text() == title)


@pytest.fixture(scope="module")
def tree() -> HTMLParser:
    return HTMLParser(render(run_report(), run_metrics(), run_samples()))


def test_every_section_is_there(tree: HTMLParser) -> None:
    assert [node.attributes["id"] for node in tree.css("section")] == ["curves", "samples", "validation", "data", "tokenizer"]
    assert texts(tree, ".kicker") + texts(tree, "h1") == ["aigc pretrain", "news"]
    assert texts(tree, "header .chip") == [
        "bert",
        "12.8M parameters",
        "masked_language_model share 0.15, sentence_order",
        "bf16",
        "compiled",
    ]
    assert texts(tree, "figure h3") == [
        "Loss",
        "Loss in the second half",
        "Loss of documents",
        "Accuracy",
        "Learning rate",
        "Gradient norm",
        "Throughput",
        "Waiting for data",
    ]


def test_headline_figures_are_those_of_the_metrics() -> None:
    lines = [
        {"step": 0, "validation_loss": 10.0, "bits_per_byte": 4.0},
        {"step": 1, "loss": 9.0, "tokens": 1000, "tokens_per_second": 500.0},
        {"step": 2, "loss": 8.0, "tokens": 1000, "tokens_per_second": 250.0},
        {"step": 3, "loss": 7.0, "tokens": 1000, "tokens_per_second": 500.0, "validation_loss": 7.5, "bits_per_byte": 3.0},
    ]
    tree = HTMLParser(render({"steps": 3}, lines))
    shown = {"Validation loss": "7.5", "Bits per byte": "3", "Tokens": "3,000", "Tokens a second": "500", "Time": "8 s"}
    assert tiles(tree) == shown
    assert texts(tree, ".tiles .remark")[:2] == ["from 10 at the start", "from 4 at the start"]
    assert not tree.css(".alert"), "a sound run has nothing to warn of"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(3.14, "3.14 s"), (59.9, "1 min 0 s"), (754, "12 min 34 s"), (7_400, "2 h 3 min"), (400_000, "4.6 days")],
)
def test_times_are_said_in_two_units(seconds: float, shown: str) -> None:
    lines = [{"step": 1, "tokens": 100, "tokens_per_second": 100 / seconds}]
    assert tiles(HTMLParser(render({}, lines)))["Time"] == shown


def test_the_loss_chart_has_the_steps_their_mean_and_the_validation_on_top(tree: HTMLParser) -> None:
    paths = figure(tree, "Loss").css("path.curve")
    assert [path.attributes["class"] for path in paths] == ["curve c0", "curve c0", "curve c1", "curve c1"]
    assert "stroke-opacity" in paths[0].attributes["style"] and "round" in paths[3].attributes["style"]
    assert len(coordinates(paths[2].attributes["d"])) == 21, "every evaluation"
    assert figure(tree, "Loss").css_first("text.label").text() == "lowest 3.01"


def test_the_charts_tell_values_on_hover(tree: HTMLParser) -> None:
    told = texts(figure(tree, "Loss"), "rect.hover title")
    assert len(told) == 60
    assert re.fullmatch(r"0 to 3\d: training [\d.]+ to [\d.]+, mean of 21 steps [\d.]+ to [\d.]+, validation 11\.38", told[0]), (
        told[0]
    )


def test_one_enormous_gradient_does_not_hide_the_others(tree: HTMLParser) -> None:
    chart = figure(tree, "Gradient norm")
    assert chart.css_first(".notes").text() == "1 above the chart, the highest 900 at step 1,240"
    mean = [y for _, y in coordinates(chart.css("path.curve")[1].attributes["d"])]
    assert max(mean) - min(mean) > 20, "the mean still has a shape"


def test_the_tables_have_the_numbers(tree: HTMLParser) -> None:
    rows = [[cell.text() for cell in row.css("td")] for row in tree.css("#validation tbody tr")]
    assert len(rows) == 21 and rows[0][:4] == ["0", "11.38", "4.248", "0%"]
    assert [row[0] for row in rows if "lowest" in row[1]] == ["1,700"]
    rows = [[cell.text() for cell in row.css("td")] for row in tree.css("#data tbody tr")]
    assert rows[0] == ["documentsin the split", "48,211", "2,540"]
    assert [row[1:] for row in rows if row[0].startswith("padding")] == [["1.3%", "<0.1%"]]
    rows = [[cell.text() for cell in row.css("td")] for row in tree.css("#tokenizer tbody tr")]
    assert rows == [["en", "4,270", "4.31", "0%"], ["zh", "2,549", "4.05", "<0.1%"]]
    assert tree.css_first("#tokenizer caption").text() == "vocabulary 8,000, vocabulary used 93.0%"


def test_samples_stand_by_prompt_from_the_oldest(tree: HTMLParser) -> None:
    blocks = tree.css("#samples details")
    assert [block.css_first("summary").text().strip() for block in blocks] == ["The harbour council", "港务委员会"]
    assert texts(blocks[1], ".example b") == [f"step {step}" for step in ("400", "800", "1,200", "1,600", "2,000")]
    assert {node.attributes["lang"] for node in blocks[1].css(".text")} == {"zh"}
    assert {node.attributes.get("lang") for node in blocks[0].css(".text")} == {None}


def test_samples_in_any_order_and_too_many_are_spread() -> None:
    samples = [{"step": step, "prompt": "a", "text": f"text {step}"} for step in reversed(range(0, 1000, 10))]
    tree = HTMLParser(render({}, [], samples))
    shown = texts(tree, "#samples .example b")
    assert len(shown) == 10 and shown[0] == "step 0" and shown[-1] == "step 990"
    assert "at 10 of 100 times" in tree.css_first("#samples summary").text()


def test_samples_without_a_prompt_stand_together_at_their_step() -> None:
    samples = [{"step": step, "prompt": "", "text": f"{step} {i}"} for step in (10, 20) for i in range(6)]
    (block,) = HTMLParser(render({}, [], samples)).css("#samples details")
    assert block.css_first("summary").text() == "without a prompt"
    assert [texts(one, ".text") for one in block.css(".example")] == [[f"{step} {i}" for i in range(4)] for step in (10, 20)]


def test_a_tokenizer_report_by_language_alone_is_a_table() -> None:
    tree = HTMLParser(render({"tokenizer": {"en": {"bytes_per_token": 4.5, "unknown": 0.01}}}, []))
    assert texts(tree, "#tokenizer td") == ["en", "4.5", "1.0%"]


def test_what_must_not_be_missed_is_said() -> None:
    lines = run_metrics(100)
    for line in lines:
        line["waited"] = 0.4
    lines[50]["loss"] = None
    shown = {
        str(node.attributes["class"]): node.text()
        for node in HTMLParser(render(run_report(200) | {"warnings": ["2 documents dropped"]}, lines)).css(".alert")
    }
    assert "1 step has no finite loss: the first is step 50." in shown["alert bad"]
    assert shown["alert plain"] == "Not finished: step 100 of 200."
    tones = [str(node.text()) for node in HTMLParser(render(run_report(100), lines)).css(".alert.warn")]
    assert any("lowest at step 80" in told or "lowest at step 85" in told for told in tones), tones
    assert any("waited 40.0%" in told for told in tones)
    stopped = HTMLParser(render({"steps": 200, "stopped_early": "no better validation loss in 3 evaluations"}, lines))
    assert stopped.css_first(".alert.plain").text() == "Stopped early: no better validation loss in 3 evaluations"


def test_losses_that_are_not_finite_are_left_out_of_the_curves() -> None:
    for broken in (None, math.nan, math.inf, "NaN"):
        lines = run_metrics(200)
        for line in lines[60:90]:
            line |= dict.fromkeys(set(line) - {"step"}, broken)
        html = render(run_report(200), lines, run_samples(200))
        assert not re.search(r"\bnan\b|\binf\b", html), "no path, figure or title has one"
        (path,) = figure(HTMLParser(html), "Learning rate").css("path.curve")
        assert len(coordinates(path.attributes["d"])) == 170


def test_a_step_that_was_taken_again_counts_once() -> None:
    lines = [{"step": step, "loss": 5.0, "tokens": 10} for step in (1, 2, 3)] + [{"step": 3, "loss": 4.0, "tokens": 10}]
    assert curves_of(lines)["loss"] == [(1, 5.0), (2, 5.0), (3, 4.0)]
    assert tiles(HTMLParser(render({}, lines)))["Tokens"] == "30"


def test_a_hundred_thousand_steps_are_a_small_page() -> None:
    lines, samples = run_metrics(100_000, evaluations=2_000), run_samples(100_000, times=200)
    for sample in samples:
        sample["text"] = str(sample["text"]) * 40
    started = time.process_time()
    html = render(run_report(100_000), lines, samples)
    assert time.process_time() - started < 30
    assert len(html.encode()) < 400_000
    thin = coordinates(figure(HTMLParser(html), "Gradient norm").css_first("path.curve").attributes["d"])
    assert len(thin) <= 402
    assert min(y for _, y in thin) < 25, "the one peak is still there"


@pytest.mark.parametrize(
    "metrics", [[], [{}], [{"step": 0, "validation_loss": 10.0}], [{"step": 1, "loss": 2.0}], [{"step": None}]]
)
def test_a_run_of_nothing_is_a_page(metrics: list[dict[str, Any]]) -> None:
    for report in ({}, {"steps": 0}, run_report()):
        assert HTMLParser(render(report, metrics)).css_first("h1") is not None


def test_evaluations_are_read_from_the_report_where_the_metrics_have_none() -> None:
    losses = [{"step": 0, "loss": 9.0, "bits_per_byte": None, "accuracy": 0.1}, {"step": 8, "loss": 7.0, "accuracy": 0.2}]
    tree = HTMLParser(render({"validation_losses": losses}, []))
    assert texts(tree, "#validation th") == ["step", "loss", "right"]
    assert texts(tree, "#validation td") == ["0", "9", "10.0%", "8", "7lowest", "20.0%"]


def test_nothing_of_the_data_is_markup() -> None:
    report: dict[str, Any] = run_report() | dict.fromkeys(
        ("name", "stage", "family", "objective", "precision", "stopped_early"), EVIL
    )
    report |= {"tokenizer": {EVIL: {EVIL: EVIL}}, "training": {EVIL: EVIL}, "warnings": [EVIL]}
    samples = [{"step": 1, "prompt": EVIL, "text": EVIL}]
    html = render(report, [line | {EVIL: 1.0} for line in run_metrics(50)], samples)
    assert not HTMLParser(html).css("script, img, iframe, [onerror]") and "<script" not in html.lower()


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_key_may_be_missing_or_odd(data: st.DataObject) -> None:
    report, metrics, samples = run_report(30), run_metrics(30, 5), run_samples(30, 2)
    for key in data.draw(st.lists(st.sampled_from(sorted(report)), unique=True)):
        report[key] = {} if isinstance(report[key], dict) else None
    odd = st.sampled_from([None, math.nan, math.inf, -math.inf, 0, -1.5, 1e300, True])
    keys = st.sampled_from([*metrics[-1], "prompt", "text"])
    for place, key, value in data.draw(st.lists(st.tuples(st.integers(0, 34), keys, odd), max_size=30)):
        [*metrics, *samples][place][key] = value
    tree = HTMLParser(render(report, metrics, samples))
    for path in tree.css("path.curve"):
        assert all(-1 <= value <= 361 for point in coordinates(path.attributes["d"] or "") for value in point)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(1, 60))
def test_a_mean_stays_between_its_values_and_keeps_the_steps(values: list[float], window: int) -> None:
    line = [(float(step), value) for step, value in enumerate(values)]
    mean = smoothed(line, window)
    assert [x for x, _ in mean] == [x for x, _ in line]
    assert all(min(values) - 1e-3 <= y <= max(values) + 1e-3 for _, y in mean)


def test_a_mean_follows_a_straight_fall() -> None:
    line = [(float(step), 10.0 - step) for step in range(100)]
    assert all(y == pytest.approx(10 - x) for x, y in smoothed(line, 9)[:95])


def test_curves_of_nothing_are_left_out() -> None:
    assert panels({}) == "" and panels(curves_of([{"step": 1, "note": "x"}])) == ""
