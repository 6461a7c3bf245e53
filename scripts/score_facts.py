"""News items with facts and a checkpoint into whether published texts carry their facts unchanged, and whether the others say why.

    python scripts/score_facts.py CHECKPOINT
    python scripts/score_facts.py CHECKPOINT --languages zh --ways begun --count 4 --retries 8 --keep runs/facts

Everything runs through `aigc generate`, on the 25 Chinese and 25 English items of `samples:prompts/facts.jsonl` or on your own, in
two ways: `asked`, where the prompt lists the facts, and `begun`, where the text begins with a sentence that states them as well.
Then, without any rule of aigc: width and white space folded, each fact of an accepted row must stand in its text as a string; each
one that does not stand in a rejected row's text must be named in its `detail`, and so must a number that no fact has. Exit code 1
where that is not so. A text that is little more than its first sentence is no report: it is rejected as too short.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from aigc.core.documents.files import expand
from aigc.core.documents.reading import rows_of

__all__ = ["BEGINS", "FACTS", "PROMPTS", "RULES", "Tally", "faults", "fold", "main"]

BUNDLED = "samples:prompts/facts.jsonl"
FACTS = ["who", "when", "where", "amount"]
PROMPTS = {
    "zh": "请根据以下事实写一则新闻。\n- {role}：{who}\n- {when}\n- {where}\n- {measure}：{amount}\n\n# {title}\n\n",
    "en": "Write a news report with these facts.\n- {who}, {role}\n- {when}\n- {where}\n- {measure}: {amount}\n\n# {title}\n\n",
}
BEGINS = {
    "zh": "{where}{when}电 {title}。{role}{who}介绍，{measure}为{amount}。",
    "en": "{where}, {when} – {title}. {who}, {role}, put {measure} at {amount}.",
}
RULES: list[Any] = [
    "whitespace",
    "finish_sentence",
    "spacing",
    {"missing_facts": FACTS},
    {"invented_numbers": {"fields": ["title", *FACTS], "max": 0}},
    {"words": {"min": {"en": 50, "zh": 80}}},
]
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
Row = Mapping[str, Any]


def narrow(text: str) -> str:
    """Full-width characters as half-width ones."""
    return "".join(
        unicodedata.normalize("NFKC", one) if unicodedata.decomposition(one).startswith("<wide>") else one for one in text
    )


def fold(text: str) -> str:
    """The same without white space, with one kind of apostrophe."""
    return "".join(narrow(text).split()).replace("’", "'")


def absent(item: Row, text: str) -> list[str]:
    """The facts that do not stand in a text, as `detail` names them."""
    plain = fold(text)
    return [f"{name}: {item[name]}" for name in FACTS if fold(str(item[name])) not in plain]


def strange(item: Row, text: str) -> list[str]:
    """The numbers in digits that no fact and not the title has."""
    known = {number for name in ("title", *FACTS) for number in NUMBER.findall(narrow(str(item[name])))}
    return [number for number in NUMBER.findall(narrow(text)) if number not in known]


def faults(item: Row, row: Row) -> Iterator[str]:
    """What is wrong with the verdict on a row, accepted or rejected, in words."""
    lost = absent(item, row["text"])
    if "rule" not in row:
        yield from (f"published without {fact}" for fact in lost)
        return
    named = row.get("detail", "").split("; ")
    if row["rule"] == "missing_facts":
        given = {f"{name}: {item[name]}" for name in FACTS}
        yield from (f"rejected, and not for {fact}" for fact in lost if fact not in named)
        yield from (f"rejected for {fact!r}, which was not given" for fact in named if fact not in given)
    elif row["rule"] == "invented_numbers":
        known = {fold(number) for name in ("title", *FACTS) for number in NUMBER.findall(narrow(str(item[name])))}
        plain = fold(row["text"])
        yield from (f"rejected as a number was invented, but {fact} is missing" for fact in lost)
        yield from (f"rejected for {one!r}, which is not in the text" for one in named if fold(one) not in plain)
        yield from (f"rejected for {one!r}, which was given" for one in named if fold(one) in known)
    elif row["rule"] == "words":
        yield from (f"rejected as too short, but {fact} is missing" for fact in lost)
    else:
        yield f"rejected by {row['rule']}, which is none of the rules"


@dataclass
class Tally:
    """What became of the samples of one run."""

    samples: int = 0
    accepted: int = 0
    tries: Counter[int] = field(default_factory=Counter)  # of accepted samples
    rules: Counter[str] = field(default_factory=Counter)  # of rejected tries
    facts: Counter[str] = field(default_factory=Counter)  # fields that they lack
    stricter: int = 0  # facts that are named, and stand in the text inside a longer number or name
    own: list[int] = field(default_factory=list)  # characters of accepted texts that the model wrote
    strange: int = 0  # accepted texts with digits that were not given: in names such as A380, in the numbers of a list
    faults: list[str] = field(default_factory=list)

    def add(self, item: Row, row: Row) -> None:
        """Take in a row of samples.jsonl or rejected.jsonl."""
        self.faults += [f"{row['id']}: {fault}" for fault in faults(item, row)]
        if "rule" not in row:
            self.accepted += 1
            self.tries[row.get("try", 0)] += 1
            self.own.append(len(fold(row["text"])) - len(fold(row.get("begin", ""))))
            self.strange += bool(strange(item, row["text"]))
            return
        self.rules[row["rule"]] += 1
        if row["rule"] == "missing_facts":
            named = row["detail"].split("; ")
            self.facts.update(one.partition(":")[0] for one in named)
            self.stricter += len(set(named) - set(absent(item, row["text"])))


def tally(folder: Path, items: Mapping[str, Row], *, count: int, retries: int) -> Tally:
    """The rows of a run, all of which there must be: each sample is accepted once, or rejected in every try."""
    found = Tally(samples=count * len(items))
    fates = dict[str, list[str]]()
    for name in ("samples", "rejected"):
        for line in (folder / f"{name}.jsonl").read_text("utf-8").split("\n"):
            if line:
                row = json.loads(line)
                found.add(items[row["id"].rpartition("-")[0]], row)
                fates.setdefault(row["id"], []).append(name)
    expected = {f"{name}-{number}" for name in items for number in range(count)}
    found.faults += [f"{name}: no row tells what became of it" for name in sorted(expected - fates.keys())]
    for name, fate in fates.items():
        if fate[:1] != ["samples"] and len(fate) != retries + 1:
            found.faults.append(f"{name}: neither accepted nor rejected {retries + 1} times")
    return found


def generate(folder: Path, items: Sequence[Row], language: str, way: str, given: argparse.Namespace) -> Path:
    """Run `aigc generate`; the folder with its rows."""
    path = folder / f"{language}.jsonl"
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), "utf-8")
    section = {
        "checkpoint": given.checkpoint,
        "prompts": str(path),
        "prompt": PROMPTS[language],
        "begin": BEGINS[language] if way == "begun" else "",
        "stop": ["\n#"],
        "count": given.count,
        "retries": given.retries,
        "engine": given.engine,
        "max_tokens": given.tokens,
        "min_tokens": given.tokens // 3,
        "temperature": given.temperature,
        "top_p": 0.9,
        "rules": RULES,
    }
    project = {"name": f"{language}-{way}", "seed": given.seed, "runs": str(folder / "runs"), "generate": section}
    config = folder / f"{language}-{way}.yaml"
    config.write_text(yaml.safe_dump(project, allow_unicode=True, sort_keys=False), "utf-8")
    if subprocess.run([sys.executable, "-m", "aigc", "generate", str(config)], stdout=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit(f"aigc generate failed on {config}")
    return folder / "runs" / project["name"] / "generate"


def told(found: Tally) -> str:
    """The figures of a run."""

    def listed(counter: Counter[Any]) -> str:
        return ", ".join(f"{name} {number:,}" for name, number in counter.most_common()) or "none"

    tries = ", ".join(f"{number} in try {attempt + 1}" for attempt, number in sorted(found.tries.items())) or "none"
    share = found.accepted / max(found.samples, 1)
    return "\n".join(
        [
            f"samples                         {found.samples:6,}",
            f"  accepted                      {found.accepted:6,}  {share:.1%}  ({tries})",
            f"    characters of the model's own {median(found.own) if found.own else 0:4.0f}  (median, white space aside)",
            f"    with a number of its own    {found.strange:6,}",
            f"  tries rejected                {found.rules.total():6,}  by rule: {listed(found.rules)}",
            f"  facts that these lack         {found.facts.total():6,}  by field: {listed(found.facts)}",
            f"    inside a longer name/number {found.stricter:6,}",
            f"verdicts that are wrong         {len(found.faults):6,}",
            *(f"  {fault}" for fault in found.faults[:20]),
        ]
    )


def main() -> None:
    """Generate, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--facts", default=BUNDLED, help=f"a file of rows with language, title, role, measure, {', '.join(FACTS)}")
    parser.add_argument("--languages", nargs="+", default=["zh", "en"], choices=["zh", "en"])
    parser.add_argument("--ways", nargs="+", default=["asked", "begun"], choices=["asked", "begun"])
    parser.add_argument("--count", type=int, default=1, help="texts of each item")
    parser.add_argument("--retries", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a new folder for all that is written")
    given = parser.parse_args()
    rows = [row for path in expand([given.facts]) for _, row in rows_of(path)]
    met = True
    with tempfile.TemporaryDirectory() as other:
        folder = given.keep or Path(other)
        folder.mkdir(parents=True, exist_ok=True)
        for language in given.languages:
            items = {str(row["id"]): row for row in rows if isinstance(row, dict) and row["language"] == language}
            for way in given.ways:
                began = time.monotonic()
                written = generate(folder, list(items.values()), language, way, given)
                found = tally(written, items, count=given.count, retries=given.retries)
                met = met and not found.faults
                print(f"{language}, {way}: {time.monotonic() - began:.0f} s\n{told(found)}\n", flush=True)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
