"""The written parts into a list of what they have in common: copies, near-duplicates and long n-grams.

Nothing of the assignment is used: the files are read back and compared with each other.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.tables import read_tables
from aigc.core.rules.duplicates.similar import similar_pairs
from aigc.core.rules.units import Hashes, ngrams
from aigc.core.splits.places import folded
from aigc.core.splits.plan import PARTS
from aigc.errors import AigcError

__all__ = ["NGRAM", "Leak", "Leaks", "find_leaks", "refuse_leaks"]

NGRAM = 13  # as in GPT-3's contamination study (Brown et al. 2020, appendix C)
SHOWN = 100
_MOST_GRAMS = 50_000_000  # of held-out documents, 400 MB; further documents are not looked at
_AGAINST = ((1, 0), (2, 0), (2, 1))  # validation and test against train, test against validation


@dataclass(frozen=True)
class Leak:
    """A held-out document and the nearest that repeats it in another part."""

    id: str
    part: str
    other: str
    other_part: str
    similarity: float


@dataclass(frozen=True)
class Leaks:
    """What the parts have in common.

    Attributes:
        exact: held-out documents with a copy (white space aside) in train, or of test in validation.
        near: held-out documents with a near-duplicate there and no copy; None where it was not asked for.
        share: of all held-out documents, those with a copy or near-duplicate in train.
        parts: {"test in train": {"documents", "exact", "near"}, ...}.
        ngram_share: of the held-out documents looked at, those that share 13 words or Han characters in a row with train.
        ngram_documents: held-out documents that were looked at for that.
        pairs: up to 100, the most similar first.
    """

    exact: int
    near: int | None
    share: float
    parts: dict[str, dict[str, int]]
    ngram_share: float
    ngram_documents: int
    pairs: list[Leak]

    def report(self) -> dict[str, Any]:
        """As it stands in report.json."""
        return asdict(self)


def find_leaks(folder: Path, *, similarity: float | None) -> Leaks:
    """Compare the parts in a folder.

    Args:
        similarity: the least Jaccard similarity of near-duplicates; None looks for copies only.
    """
    paths = {name: sorted(folder.glob(f"{name}-*.parquet")) for name in PARTS}
    every = [path for name in PARTS for path in paths[name]]
    ids, texts, sides = [], [], []
    for code, name in enumerate(PARTS):
        for frame in read_tables(paths[name], ["id", "text"]):
            ids.append(frame["id"].cast(pl.String))
            texts.append(folded(frame["text"]).hash(seed=1))
            sides.append(pl.Series([code], dtype=pl.Int8).new_from_index(0, len(frame)))
    rows = pl.DataFrame({"id": pl.concat(ids), "text": pl.concat(texts), "side": pl.concat(sides)}).with_row_index("row")
    copies = [_copies(rows, held, against) for held, against in _AGAINST]
    found = pl.concat(copies).with_columns(similarity=pl.lit(1.0, pl.Float32), exact=pl.lit(True))
    if similarity is not None and rows["side"].n_unique() > 1:
        pairs = similar_pairs(lambda: read_tables(every, ["text"]), similarity=similarity, sides=rows["side"])
        found = pl.concat([found, _near(pairs, rows["side"])])
    best = found.sort("exact", "similarity", "row", "other", descending=[True, True, False, False])
    best = best.unique(["row", "against"], keep="first", maintain_order=True)
    return _counted(best, rows, similarity, _shared_ngrams(paths))


def _copies(rows: pl.DataFrame, held: int, against: int) -> pl.DataFrame:
    """Documents of one part whose text is in another, with the first such document."""
    others = rows.filter(side=against).unique("text", keep="first", maintain_order=True).select("text", other="row")
    found = rows.filter(side=held).join(others, on="text")
    return found.select("row", "other", part=pl.lit(held, pl.Int8), against=pl.lit(against, pl.Int8))


def _near(pairs: pl.DataFrame, sides: pl.Series) -> pl.DataFrame:
    """Pairs of rows as held-out row and the other one; parts stand in the order of PARTS, so the later row is the held-out one."""
    side = pl.lit(sides)
    return pairs.select(
        row=pl.col("b").cast(pl.UInt32),
        other=pl.col("a").cast(pl.UInt32),
        part=side.gather(pl.col("b")),
        against=side.gather(pl.col("a")),
        similarity=pl.col("similarity").cast(pl.Float32),
        exact=pl.lit(False),
    )


def _counted(best: pl.DataFrame, rows: pl.DataFrame, similarity: float | None, grams: tuple[int, int]) -> Leaks:
    parts = {}
    for held, against in _AGAINST:
        here = best.filter(part=held, against=against)
        exact = int(here["exact"].sum())
        documents = int((rows["side"] == held).sum())
        parts[f"{PARTS[held]} in {PARTS[against]}"] = {"documents": documents, "exact": exact, "near": len(here) - exact}
    held_out = int((rows["side"] > 0).sum())
    in_train = best.filter(against=0)["row"].n_unique()
    exact = best.filter("exact")["row"].n_unique()
    shown = best.head(SHOWN)
    pairs = [
        Leak(one, PARTS[part], other, PARTS[against], round(value, 4))
        for one, part, other, against, value in zip(
            rows["id"].gather(shown["row"]),
            shown["part"],
            rows["id"].gather(shown["other"]),
            shown["against"],
            shown["similarity"],
            strict=True,
        )
    ]
    return Leaks(
        exact=exact,
        near=None if similarity is None else best["row"].n_unique() - exact,
        share=in_train / held_out if held_out else 0.0,
        parts=parts,
        ngram_share=grams[0] / grams[1] if grams[1] else 0.0,
        ngram_documents=grams[1],
        pairs=pairs,
    )


def _shared_ngrams(paths: dict[str, list[Path]]) -> tuple[int, int]:
    """Held-out documents with an n-gram that is in train, and how many were looked at."""
    kept: list[Hashes] = []
    counts: list[npt.NDArray[np.int64]] = []
    size = 0
    for hashes, lengths in _grams([*paths["validation"], *paths["test"]]):
        kept.append(hashes)
        counts.append(lengths)
        size += len(hashes)
        if size > _MOST_GRAMS:
            break
    if not size:
        return 0, 0
    held = np.concatenate(kept)
    lengths = np.concatenate(counts)
    del kept
    order = np.argsort(held)
    held = held[order]
    first = np.ones(len(held), dtype=bool)
    first[1:] = held[1:] != held[:-1]
    known = held[first]
    seen = np.zeros(len(known), dtype=bool)
    bits = max(16, min(27, len(known).bit_length() + 4))
    shift = np.uint64(64 - bits)
    may_be = np.zeros(1 << bits, dtype=bool)  # tells most n-grams of train apart without a search
    may_be[known >> shift] = True
    for hashes, _ in _grams(paths["train"]):
        hashes = hashes[may_be[hashes >> shift]]
        at = np.searchsorted(known, hashes)
        at[at == len(known)] = 0
        seen[at[known[at] == hashes]] = True
    common = np.zeros(len(held), dtype=bool)
    common[order] = seen[np.cumsum(first) - 1]
    counted = np.concatenate([[0], np.cumsum(common)])
    ends = np.cumsum(lengths)
    shared = counted[ends] > counted[ends - lengths]
    return int(shared.sum()), len(lengths)


def _grams(paths: list[Path]) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """N-grams, and how many each document has: one, the whole of it, where it is shorter."""
    for frame in read_tables(paths, ["text"]):
        hashes, offsets = ngrams(frame["text"].fill_null(""), NGRAM)
        yield hashes, np.diff(offsets)


def refuse_leaks(leaks: Leaks, *, max_leak: float, cluster_field: str | None) -> None:
    """Stop where train holds too much of what is held out.

    Args:
        cluster_field: the column that the clusters were taken from, None where they were searched for.

    Raises:
        AigcError: more than `max_leak` of the held-out documents have a copy or near-duplicate in train.
    """
    if leaks.share <= max_leak:
        return
    held = sum(leaks.parts[f"{name} in train"]["documents"] for name in ("validation", "test"))
    worst = [leak for leak in leaks.pairs if leak.other_part == "train"][:3]
    shown = ", ".join(f"{leak.id} = {leak.other} ({leak.similarity:.2f})" for leak in worst)
    why = (
        f"; the clusters came from the column {cluster_field!r}: set split.cluster_field=null to search for them"
        if cluster_field
        else ""
    )
    raise AigcError(f"split: {round(leaks.share * held):,} of {held:,} held-out documents have a copy in train, "
                    f"more than split.max_leak allows ({max_leak:g}): {shown}{why}")  # fmt: skip
