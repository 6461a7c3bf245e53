"""A dirty corpus and the key of its faults into figures: what `aigc clean` kept, mended and dropped, what `aigc split` leaked.

    python scripts/score_clean.py dirty.jsonl.gz dirty.key.json.gz                       # the default rules
    python scripts/score_clean.py dirty.jsonl.gz dirty.key.json.gz --config my.yaml      # the rules of a project file
    python scripts/score_clean.py dirty.jsonl.gz dirty.key.json.gz --run runs/mine --misses 3

Exit code 1 where a figure is not met. The key maps an id to its kind and more; README of the data says which kinds there are.
"""

import argparse
import gzip
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from score_split import leaks, moved, parts_of, random_parts, run_aigc

__all__ = ["Drop", "Figure", "Outcome", "figures", "main", "outcome_of"]

NOISE = ("gibberish", "repetition", "short", "table_noise", "boilerplate")
SAME = ("good", "exact_dup", "exact_dup_ws", "html", "mojibake")  # once mended, their texts are the original's
CHROME = ("<html", "<head", "<body", "<nav", "<footer", "<script", "</p>", "var a=", "home | news | sport", "cookie policy",
          "all rights reserved")  # fmt: skip


@dataclass(frozen=True)
class Drop:
    """Why a document went: a row of the ledger."""

    rule: str
    value: float | None = None
    keeper: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What went in and what came of it, by document id."""

    dirty: Mapping[str, str]
    key: Mapping[str, Mapping[str, Any]]
    left: Mapping[str, str]  # the texts that came out
    drops: Mapping[str, Drop]

    def of_kind(self, *kinds: str) -> list[str]:
        """The ids of some kinds."""
        return [name for name, entry in self.key.items() if entry["kind"] in kinds]

    def original(self, name: str) -> str:
        """The first document of the group: itself where it is of no other."""
        seen = {name}
        while "of" in self.key[name] and self.key[name]["of"] in self.key and self.key[name]["of"] not in seen:
            name = self.key[name]["of"]
            seen.add(name)
        return name

    def groups(self) -> dict[str, list[str]]:
        """An original and all that was made of it. A `half` stands for nothing but itself: it lacks the other half."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name, entry in self.key.items():
            groups[name if entry["kind"] == "half" else self.original(name)].append(name)
        return dict(groups)

    def equal_left(self, group: Iterable[str], text: str) -> list[str]:
        """Those of a group that came out with this text, but for white space."""
        return [name for name in group if name in self.left and folded(self.left[name]) == folded(text)]


@dataclass(frozen=True)
class Figure:
    """A row of the table: a share of `total` documents, or a count (`total` None), beside what is wanted of it."""

    name: str
    hits: int
    total: int | None = None
    wanted: float | None = None  # the least share, or the highest count; None: only told
    note: str = ""
    misses: Sequence[str] = ()  # ids

    @property
    def met(self) -> bool:
        """Whether the figure is as wanted. A share of nothing is met."""
        if self.wanted is None or self.total == 0:
            return True
        return self.hits <= self.wanted if self.total is None else self.hits >= self.wanted * self.total

    def row(self) -> tuple[str, str, str, str, str]:
        """Name, figure, wanted, met, note."""
        if self.total is None:
            figure, wanted = f"{self.hits:,}", "" if self.wanted is None else f"{self.wanted:,.0f}"
        else:
            share = f"{self.hits / self.total:.2%} " if self.total else ""
            figure, wanted = f"{share}({self.hits:,}/{self.total:,})", "" if self.wanted is None else f">= {self.wanted:.0%}"
        return self.name, figure, wanted, "" if self.wanted is None else "yes" if self.met else "NO", self.note


def folded(text: str) -> str:
    """The text with every run of white space as one space: words that were glued together are a difference."""
    return " ".join(text.split())


def _share(name: str, of: Sequence[str], misses: Sequence[str], wanted: float | None, note: str = "") -> Figure:
    return Figure(name, len(of) - len(misses), len(of), wanted, note, misses)


def figures(outcome: Outcome) -> list[Figure]:
    """All figures of cleaning."""
    groups = outcome.groups()
    found = [*_good(outcome, groups), _one_of_each(outcome, groups)]
    for rate, wanted in ((0.05, 0.98), (0.12, 0.70)):
        pairs = [name for name in outcome.of_kind("near_dup") if outcome.key[name].get("rate") == rate]
        missed = [name for name in pairs if name in outcome.left and _standing(outcome, groups, name)]
        found.append(_share(f"near_dup {rate:g}: one of the pair gone", pairs, missed, wanted))
    for kind in ("html", "mojibake"):
        found.append(_mended(outcome, groups, kind))
    for kind in NOISE:
        names = outcome.of_kind(kind)
        found.append(_share(f"{kind} dropped", names, [name for name in names if name in outcome.left], 0.98))
    halves = outcome.of_kind("half")
    left = [name for name in halves if name in outcome.left]
    found.append(_share("half: it or its whole gone", halves, [n for n in left if _standing(outcome, groups, n)], None))
    return [*found, *_left_in_output(outcome)]


