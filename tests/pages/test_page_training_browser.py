"""The training page in a real browser: it fits a phone and a desk in light and dark, and shows what is in it."""

from html import escape
from pathlib import Path

from page_runs import run_metrics, run_report, run_samples
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from test_page_browser import browse, drawn_rows
from test_page_browser import pytestmark as pytestmark

from aigc.pages.training import render


def test_a_browser_lays_the_page_out(tmp_path: Path) -> None:
    html = render(run_report(), run_metrics(), run_samples())
    frames = "".join(
        f'<iframe name="{width}" width="{width}" height="600" style="border:0" srcdoc="{escape(html)}"></iframe>'
        for width in (400, 1200)
    )
    script = """
    onload = () => document.querySelectorAll("iframe").forEach(frame => {
        const page = frame.contentDocument, root = page.documentElement, box = document.createElement("pre");
        const charts = [...page.querySelectorAll("svg.chart")], ends = charts.flatMap(chart =>
            [...chart.querySelectorAll("text")].map(text => text.getBoundingClientRect()));
        const sides = [Math.min(...ends.map(end => end.left)), Math.max(...ends.map(end => end.right))];
        box.textContent = [frame.name, root.scrollWidth, root.scrollHeight, charts.length, ...sides, page.body.innerText].join("|");
        frame.replaceWith(box);
    })"""
    dom = HTMLParser(browse(tmp_path, f"<!doctype html>{frames}<script>{script}</script>", "--dump-dom", "--window-size=1300,900"))
    boxes = [box.text().split("|", 6) for box in dom.css("pre")]
    assert [box[0] for box in boxes] == ["400", "1200"]
    for name, width, height, charts, left, right, text in boxes:
        assert int(width) <= int(name), "it must be scrolled sideways"
        assert int(height) > 2_000 and int(charts) == 8
        assert float(left) >= 0 and float(right) <= int(name), "labels of an axis are cut off"
        assert "港务委员会" in text and "Tokens a second" in text and "1 above the chart" in text


def test_a_picture_of_the_page_is_not_blank_in_light_and_dark(tmp_path: Path) -> None:
    html = render(run_report(), run_metrics(), run_samples())
    pictures = []
    for name, arguments in (("light", ()), ("dark", ("--blink-settings=preferredColorScheme=0",))):
        browse(tmp_path, html, *arguments, f"--screenshot={tmp_path / name}.png", "--window-size=1000,1600")
        pictures.append((tmp_path / f"{name}.png").read_bytes())
        rows = drawn_rows(pictures[-1])
        assert len(rows) > 500 and rows[0] < 100 and rows[-1] > 1500
    assert pictures[0] != pictures[1]
