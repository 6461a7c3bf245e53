"""The report of the split stage into a page: whether anything leaks between the parts, how large they are, how classes spread."""

from collections.abc import Mapping
from typing import Any

from aigc.pages.charts import legend, split_bar
from aigc.pages.page import Html, Section, alert, count, document, join, number, sections, share, table, tag, tiles

__all__ = ["render"]

_KINDS = {
    "exact": "the same text in two parts",
    "near": "nearly the same text in two parts",
    "ngram13": "a run of 13 tokens in two parts",
}


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def render(report: Mapping[str, Any]) -> str:
    """A self-contained HTML page of a split report (`report.json`); keys may be missing, and what was not checked is said so."""
    parts = {str(name): _whole(size) for name, size in (report.get("parts") or {}).items()}
    documents = _whole(report["documents"]) if report.get("documents") is not None else sum(parts.values())
    clusters = report.get("clusters") or {}
    figures: list[tuple[str, object, str]] = [("Documents", documents, f"in {len(parts)} parts")]
    if clusters:
        figures += [("Clusters", _whole(clusters.get("count")), f"the largest of {count(clusters.get('largest'))}")]
    if report.get("moved") is not None:
        figures.append(("Moved", _whole(report["moved"]), "to keep a cluster in one part"))
    if report.get("passages") is not None:
        figures.append(("Shared passages", share(report["passages"], 1), "of held-out documents share 13 words with train"))
    name = report.get("name")
    top = tag(
        "header", tag("p", "aigc split", class_="kicker"), tag("h1", name or f"{count(documents)} documents in {len(parts)} parts")
    )
    warnings = list(report.get("warnings") or ())
    body = [
        Section("leaks", "Pairs that leak", _pairs(report), "The most alike first."),
        Section("parts", "Parts", _parts(report, parts, documents)),
        Section("classes", "Classes", _classes(report, parts), "How the documents of each class spread over the parts."),
    ]
    notes = [alert("warn", "Warnings", warnings)] if warnings else []
    foot = tag("footer", "aigc split.")
    page = join([top, _leaks(report), *notes, tiles(figures), sections(body), foot])
    return document(f"{name}: split" if name else "split", page, data={"documents": documents})


def _leaks(report: Mapping[str, Any]) -> Html:
    """The verdict, large: green only where something was checked and nothing was found."""
    checked = {str(kind): _whole(found) for kind, found in (report.get("leaks") or {}).items() if found is not None}
    pairs = len(report.get("leak_pairs") or ())
    total = sum(checked.values()) or pairs
    lines = [
        f"{count(found)} {kind}: {_KINDS.get(kind, kind)}" if kind in _KINDS else f"{count(found)} {kind}"
        for kind, found in checked.items()
    ]
    lines += [f"{kind}: not checked" for kind, found in (report.get("leaks") or {}).items() if found is None]
    if total:
        box = alert("bad large", f"{count(total)} leak{'' if total == 1 else 's'}", lines)
    elif checked:
        box = alert("good large", "0 leaks", lines)
    else:
        return alert("warn", "Leaks between the parts were not checked.")
    return box


def _parts(report: Mapping[str, Any], parts: Mapping[str, int], documents: int) -> Html:
    if not parts:
        return alert("plain", "No parts.")
    whole = sum(parts.values()) or documents
    asked = {name: value for name, value in (report.get("shares") or {}).items() if isinstance(value, int | float)}
    if all(abs(value * whole - parts.get(name, 0)) < 1 for name, value in asked.items()):
        asked = {}  # as it came out
    rows = []
    for place, (name, size) in enumerate(parts.items()):
        wanted = asked.get(name)
        label = join([tag("span", "■ ", class_=f"c{place % 5}"), name])
        row: list[object] = [label, count(size), share(size, whole)]
        rows.append([*row, share(wanted, 1) if wanted is not None else "–"] if asked else row)
    head = ["part", "documents", "share", *(["asked for"] if asked else [])]
    gap = documents - sum(parts.values())
    note = alert("bad", f"Does not add up: {count(documents)} documents, {count(sum(parts.values()))} in the parts.") if gap else ""
    return join([split_bar(list(parts.items())), note, tag("div", table(head, rows, numeric=(1, 2, 3)), style="margin-top:14px")])


def _pairs(report: Mapping[str, Any]) -> Html:
    pairs = sorted(report.get("leak_pairs") or (), key=lambda pair: -float(pair.get("similarity") or 0))
    if not pairs:
        return Html()
    rows = [
        [pair.get("part"), _id(pair.get("id")), pair.get("other_part"), _id(pair.get("other")), number(pair.get("similarity"))]
        for pair in pairs[:200]
    ]
    caption = f"the first 200 of {count(len(pairs))}" if len(pairs) > 200 else ""
    return table(["part", "document", "part", "document", "similarity"], rows, numeric=(4,), caption=caption)


def _id(value: object) -> Html:
    return tag("span", value, class_="id")


def _classes(report: Mapping[str, Any], parts: Mapping[str, int]) -> Html:
    classes = report.get("classes") or {}
    if not classes:
        return Html()
    names = list(parts) or list(dict.fromkeys(name for sizes in classes.values() for name in sizes))
    rows = []
    for label, sizes in sorted(classes.items(), key=lambda one: -sum(map(_whole, one[1].values()))):
        amounts = [_whole(sizes.get(name)) for name in names]
        cells = [join([count(amount), tag("small", share(amount, sum(amounts)))]) for amount in amounts]
        rows.append(
            [
                label,
                tag("div", split_bar(list(zip(names, amounts, strict=True))), style="min-width:120px;padding-top:5px"),
                *cells,
                count(sum(amounts)),
            ]
        )
    return join([legend(names), table(["class", "spread", *names, "documents"], rows, numeric=range(2, len(names) + 3))])
