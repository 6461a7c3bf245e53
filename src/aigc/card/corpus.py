"""What a model learned from, and what was done to it before, into the card's section on data."""

from collections.abc import Mapping
from typing import Any

from aigc.card import markdown as md
from aigc.card.facts import Data
from aigc.card.front import languages_of
from aigc.licences import licence_of

__all__ = ["corpus"]

SHOWN = 20  # rows of a table that data make long
Report = Mapping[str, Any]


def corpus(data: Data, clean: Report, split: Report, training: Report) -> str:
    """Sources and licences, languages, what cleaning and the split did, and what training read.

    Args:
        clean, split, training: report.json of each stage; what they lack is left out.
    """
    rows = [(s or "(not told)", w or "(not told)", licence_of(w).kind.value, n, c) for s, w, n, c in data.sources[:SHOWN]]
    parts = [
        f"{data.documents:,} documents of the training split, by source and licence:",
        md.table(["source", "licence", "kind", "documents", "characters"], rows),
    ]
    if len(data.sources) > SHOWN:
        rest = data.sources[SHOWN:]
        parts.append(f"And {len(rest):,} more sources and licences with {sum(one[2] for one in rest):,} documents.")
    languages = languages_of(clean)
    if languages:
        whole = sum(languages.values())
        told = ", ".join(f"{md.inline(name)} {kept:,} ({md.share(kept, whole)})" for name, kept in list(languages.items())[:SHOWN])
        parts.append(f"Documents by language, as cleaning took them: {told}.")
    parts += [_cleaning(clean), _splitting(split), _read(training)]
    return "\n\n".join(part for part in parts if part)


def _cleaning(clean: Report) -> str:
    if not clean:
        return ""
    counts = ", ".join(f"{int(clean.get(name) or 0):,} {name}" for name in ("read", "kept", "dropped", "failed"))
    rows = []
    for step in clean.get("steps") or ():
        changed, dropped = (sum((step.get(name) or {}).values()) for name in ("edited", "dropped"))
        rows.append((str(step.get("rule")), int(step.get("seen") or 0), changed, dropped))
    told = md.table(["rule", "documents seen", "changed", "dropped"], rows) if rows else "No rule was applied."
    return f"**Cleaning.** {counts}.\n\n{told}"


def _splitting(split: Report) -> str:
    if not split:
        return ""
    parts = ", ".join(f"{int(count):,} {md.inline(name)}" for name, count in (split.get("parts") or {}).items())
    clusters, leaks = split.get("clusters") or {}, split.get("leaks") or {}
    lines = [f"**Split.** {parts}."]
    if clusters:
        by = [md.inline(one) for one in clusters.get("group_by") or ()]
        also = f" and by {', '.join(by)}" if by else ""
        lines.append(
            f"Documents that belong together ({md.inline(clusters.get('found_by') or 'copies')}{also}) stay in one part: "
            f"{int(clusters.get('documents') or 0):,} in {int(clusters.get('count') or 0):,} groups."
        )
    if leaks:
        lines.append(
            f"Leak check: of the documents of validation and test, {int(leaks.get('exact') or 0):,} have an exact copy "
            f"and {int(leaks.get('near') or 0):,} a near one in another part."
        )
    return " ".join(lines)


def _read(report: Report) -> str:
    told = report.get("training") or {}
    if not told:
        return ""
    counts = {name: value for name, value in told.items() if isinstance(value, int) and not isinstance(value, bool) and value}
    shown = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in counts.items() if name != "bins")
    learned = told.get("label_share")
    return f"**What training read.** {shown}" + (f"; {learned:.1%} of the tokens are learned." if learned is not None else ".")
