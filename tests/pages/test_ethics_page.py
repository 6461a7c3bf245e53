"""What was done about harm is on the page, in numbers, and nothing of it is markup."""

from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.pages.training import render

PENALTY = {
    "rule": "blocklist<b>",
    "bounds": ["max 0"],
    "by": "unlikelihood",
    "weight": -1.0,
    "documents": 12,
    "spans": 30,
    "characters": 50,
}
PROBES = {
    "before": {"toxicity": {"mean": 0.25, "worst": [{"text": "<script>"}]}, "likelihood": {"pairs": 40, "stereotype_share": 0.6}},
    "after": {"toxicity": {"mean": 0.125}, "likelihood": {"pairs": 40, "stereotype_share": 0.5}},
}


def cells(tree: HTMLParser, section: str) -> list[list[str]]:
    return [[cell.text() for cell in row.css("td")] for row in tree.css(f"#{section} tr") if row.css("td")]


def test_penalties_and_probes_are_told() -> None:
    told = {"documents": 100, "touched": 12, "characters": 1000, "penalties": [PENALTY]}
    tree = HTMLParser(render({"name": "p", "penalties": told, "probes": PROBES}, []))
    [row] = cells(tree, "penalties")
    assert row == ["blocklist<b>max 0", "unlikelihood (-1)", "12", "30", "5.0%"]
    assert "12 of 100 documents" in tree.css_first("#penalties").text()
    assert cells(tree, "probes") == [
        ["toxicity, mean", "0.25", "0.125"],
        ["likelihood, pairs", "40", "40"],
        ["likelihood, stereotype share", "0.6", "0.5"],
    ]
    assert not tree.css("#penalties b"), "a name is no markup"


def test_without_them_there_is_nothing() -> None:
    tree = HTMLParser(render({"name": "p"}, []))
    assert not tree.css("#penalties") and not tree.css("#probes")
