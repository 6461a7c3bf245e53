"""Texts that repeat each other, and plain-Python answers to what they share, for the tests of the duplicates rules."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl

from aigc.core.documents.reading import Batch
from aigc.core.rules.corpus import Account, clean_corpus
from aigc.core.rules.rule import Rule

__all__ = ["Cleaned", "clean", "containment", "copies", "edited", "grams", "jaccard", "roots", "text_of", "units"]

Row = tuple[str, str]
Gram = tuple[str, ...]

EN = [
    f"{a}{b}{c}" for a in "bcdfgklmnprst" for b in ("a", "e", "ing", "o", "u") for c in ("ck", "d", "l", "m", "n", "r", "st", "t")
]
ZH = [chr(0x4E00 + 7 * i) for i in range(1200)]


def units(text: str) -> list[str]:
    """Words and single Han characters of a text that has no others, nor apostrophes or hyphens."""
    return re.findall(r"[一-鿿]|[a-z0-9]+", text.lower())


@cache
def grams(text: str, n: int) -> frozenset[Gram]:
    """The set of n-grams; of a text of fewer than n units, its units."""
    found = units(text)
    return frozenset(tuple(found[i : i + n]) for i in range(max(len(found) - n + 1, min(len(found), 1))))


def jaccard(a: str, b: str, n: int) -> float:
    """|A and B| / |A or B|; 0 where both are empty."""
    one, other = grams(a, n), grams(b, n)
    return len(one & other) / max(len(one | other), 1)


def containment(part: str, whole: str, n: int) -> float:
    """|A and B| / |A|; 0 where A is empty."""
    one = grams(part, n)
    return len(one & grams(whole, n)) / max(len(one), 1)


def roots(pairs: Sequence[tuple[int, int]], rows: int) -> list[int]:
    """The smallest row that each row is linked to, by repainting: slow and plain."""
    paint = list(range(rows))
    for a, b in pairs:
        old, new = max(paint[a], paint[b]), min(paint[a], paint[b])
        paint = [new if one == old else one for one in paint]
    return paint


def text_of(words: Sequence[str]) -> str:
    """Words joined as their language does; a stop after every twelfth."""
    space, stop = ("", "。") if words and words[0] in ZH else (" ", ".")
    return space.join(word + (stop if i % 12 == 11 else "") for i, word in enumerate(words))


def edited(words: Sequence[str], share: float, rng: random.Random, vocabulary: Sequence[str]) -> list[str]:
    """A share of the words replaced, taken out, or followed by another."""
    out: list[str] = []
    for word in words:
        if rng.random() >= share:
            out.append(word)
        elif (what := rng.randrange(3)) != 0:
            out += [rng.choice(vocabulary)] if what == 1 else [word, rng.choice(vocabulary)]
    return out


def copies(language: str, *, seed: int, documents: int = 300, edits: Sequence[float] = (0, 0.01, 0.02, 0.04, 0.07)) -> list[str]:
    """Documents in a shuffled row, about two in three an edited copy of another."""
    rng = random.Random(seed)
    vocabulary = ZH if language == "zh" else EN
    found: list[list[str]] = []
    while len(found) < documents:
        if not found or rng.random() < 0.35:
            found.append(rng.choices(vocabulary, k=rng.randint(40, 160)))
        else:
            found.append(edited(rng.choice(found), rng.choice(edits), rng, vocabulary))
    rng.shuffle(found)
    return [text_of(words) for words in found]


@dataclass(frozen=True)
class Cleaned:
    """What clean_corpus made of some rows."""

    account: Account
    documents: pl.DataFrame
    ledger: pl.DataFrame

    @property
    def kept(self) -> set[str]:
        """Ids that stayed."""
        return set(self.documents["id"])

    def found(self, verdict: str = "dropped") -> dict[str, tuple[str, float]]:
        """Keeper and similarity of every document with this verdict."""
        rows = self.ledger.filter(verdict=verdict).select("id", "keeper", "similarity")
        return {name: (keeper, similarity) for name, keeper, similarity in rows.iter_rows()}


def clean(folder: Path, rows: Sequence[Row], rules: Sequence[Rule], cuts: Sequence[int] = ()) -> Cleaned:
    """Rows (id, text) through the rules, in batches that begin at the cuts; the same cut twice makes an empty batch."""
    folder.mkdir(parents=True, exist_ok=True)
    borders = [0, *sorted(cuts), len(rows)]
    batches = []
    for start, end in pairwise(borders):
        frame = pl.DataFrame(list(rows[start:end]), schema={"id": pl.String, "text": pl.String}, orient="row")
        origins = pl.Series([f"a.jsonl:{i + 1}" for i in range(start, end)], dtype=pl.String)
        batches.append(Batch(frame, origins, []))
    account = clean_corpus(batches, rules, folder=folder, max_failed=0)
    documents = pl.read_parquet(sorted(folder.glob("documents-*.parquet")))
    return Cleaned(account, documents, pl.read_parquet(folder / "ledger.parquet"))
