"""The written parts into a list of what they have in common: copies, near-duplicates and long n-grams.

Nothing of the assignment is used: the files are read back and compared with each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aigc.core.documents.engine import threads
from aigc.core.documents.tables import read_tables
from aigc.core.splits.overlap import Frames, overlap
from aigc.core.splits.places import folded
from aigc.core.splits.plan import PARTS
from aigc.errors import AigcError

__all__ = ["Leak", "Leaks", "find_leaks", "refuse_leaks"]

SHOWN = 100
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
        between: all pairs of near-duplicates between two parts: columns a, b, row numbers over the parts in the order of PARTS.
    """

    exact: int
    near: int | None
    share: float
    parts: dict[str, dict[str, int]]
    ngram_share: float
    ngram_documents: int
    pairs: list[Leak]
    between: pl.DataFrame

    def report(self) -> dict[str, Any]:
        """As it stands in report.json."""
        return {key: value for key, value in asdict(self).items() if key != "between"}


def find_leaks(folder: Path, *, similarity: float | None) -> Leaks:
    """Compare the parts in a folder.

    Args:
        similarity: the least Jaccard similarity of near-duplicates; None looks for copies only.
    """
    paths = {name: sorted(folder.glob(f"{name}-*.parquet")) for name in PARTS}
    every = [path for name in PARTS for path in paths[name]]
    frames = (frame for path in every for frame in read_tables([path], ["id", "text"]))
    read = [*threads(lambda frame: (frame["id"].cast(pl.String), folded(frame["text"]).hash(seed=1)), frames)]
    lengths = [sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths[name]) for name in PARTS]
    sides = pl.Series(np.repeat(np.arange(len(PARTS), dtype=np.int8), lengths))
    columns = {"id": pl.concat(ids for ids, _ in read), "text": pl.concat(texts for _, texts in read), "side": sides}
    rows = pl.DataFrame(columns).with_row_index("row")
    copies = [_copies(rows, held, against) for held, against in _AGAINST]
    between = pl.DataFrame(schema={"a": pl.UInt32, "b": pl.UInt32})
    found = pl.concat(copies).with_columns(similarity=pl.lit(1.0, pl.Float32), exact=pl.lit(True))
    common = overlap(_rows(every), rows["side"].to_numpy(), similarity=similarity)
    if similarity is not None:
        found = pl.concat([found, _near(common.pairs, rows["side"])])
        between = common.pairs.select("a", "b")
    best = found.sort("exact", "similarity", "row", "other", descending=[True, True, False, False])
    best = best.unique(["row", "against"], keep="first", maintain_order=True)
    counted = _counted(best, rows, similarity, len(common.passages))
    return replace(counted, between=between)


def _rows(paths: Sequence[Path]) -> Frames:
    """The texts of some rows of files."""

    def texts(first: int, last: int) -> Iterator[pl.Series]:
        start = 0
        for path in paths:
            rows = pl.scan_parquet(path).select(pl.len()).collect().item()
            if start < last and start + rows > first:
                at = start
                for frame in read_tables([path], ["text"]):
                    here = frame["text"][max(first - at, 0) : max(last - at, 0)]
                    at += len(frame)
                    if len(here):
                        yield here
            start += rows

    return texts


def _copies(rows: pl.DataFrame, held: int, against: int) -> pl.DataFrame:
    """Documents of one part whose text is in another, with the first such document."""
    here = rows.filter(side=held)
    others = rows.filter(side=against).join(here, on="text", how="semi").group_by("text").agg(other=pl.col("row").min())
    found = here.join(others, on="text")
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


def _counted(best: pl.DataFrame, rows: pl.DataFrame, similarity: float | None, passages: int) -> Leaks:
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
        ngram_share=passages / held_out if held_out else 0.0,
        ngram_documents=held_out,
        pairs=pairs,
        between=pl.DataFrame(),
    )


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
