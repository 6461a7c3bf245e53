"""Cleaning by us and by each peer, on the same files and cores, into MB/s, peak memory, and what was caught and kept.

    python scripts/bench_clean.py corpus                       # >= 150 MB, made of the texts in --data; kept in --work
    python scripts/bench_clean.py near --peer-megabytes 20     # near-duplicates: ours on both sizes, the peers on the small one
    python scripts/bench_clean.py quality                      # Gopher and C4 rules
    python scripts/bench_clean.py pipeline                     # the default rules
    python scripts/bench_clean.py memory --largest 2000        # peak memory of the default rules as the corpus grows
    python scripts/bench_clean.py all

A run is a whole command: start, reading, work, writing. MB are 10^6 bytes of input files. Memory is what all processes of a run
have resident, shared pages divided among their users (Linux' Pss), the highest of the samples taken each tenth of a second.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench_corpus import KINDS, Corpus, Planted, closest, compose, make, pieces_of
from bench_peers import NEAR, QUALITY
from bench_run import Run, ours, theirs

__all__ = ["Score", "main", "score"]

ROOT = Path(__file__).resolve().parent.parent
MB = 1e6


@dataclass(frozen=True)
class Score:
    """How near-duplicates were found, against the truth."""

    recall: Mapping[str, float]  # by language, by kind, and "j5>=.7" by language
    precision: float  # of the removed, how many were a copy or had one
    wrong: int  # removed though neither


def score(kept: frozenset[str], truth: Mapping[str, Planted]) -> Score:
    """A planted copy is caught when it and its original are not both left."""
    copies = [row for row in truth.values() if row.of]
    related = {name for row in copies for name in (row.id, row.of)}
    removed = truth.keys() - kept
    slices: dict[str, list[Planted]] = {kind: [row for row in copies if row.kind == kind] for kind in KINDS}
    for language in ("zh", "en"):
        of_language = [row for row in copies if row.language == language]
        slices |= {language: of_language, f"{language} j5>=.7": [row for row in of_language if row.j5 >= 0.7]}
    recall = {name: sum(not {row.id, row.of} <= kept for row in rows) / len(rows) for name, rows in slices.items() if rows}
    wrong = len(removed - related)
    return Score(recall, 1 - wrong / len(removed) if removed else 1.0, wrong)


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of which is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        print(
            "  " + row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)), sep="  "
        )
    sys.stdout.flush()


class Bench:
    """The sub-commands, and what they share: folders, corpora, repeats."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work: Path = options.work.resolve()
        self.failed: list[str] = []  # contestants whose command failed: told, and left out of the tables

    def corpus_of(self, megabytes: int) -> Corpus:
        """The corpus of that size, made on first use."""
        return make(self.work / f"corpus-{megabytes}", self.options.data, megabytes=megabytes, seed=self.options.seed)

    def sizes(self) -> tuple[Corpus, Corpus]:
        """The whole corpus, and the one for the peers, which is the same where no size was given for them."""
        whole = self.corpus_of(self.options.megabytes)
        return whole, self.corpus_of(self.options.peer_megabytes) if self.options.peer_megabytes else whole

    def repeated(self, contestants: Mapping[str, tuple[Corpus, Callable[[], Run]]]) -> dict[str, tuple[Corpus, Run]]:
        """Each contestant once, then each again: --repeat rounds; the median time and the highest memory."""
        runs: dict[str, list[Run]] = {name: [] for name in contestants}
        for _ in range(self.options.repeat):
            for name, (_, run) in contestants.items():
                try:
                    runs[name].append(run())
                    print(f"  {name}: {runs[name][-1].seconds:.1f} s", file=sys.stderr)
                except subprocess.CalledProcessError as error:
                    print(f"  {name} FAILED: {error}\n{error.output}", file=sys.stderr)
                    self.failed.append(name)
        return {
            name: (corpus, Run(median(r.seconds for r in runs[name]), max(r.peak for r in runs[name]), runs[name][0].kept))
            for name, (corpus, _) in contestants.items()
            if runs[name]
        }

    def contestants(self, job: str, rules: Sequence[Any], peers: Mapping[str, str]) -> dict[str, tuple[Corpus, Callable[[], Run]]]:
        """Ours on both sizes, and each chosen peer on the one for peers."""
        whole, small = self.sizes()
        found: dict[str, tuple[Corpus, Callable[[], Run]]] = {}
        for corpus in {whole.folder: whole, small.folder: small}.values():
            name, place = f"aigc, {corpus.size / MB:.0f} MB", self.work / job / corpus.folder.name
            found[name] = corpus, partial(ours, corpus.folder / "parts", place, rules)
        for peer, script in peers.items():
            if peer.split()[0] in self.options.peers:
                place = self.work / job / peer.replace(" ", "-")
                run = partial(theirs, peer, script, small.folder / "parts", place, self.options.venvs.resolve())
                found[f"{peer}, {small.size / MB:.0f} MB"] = small, run
        return found

    def corpus(self) -> None:
        """Make the corpora and tell what they hold."""
        for corpus in dict.fromkeys(self.sizes()):
            rows = corpus.truth().values()
            head = ("", "documents", "copies", *KINDS, "j5 >= .7")
            lines = [head]
            for language in ("zh", "en"):
                copies = [row for row in rows if row.language == language and row.of]
                by_kind = [sum(row.kind == kind for row in copies) for kind in KINDS]
                documents = sum(row.language == language for row in rows)
                counts = (documents, len(copies), *by_kind, sum(row.j5 >= 0.7 for row in copies))
                lines.append((language, *(f"{count:,}" for count in counts)))
            table(f"{corpus.folder}: {corpus.size / MB:.1f} MB", lines)
            print(f"  closest pair that was not planted, in a sample of 2,000 documents: j5 {closest(corpus):.2f}")

    def near(self) -> None:
        """Near-duplicates at a similarity of 0.7."""
        rules = [{"near_duplicates": {"similarity": 0.7}}]
        slices = ("zh j5>=.7", "en j5>=.7", "zh", "en", *KINDS)
        rows: list[Sequence[str]] = [("near-duplicates", "s", "MB/s", "peak MB", "precision", "wrong", *slices)]
        for name, (corpus, run) in self.repeated(self.contestants("near", rules, NEAR)).items():
            found = score(run.kept, corpus.truth())
            recall = [f"{found.recall[key]:.3f}" if key in found.recall else "" for key in slices]
            rows.append((name, *cost(corpus.size, run), f"{found.precision:.4f}", f"{found.wrong:,}", *recall))
        table("recall: copies of which it or its original was removed; precision: removed that were a copy or had one", rows)

    def quality(self) -> None:
        """Gopher's and C4's rules."""
        rules = [{"preset": "gopher"}, {"preset": "c4"}]
        rows: list[Sequence[str]] = [("quality rules", "s", "MB/s", "peak MB", "kept zh", "kept en")]
        for name, (corpus, run) in self.repeated(self.contestants("quality", rules, QUALITY)).items():
            rows.append((name, *cost(corpus.size, run), *kept_share(run.kept, corpus.truth())))
        table("all of these documents are good ones: what a rule drops of a language is a loss", rows)

    def pipeline(self) -> None:
        """The default rules."""
        whole, _ = self.sizes()
        work = self.work / "pipeline"
        rows = [("default rules", "s", "MB/s", "peak MB", "kept zh", "kept en")]
        for name, (_, run) in self.repeated({"aigc": (whole, partial(ours, whole.folder / "parts", work, None))}).items():
            rows.append((name, *cost(whole.size, run), *kept_share(run.kept, whole.truth())))
        table(f"{whole.size / MB:.0f} MB", rows)

    def memory(self) -> None:
        """Peak memory of the default rules on 20 MB, 200 MB and 2 GB of documents of which no two are alike."""
        rows = [("default rules", "s", "MB/s", "peak MB", "of the smallest", "kept")]
        first = 0.0
        for megabytes in (20, 200, 2000):
            if megabytes > self.options.largest:
                continue
            folder = self.work / f"plain-{megabytes}"
            documents = plain(folder, self.options.data, megabytes, self.options.seed)
            run = ours(folder, self.work / "memory", None)
            first = first or run.peak
            size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
            rows.append((f"{size / MB:,.0f} MB", *cost(size, run), f"x {run.peak / first:.2f}", f"{len(run.kept) / documents:.1%}"))
            if megabytes > 200:
                shutil.rmtree(folder)
            shutil.rmtree(self.work / "memory")
        table("peak memory as the corpus grows", rows)

    def all(self) -> None:
        """Every sub-command."""
        for step in (self.corpus, self.near, self.quality, self.pipeline, self.memory):
            step()


