"""The folder of an earlier split into the parts that its documents keep."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from aigc.core.documents.tables import read_tables
from aigc.core.splits.clusters import Clusters
from aigc.core.splits.plan import PARTS
from aigc.errors import AigcError

__all__ = ["FREE", "kept_clusters", "kept_documents"]

FREE = -1
Codes = npt.NDArray[np.int8]


def kept_documents(folder: Path, ids: pl.Series) -> Codes:
    """The earlier part of each id: its place in PARTS, or FREE.

    Raises:
        AigcError: the folder holds no split, or none of the ids.
    """
    known = []
    for code, part in enumerate(PARTS):
        paths = sorted(folder.expanduser().glob(f"{part}-*.parquet"))
        if not paths and part == "train":
            raise AigcError(f"split.keep: {folder} holds no train-*.parquet; name the folder of a finished split")
        for path in paths:
            if "id" not in pl.read_parquet_schema(path):
                raise AigcError(f"split.keep: {path} has no column 'id'")
        known += [frame.select(pl.col("id").cast(pl.String), part=pl.lit(code, pl.Int8)) for frame in read_tables(paths, ["id"])]
    earlier = pl.concat(known).group_by("id").agg(pl.col("part").min())
    found = pl.DataFrame({"id": ids}).join(earlier, on="id", how="left", maintain_order="left")["part"]
    if found.null_count() == len(found):
        raise AigcError(f"split.keep: none of the {len(earlier):,} ids of {folder} is among these documents; ids are compared, "
                        "so keep them the same (clean.id_field)")  # fmt: skip
    return found.fill_null(FREE).to_numpy()


def kept_clusters(codes: Codes, clusters: Clusters) -> Codes:
    """The part that each cluster keeps; where its documents disagree, train before validation before test.

    What a model was trained on must not be tested on, and what chose a checkpoint must not judge it: the part that has
    seen most of the document wins, so that nothing of train or validation ever comes into test.
    """
    kept = np.full(len(clusters), len(PARTS), dtype=np.int8)
    found = codes != FREE
    np.minimum.at(kept, clusters.of[found], codes[found])
    return np.where(kept == len(PARTS), FREE, kept).astype(np.int8)
