"""The pages in a real browser: they have a height, fit a phone, show their text and are not blank."""

import shutil
import struct
import subprocess
import zlib
from html import escape
from pathlib import Path

import pytest
from page_reports import clean_report, split_report
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages import clean, split

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
BROWSER = next((path for path in map(shutil.which, NAMES) if path), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser here (looked for {', '.join(NAMES)})")


def browse(folder: Path, html: str, *arguments: str) -> str:
    """What headless Chromium prints about a page."""
    page = folder / "page.html"
    page.write_text(html, "utf-8")
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    command += [f"--user-data-dir={folder / 'profile'}", *arguments, page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-500:]
    return done.stdout.decode("utf-8")


def drawn_rows(png: bytes) -> list[int]:
    """The rows of a picture that are not of one colour, from the top; a row that is the same as the one above may be left out."""
    width, height, _, colour = struct.unpack(">IIBB", png[16:26])
    pixel = {2: 3, 6: 4}[colour]
    data = zlib.decompress(b"".join(chunks(png)))
    stride = width * pixel + 1
    rows = [data[start : start + stride] for start in range(0, height * stride, stride)]
    return [y for y, row in enumerate(rows) if len(set(row[1:])) > (2 * pixel if row[0] == 0 else pixel + 1)]


def chunks(png: bytes) -> list[bytes]:
    """The compressed data of a PNG file, in order."""
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            found.append(png[at + 8 : at + 8 + length])
        at += length + 12
    return found


def test_a_browser_lays_the_pages_out_and_runs_nothing_of_the_data(tmp_path: Path) -> None:
    report = clean_report(sample=2000)
    report["warnings"] = ["<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"]
    pages = {"clean": clean.render(report), "split": split.render(split_report(leaks=True))}
    frames = "".join(
        f'<iframe name="{name}-{width}" width="{width}" height="600" style="border:0" srcdoc="{escape(html)}"></iframe>'
        for name, html in pages.items()
        for width in (400, 1200)
    )
    script = """
    onload = () => document.querySelectorAll("iframe").forEach(frame => {
        const page = frame.contentDocument, root = page.documentElement, box = document.createElement("pre");
        box.textContent = [frame.name, root.scrollWidth, root.scrollHeight, page.title, page.body.innerText].join("|");
        frame.replaceWith(box);
    })"""
    dom = HTMLParser(browse(tmp_path, f"<!doctype html>{frames}<script>{script}</script>", "--dump-dom", "--window-size=1300,900"))
    shown = {}
    for box in dom.css("pre"):
        name, width, height, title, text = box.text().split("|", 4)
        shown[name] = text
        assert int(width) <= int(name.rpartition("-")[2]), f"{name} must be scrolled sideways"
        assert int(height) > (2_500 if name.startswith("clean") else 800), f"{name} has no height"
        assert title == name.partition("-")[0], "what the data asks for did not run"
    assert len(shown) == 4
    assert all("港务委员会" in text and "near_duplicates" in text for name, text in shown.items() if name.startswith("clean"))
    assert "4 leaks" in shown["split-400"]


def test_a_picture_of_the_page_is_not_blank(tmp_path: Path) -> None:
    browse(tmp_path, clean.render(clean_report()), f"--screenshot={tmp_path / 'page.png'}", "--window-size=1000,2000")
    rows = drawn_rows((tmp_path / "page.png").read_bytes())
    assert len(rows) > 500, "most rows of a full page have something on them"
    assert rows[0] < 100 and rows[-1] > 1900, "from the top to the end of the window"
