"""Charts: areas are shares, sums add up, labels do not lie on each other, and odd numbers are drawn or left out, never a crash."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.axis import Axis, unit_of
from aigc.pages.charts import Mark, bars, histogram, line_chart, split_bar
from aigc.pages.flow import Branch, flow
from aigc.pages.page import Html

edges_and_counts = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20, unique=True).flatmap(
    lambda edges: st.tuples(
        st.just(sorted(edges)), st.lists(st.integers(0, 10**12), min_size=len(edges) - 1, max_size=len(edges) - 1)
    )
)


def floats(path: str) -> list[float]:
    """The numbers of a path, in order."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", path)]


def steps_of(path: str) -> list[tuple[float, float]]:
    """(width, height) of each bar of a step path."""
    x, floor = floats(path)[:2]
    found = []
    for y, right in re.findall(r"V([-\d.]+)H([-\d.]+)", path):
        found.append((float(right) - x, floor - float(y)))
        x = float(right)
    return found


def drawn(html: Html, selector: str) -> list[str]:
    return [str(node.attributes["d"]) for node in HTMLParser(html).css(selector)]


def test_area_is_share_though_bins_differ_in_width() -> None:
    edges = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    (path,) = drawn(histogram({"en": (edges, [10, 10, 20, 40, 10, 10])}), "path.area")
    areas = [width * height for width, height in steps_of(path)]
    for area, part in zip(areas, (0.1, 0.1, 0.2, 0.4, 0.1, 0.1), strict=True):
        assert area / sum(areas) == pytest.approx(part, abs=0.01)


def test_a_small_language_is_drawn_as_large_as_a_large_one() -> None:
    edges = [0.0, 1.0, 2.0, 3.0]
    en, zh = drawn(histogram({"en": (edges, [4000, 8000, 4000]), "zh": (edges, [1, 2, 1])}), "path.area")
    assert steps_of(en) == steps_of(zh)


def test_a_count_of_one_in_a_million_can_be_seen() -> None:
    (path,) = drawn(histogram({"en": ([0.0, 1.0, 2.0, 3.0], [1_000_000, 0, 1])}), "path.area")
    heights = [height for _, height in steps_of(path)]
    assert heights[1] == 0 and heights[2] >= 1, "nothing is flat, one is not"


@settings(deadline=None, max_examples=50)
@given(edges_and_counts, st.lists(st.floats(allow_nan=False), max_size=3))
def test_every_histogram_stays_in_its_frame(bins: tuple[list[float], list[int]], bounds: list[float]) -> None:
    html = histogram({"en": bins}, marks=[Mark(value, f"min {value:g}", "min", 0) for value in bounds])
    assert ("no values" in html) == (not sum(bins[1]))
    for path in drawn(html, "path.area"):
        numbers = floats(path)
        assert all(math.isfinite(value) and -1 <= value <= 361 for value in numbers), path
    assert len(HTMLParser(html).css("text.label")) == (len(bounds) if sum(bins[1]) else 0)


@pytest.mark.parametrize("bins", [([], []), ([1.0], []), ([0.0, 1.0], [1, 2]), ([0.0, 1.0], [0])])
def test_what_is_no_histogram_says_so(bins: tuple[list[float], list[int]]) -> None:
    assert "no values" in histogram({"en": bins})


def test_an_open_last_bin_is_drawn() -> None:
    assert len(drawn(histogram({"en": ([0.0, 1.0, math.inf], [3, 4])}), "path.area")) == 1


def test_labels_of_near_bounds_take_different_lines() -> None:
    marks = [Mark(50, "min 50 (en)", "min", 0), Mark(60, "min 60 (zh)", "min", 1), Mark(900, "max 900", "max")]
    html = histogram({"en": ([0.0, 500.0, 1000.0], [3, 4])}, marks=marks)
    lines = {node.text(): node.attributes["y"] for node in HTMLParser(html).css("text.label")}
    assert lines["min 50 (en)"] != lines["min 60 (zh)"]
    assert lines["min 50 (en)"] == lines["max 900"], "a free line is used again"


def test_a_bound_far_away_does_not_squeeze_the_data() -> None:
    html = histogram({"en": ([0.0, 1.0, 2.0], [3, 4])}, marks=[Mark(1e9, "max 1e9", "max")])
    (path,) = drawn(html, "path.area")
    assert max(floats(path)) > 300, "the bars keep the width of the chart"
    assert "max 1e9 →" in html, "and the label says that its bound is further out"


