"""A data set of the Hugging Face hub into rows, streamed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from aigc.core.documents.files import HUB
from aigc.core.documents.formats.json import frame_of
from aigc.core.documents.rows import BATCH_ROWS, Rows, numbered
from aigc.core.documents.source import Source
from aigc.errors import AigcError

__all__ = ["HubName", "hub_name", "read_hub"]


@dataclass(frozen=True)
class HubName:
    """What stands behind `hub:`."""

    data_set: str  # owner/name, or a folder on this disk
    config: str | None
    split: str


def hub_name(path: Path) -> HubName:
    """`hub:owner/name[/config][:split]` taken apart; without a split it is train, so that no test rows are trained on unasked.

    Raises:
        AigcError: no such name.
    """
    rest = str(path).removeprefix(HUB)
    name, colon, split = rest.rpartition(":")
    if not colon:
        name, split = rest, "train"
    if name and Path(name).expanduser().is_dir():
        return HubName(str(Path(name).expanduser()), None, split)
    parts = name.split("/")
    if not (2 <= len(parts) <= 3 and all(parts) and split):
        raise AigcError(f"{path}: not a data set of the hub; write hub:owner/name, hub:owner/name/config or hub:owner/name:split")
    return HubName("/".join(parts[:2]), parts[2] if len(parts) == 3 else None, split)


def read_hub(source: Source) -> Iterator[Rows]:
    """The rows of one split, as they arrive, through `datasets`; no code of a data set is run.

    A folder on this disk that `datasets` can open works as well, which is how this was tested: no download was ever run.

    Raises:
        AigcError: there is no such data set or split, or no network.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before the import
    import datasets

    name = hub_name(source.path)
    try:
        rows: Any = datasets.load_dataset(name.data_set, name.config, split=name.split, streaming=True)
        seen = 0
        typed = rows.features is not None  # else batches of one column may have different types, which Arrow does not join
        for batch in (rows.with_format("arrow") if typed else rows).iter(batch_size=BATCH_ROWS):
            frame = pl.DataFrame(pl.from_arrow(batch)) if typed else frame_of(_rows(batch))
            yield Rows(frame, numbered(seen + 1, len(frame)))
            seen += len(frame)
    except (
        OSError,
        ValueError,
        RuntimeError,
        datasets.exceptions.DatasetsError,
    ) as error:  # OSError: also no network, no such name
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AigcError(f"{source.path}: cannot be read from the hub ({reason})") from None


def _rows(batch: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