def _standing(outcome: Outcome, groups: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """Documents left with the text of the original that `name` was made of."""
    original = outcome.original(name)
    return outcome.equal_left(groups[original], outcome.dirty[original])


def _good(outcome: Outcome, groups: Mapping[str, Sequence[str]]) -> list[Figure]:
    good = outcome.of_kind("good")
    itself = [name for name in good if name in outcome.left]
    changed = [name for name in itself if folded(outcome.left[name]) != folded(outcome.dirty[name])]
    gone = [name for name in good if name not in outcome.left]
    unrepresented = [name for name in gone if not any(member in outcome.left for member in groups[name])]
    by_keeper = sum(1 for name in unrepresented if (drop := outcome.drops.get(name)) and drop.keeper)
    rules = Counter(outcome.drops[name].rule for name in unrepresented if name in outcome.drops)
    note = f"{len(gone) - len(unrepresented):,} by another of the group; lost to {dict(rules.most_common(5))}"
    return [
        _share("good kept (it, or one made of it)", good, unrepresented, 0.99, note),
        _share("good kept, unchanged", good, [*unrepresented, *changed], 0.99, f"{len(changed):,} changed"),
        _share("good kept under its own id", good, gone, None, f"{by_keeper:,} lost as repeating a document of no kin"),
    ]


def _one_of_each(outcome: Outcome, groups: Mapping[str, Sequence[str]]) -> Figure:
    """One text of the original is left, or none where a near-duplicate or a redacted copy has taken its place."""
    with_copies = sorted({outcome.original(name) for name in outcome.of_kind("exact_dup", "exact_dup_ws")})
    missed: list[str] = []
    twice = 0
    for original in with_copies:
        same = _standing(outcome, groups, original)
        twice += len(same) > 1
        if len(same) > 1 or not any(name in outcome.left for name in groups[original]):
            missed.append(original)
    note = f"{twice:,} left more than once, {len(missed) - twice:,} lost altogether"
    return _share("exact duplicates: one of each group left", with_copies, missed, 1.0, note)


def _mended(outcome: Outcome, groups: Mapping[str, Sequence[str]], kind: str) -> Figure:
    """Came out as the original's text, or was dropped as a repetition while one with that text stays."""
    names = outcome.of_kind(kind)
    missed: list[str] = []
    for name in names:
        original = outcome.original(name)
        wanted = outcome.key[name].get("clean", outcome.dirty[original])
        drop = outcome.drops.get(name)
        if name in outcome.left:
            mended = folded(outcome.left[name]) == folded(wanted)
        else:
            mended = drop is not None and drop.keeper is not None and bool(outcome.equal_left(groups[original], wanted))
        if not mended:
            missed.append(name)
    left = sum(1 for name in names if name in outcome.left)
    return _share(f"{kind} restored", names, missed, 0.95, f"{left:,} left, the others repeat what is left")


def _left_in_output(outcome: Outcome) -> list[Figure]:
    everything = "\0".join(outcome.left.values())
    pii = outcome.of_kind("pii")
    secrets = sorted({secret for name in pii for secret in outcome.key[name]["secrets"]})
    found = [secret for secret in secrets if secret in everything]
    holders = [name for name, text in outcome.left.items() if any(secret in text for secret in found)] if found else []
    chrome = [
        name
        for name, text in outcome.left.items()
        if any(mark in text.lower() and not (outcome.key[name]["kind"] in ("good", "half") and mark in outcome.dirty[name].lower())
               for mark in CHROME)
    ]  # fmt: skip
    gone = [name for name in pii if name not in outcome.left and not outcome.drops.get(name, Drop("")).keeper]
    return [
        Figure("secrets left in the output", len(found), None, 0, f"of {len(secrets):,}", holders),
        _share("pii documents kept, or repeat one that is", pii, gone, None),
        Figure("documents with HTML or page furniture left", len(chrome), None, 0, "", chrome),
    ]


def outcome_of(folder: Path, dirty: Mapping[str, str], key: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """Read a finished clean stage."""
    documents = pl.concat([pl.read_parquet(path, columns=["id", "text"]) for path in sorted(folder.glob("documents-*.parquet"))])
    dropped = pl.read_parquet(folder / "ledger.parquet").filter(verdict="dropped").select("id", "rule", "value", "keeper")
    drops = {name: Drop(*rest) for name, *rest in dropped.iter_rows()}
    return Outcome(dirty, key, dict(documents.iter_rows()), drops)


def split_figures(outcome: Outcome, run: Path, scratch: Path, source: Path, clean: Mapping[str, Any]) -> list[Figure]:
    """Leaks of our split and of a random one, on cleaned and on uncleaned rows; what moves when a fifth is added."""
    texts, part_of = parts_of(run / "split")
    raw_texts, raw_parts = parts_of(run_aigc(scratch / "raw", source, {"rules": []}, "clean", "split") / "split")
    dirty = {name: text for name, text in outcome.dirty.items() if text.strip()}
    with gzip.open(source, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    grown = scratch / "grown.jsonl"
    grown.write_text("".join(lines[: len(lines) * 4 // 5]), "utf-8")
    _, before = parts_of(run_aigc(scratch / "before", grown, clean, "clean", "split") / "split")
    grown.write_text("".join(lines), "utf-8")
    _, after = parts_of(run_aigc(scratch / "after", grown, clean, "clean", "split") / "split")
    went = moved(before, after)
    ours, raw = leaks(texts, part_of), leaks(raw_texts, raw_parts)
    held = sum(part != "train" for part in part_of.values())
    return [
        Figure("split leaks, cleaned rows", len(ours), None, 0, f"of {held:,} held-out documents", ours),
        Figure("split leaks, uncleaned rows", len(raw), None, 0, "clean with `rules: []`", raw),
        Figure("  random split, cleaned rows", len(leaks(texts, random_parts(list(texts), part_of)))),
        Figure("  random split, uncleaned rows", len(leaks(dirty, random_parts(list(dirty), part_of)))),
        Figure("documents that moved when 20 % were added", len(went), None, 0, f"of {len(before):,}", went),
    ]


def show(outcome: Outcome, found: Sequence[Figure], misses: int) -> None:
    """Print the figures, the drops by kind and rule, and examples of what went wrong."""
    rows = [("figure", "is", "wanted", "met", ""), *(figure.row() for figure in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[4]}")
    print("\ndropped, by kind and rule:")
    for kind in sorted({entry["kind"] for entry in outcome.key.values()}):
        names = outcome.of_kind(kind)
        rules = Counter(outcome.drops[name].rule for name in names if name in outcome.drops)
        told = ", ".join(f"{rule} {count:,}" for rule, count in rules.most_common()) or "nothing"
        print(f"  {kind:<13} {sum(rules.values()):>6,} of {len(names):>6,}: {told}")
    for figure in found if misses else ():
        for name in figure.misses[:misses]:
            drop = outcome.drops.get(name)
            why = f"dropped by {drop.rule} (value {drop.value}, keeper {drop.keeper})" if drop else "kept"
            text = outcome.left.get(name, outcome.dirty.get(name, ""))
            print(f"\n--- {figure.name}: {name}, {outcome.key.get(name, {}).get('kind')}, {why}\n{text[:300]!r}")


def main(words: Sequence[str] | None = None) -> int:
    """Run, score, print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dirty", type=Path, help="JSON lines, gzipped: id, text")
    parser.add_argument("key", type=Path, help="JSON, gzipped: id -> kind, of, secrets, clean, rate")
    parser.add_argument("--run", type=Path, help="the run folder; made there if it has no finished clean stage, else only scored")
    parser.add_argument("--config", type=Path, help="a project file whose clean section is taken (its input aside)")
    parser.add_argument("--misses", type=int, default=0, help="examples to print for each figure")
    parser.add_argument("--no-split", action="store_true", help="leave the split out")
    options = parser.parse_args(words)
    with gzip.open(options.dirty, "rt", encoding="utf-8") as file:
        dirty = {row["id"]: row["text"] for row in map(json.loads, file)}
    with gzip.open(options.key, "rt", encoding="utf-8") as file:
        key = json.load(file)
    clean: dict[str, Any] = yaml.safe_load(options.config.read_text("utf-8"))["clean"] if options.config else {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        run: Path = (options.run or scratch / "run").resolve()
        missing = [
            stage for stage in ("clean", "split")[: 1 if options.no_split else 2] if not (run / stage / "manifest.json").exists()
        ]
        run_aigc(run, options.dirty.resolve(), clean, *missing)
        outcome = outcome_of(run / "clean", dirty, key)
        found = figures(outcome)
        if not options.no_split:
            found += split_figures(outcome, run, scratch, options.dirty.resolve(), clean)
    show(outcome, found, options.misses)
    return 0 if all(figure.met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