def cost(size: int, run: Run) -> tuple[str, str, str]:
    """Seconds, MB/s, peak MB."""
    return f"{run.seconds:.1f}", f"{size / MB / run.seconds:.2f}", f"{run.peak / MB:,.0f}"


def kept_share(kept: frozenset[str], truth: Mapping[str, Planted]) -> tuple[str, str]:
    """Of the documents that are no copies, how many were kept, themselves or as their copy: zh, en."""
    standing = kept | {row.of for row in truth.values() if row.of and row.id in kept}
    base = {language: [row.id for row in truth.values() if row.language == language and not row.of] for language in ("zh", "en")}
    zh, en = (f"{sum(name in standing for name in names) / max(1, len(names)):.1%}" for names in base.values())
    return zh, en


def plain(folder: Path, data: Path, megabytes: int, seed: int) -> int:
    """Write a corpus without planted copies, zh and en half each; how many documents it has."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / "plain.jsonl").open("w", encoding="utf-8") as file:
        for language, pieces in pieces_of(data).items():
            for document in compose(pieces, language, int(megabytes * MB / 2 * 0.96), seed):
                file.write(json.dumps({"id": document.id, "text": document.text}, ensure_ascii=False) + "\n")
                count += 1
    return count


def main(words: Sequence[str] | None = None) -> int:
    """Parse the command line and run a sub-command; 1 where a contestant failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["corpus", "near", "quality", "pipeline", "memory", "all"])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder with news_en.jsonl.gz and so on")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="where corpora and outputs go")
    parser.add_argument(
        "--venvs", type=Path, default=ROOT / "build" / "venvs", help="where the peers' environments are, or are made"
    )
    parser.add_argument("--megabytes", type=int, default=160, help="size of the whole corpus")
    parser.add_argument("--peer-megabytes", type=int, default=0, help="size of the corpus for the peers (default: the whole one)")
    parser.add_argument("--largest", type=int, default=2000, help="memory: the largest corpus, in MB")
    parser.add_argument("--peers", nargs="*", default=["rensa", "datatrove", "data-juicer"], help="which peers take part")
    parser.add_argument("--repeat", type=int, default=1, help="rounds; the median time counts")
    parser.add_argument("--cores", type=int, default=2, help="cores that every contestant has")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    bench = Bench(options)
    getattr(bench, options.command)()
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
