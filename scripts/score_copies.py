"""A corpus into how well copies are caught: a small GPT-2 learns documents by heart, and what it writes is judged.

    python scripts/score_copies.py news.jsonl.gz
    python scripts/score_copies.py news.jsonl.gz --documents 50 --steps 600 --held 1000 --keep runs/copies

Everything runs through the command: clean, split, pretrain, then generate (greedy, from the first characters of each document)
with the rule `copied_run: {max: 50}`, and clean with the same rule on documents that the model has not seen. What is a copy is told
by a plain search: a sample that has more than 50 characters in a row of one of the documents, white space folded. Exit code 1
where a copy passed, or was ascribed to a document that does not hold one, or 1 % of the others were taken for copies.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from aigc.core.documents.reading import Reader

__all__ = ["longest_in", "main"]

MAX = 50
BEGINNING = 24  # characters of a document that the model is given, and the rest of the word


def folded(text: str) -> str:
    """White space as single spaces."""
    return " ".join(text.split())


def beginning_of(text: str) -> str:
    """The first words of a document; half as many characters where there are no spaces between words."""
    if text.count(" ") < len(text) / 20:
        return text[: BEGINNING // 2]
    end = text.find(" ", BEGINNING)
    return text if end < 0 else text[:end]


def longest_in(text: str, documents: Mapping[str, str]) -> tuple[int, set[str]]:
    """The longest run of a text that stands in a document, in characters, and the documents that hold one as long; all folded."""
    best, owners = 0, set[str]()
    for name, document in documents.items():
        size = 0
        for at in range(len(text)):
            while at + size < len(text) and text[at : at + size + 1] in document:
                size += 1
        if size >= best:
            owners = {name} if size > best else owners | {name}
            best = size
    return best, owners


def run_aigc(path: Path, project: Mapping[str, Any], *stages: str) -> None:
    """Write a project file and run stages of it."""
    path.write_text(yaml.safe_dump(dict(project), allow_unicode=True), "utf-8")
    for stage in stages:
        command = [sys.executable, "-m", "aigc", stage, str(path)]
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            raise SystemExit(f"aigc {stage} failed on {path}")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def prepare(source: Path, folder: Path, *, documents: int, characters: int, held: int) -> None:
    """Choose documents to learn, cut so that it takes minutes, and others to hold out."""
    columns = ["id", "text", "license"]
    frames = [batch.documents for batch in Reader().read(source)]
    rows = pl.concat(frames, how="diagonal").select(name for name in columns if name in frames[0].columns).to_dicts()
    random.Random(1).shuffle(rows)
    learned = rows[: documents + documents // 8 + 2]  # a part of them goes to the validation split
    write_rows(folder / "learned.jsonl", [row | {"text": row["text"][:characters]} for row in learned])
    write_rows(folder / "held.jsonl", rows[len(learned) :][:held])


def learn(folder: Path, *, steps: int) -> dict[str, str]:
    """Train, generate; the texts that were learned, folded, by their ids."""
    project = {
        "name": "copies",
        "seed": 1,
        "runs": str(folder),
        "clean": {"input": str(folder / "learned.jsonl"), "rules": ["whitespace", "exact_duplicates"]},
        "split": {"validation": 0.08, "test": 0},
        "pretrain": {
            "tokenizer": {"vocabulary": 4096},
            "model": {"family": "gpt2", "layers": 4, "width": 192, "heads": 4, "dropout": 0.0},
            "context": 192,
            "batch_size": 4,
            "steps": steps,
            "learning_rate": 2e-3,
            "patience": None,
        },
        "generate": {
            "prompts": str(folder / "prompts.jsonl"),
            "prompt": "{beginning}",
            "max_tokens": 120,
            "temperature": 0,
            "rules": [{"copied_run": {"max": MAX}}],
        },
    }
    run_aigc(folder / "learn.yaml", project, "clean", "split", "pretrain")
    trained = pl.read_parquet(folder / "copies" / "split" / "train-*.parquet")
    texts = dict(zip(trained["id"], trained["text"], strict=True))
    write_rows(folder / "prompts.jsonl", [{"id": name, "beginning": beginning_of(text)} for name, text in texts.items()])
    run_aigc(folder / "learn.yaml", project, "generate")
    return {name: folded(text) for name, text in texts.items()}


def judge_samples(folder: Path, texts: Mapping[str, str]) -> bool:
    """Print what became of the copies among the samples; whether each was rejected with a document that holds it."""
    generated = folder / "copies" / "generate"
    rejected = read_rows(generated / "rejected.jsonl")
    samples = [*rejected, *read_rows(generated / "samples.jsonl")]
    copies = right = 0
    for row in samples:
        size, owners = longest_in(folded(row["text"]), texts)
        if size <= MAX:
            continue
        copies += 1
        named = row.get("detail", "").split(" (")[0]
        good = row.get("rule") == "copied_run" and longest_in(folded(row["text"]), {named: texts.get(named, "")})[0] > MAX
        right += good
        if not good:
            print(f"  passed, or ascribed to {named or 'none'}: {size} characters of {min(owners)}: {row['text'][:80]!r}")
    print(f"samples                                      {len(samples):6,}")
    print(f"  copies of more than {MAX} characters          {copies:6,}")
    print(f"  of these rejected with the right document  {right:6,}  {right / max(copies, 1):.1%}")
    print(f"  rejected and no copy                       {len(rejected) - right:6,}")
    return copies > 0 and right == copies


def judge_held(folder: Path, texts: Mapping[str, str]) -> bool:
    """Print how many documents that were not learned are taken for copies; whether it is fewer than 1 %."""
    rule = {"copied_run": {"max": MAX, "index": str(folder / "copies" / "pretrain" / "copies")}}
    project = {"name": "held", "runs": str(folder), "clean": {"input": str(folder / "held.jsonl"), "rules": [rule]}}
    run_aigc(folder / "held.yaml", project, "clean")
    dropped = pl.read_parquet(folder / "held" / "clean" / "ledger.parquet").filter(verdict="dropped")
    rows = {row["id"]: folded(row["text"]) for row in read_rows(folder / "held.jsonl")}
    false = [name for name in dropped["id"] if longest_in(rows[name], texts)[0] <= MAX]
    print(f"documents held out                           {len(rows):6,}")
    print(f"  taken for copies                           {len(dropped):6,}  {len(dropped) / max(len(rows), 1):.1%}")
    print(f"  of these no copies                         {len(false):6,}  {len(false) / max(len(rows), 1):.1%}")
    return len(false) < 0.01 * len(rows)


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a file of documents, as `clean.input` takes it")
    parser.add_argument("--documents", type=int, default=50, help="to learn by heart")
    parser.add_argument("--characters", type=int, default=600, help="of each that are learned")
    parser.add_argument("--held", type=int, default=1000, help="to hold out, at most")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="a new folder for all that is written")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as other:
        folder = given.keep or Path(other)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(given.source, folder, documents=given.documents, characters=given.characters, held=given.held)
        texts = learn(folder, steps=given.steps)
        met = [judge_samples(folder, texts), judge_held(folder, texts)]
    raise SystemExit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