def test_bins_tell_their_counts() -> None:
    html = histogram({"en": ([0.0, 1.0, 2.0], [3, 4]), "zh": ([0.0, 1.0, 2.0], [0, 1500])})
    assert [node.text() for node in HTMLParser(html).css("rect.hover title")] == ["0 to 1: en 3", "1 to 2: en 4, zh 1,500"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=30, unique=True), st.booleans())
@example([0.0, 5e-324], False)
@example([0.0, 5e-324, 1e-322], True)
def test_an_axis_keeps_the_order_and_its_ticks_apart(values: list[float], bent: bool) -> None:
    values = sorted(values)
    axis = Axis(values[0], values[-1], 0, 300, unit_of(values) if bent else None)
    at = [axis.at(value) for value in values]
    assert at == sorted(at) and at[0] == 0 and at[-1] == pytest.approx(300)
    ticks = axis.ticks(40)
    assert all(axis.at(b) - axis.at(a) >= 39.9 for a, b in pairwise(ticks))
    slack = 1e-6 * (values[-1] - values[0])
    assert all(values[0] - slack <= tick <= values[-1] + slack for tick in ticks)


def test_bins_of_one_width_have_a_straight_axis() -> None:
    assert unit_of([0.0, 0.5, 1.0, 1.5]) is None
    assert unit_of([0.0, 1.0, 2.0, 4.0, 8.0]) == 1.0


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 10**15),
    st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1)), max_size=12),
)
def test_a_flow_adds_up_on_the_page(total: int, parts: list[tuple[str, float]]) -> None:
    left, branches = total, []
    for name, part in parts:
        amount = int(left * part)
        branches.append(Branch(name, amount))
        left -= amount
    tree = HTMLParser(flow(total, branches))
    amounts = {
        kind: [int(node.attributes["data-amount"] or -1) for node in tree.css(f"li.{kind}")] for kind in ("start", "drop", "end")
    }
    assert amounts["start"] == [total] and amounts["end"] == [left]
    assert sum(amounts["drop"]) == total - left
    assert len(tree.css("path.arm")) == len(amounts["drop"]) == sum(branch.amount > 0 for branch in branches)


def test_a_band_is_as_wide_as_what_is_left() -> None:
    (path,) = drawn(flow(100, [Branch("a", 40), Branch("b", 30)]), "path.band")
    widths = [float(found) for found in re.findall(r"H([\d.]+)", path)]
    assert [width / widths[0] for width in widths[:3]] == pytest.approx([1, 0.6, 0.3])


def test_rules_that_dropped_nothing_share_a_line() -> None:
    tree = HTMLParser(flow(10, [Branch("a", 0), Branch("b", 2), Branch("c", 0)]))
    idle = tree.css_first(".idle")
    assert idle is not None and idle.text() == "2 dropped nothing: a, c"
    assert [node.text() for node in tree.css("li.drop .name")] == ["b"]


def test_a_flow_cannot_lose_more_than_came() -> None:
    with pytest.raises(ValueError, match="a flow of 3 cannot lose 4"):
        flow(3, [Branch("a", 4)])


def test_a_curve_passes_through_its_points() -> None:
    (path,) = drawn(line_chart({"train": [(0, 4.0), (5, 3.0), (10, 2.0)]}), "path.curve")
    (x0, y0), (x1, y1), (x2, y2) = zip(floats(path)[::2], floats(path)[1::2], strict=True)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert y0 < y2, "a falling loss falls"


def test_a_long_curve_is_thinned_but_keeps_its_peak_and_ends() -> None:
    points = [(float(step), 1.0) for step in range(50_000)]
    points[30_123] = (30_123.0, 9.0)
    points[-1] = (49_999.0, 3.0)
    (path,) = drawn(line_chart({"train": points}), "path.curve")
    assert len(path) < 12_000
    heights = floats(path)[1::2]
    assert min(heights) < heights[-1] < max(heights), "the one peak is there, and the last value"


def test_what_is_not_finite_is_left_out_of_a_curve() -> None:
    (path,) = drawn(line_chart({"loss": [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)]}), "path.curve")
    assert len(floats(path)) == 4
    assert "no values" in line_chart({"loss": [(0, math.nan)]})


def test_bars_roll_up_what_is_too_much() -> None:
    html = bars([(f"s{i}", 100 - i) for i in range(30)], most=5)
    tree = HTMLParser(html)
    assert [node.text() for node in tree.css(".name")] == ["s0", "s1", "s2", "s3", "26 more"]
    assert sum(int(node.text().replace(",", "")) for node in tree.css("b")) == sum(100 - i for i in range(30))
    assert bars([]) == ""


def test_bars_and_splits_of_nothing_have_no_width() -> None:
    assert "width:0.00%" in bars([("a", 0)])
    assert not HTMLParser(split_bar([("a", 0), ("b", 0)])).css("i")
