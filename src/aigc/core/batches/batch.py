"""Samples into one flat batch: all samples behind each other, told apart by bounds, and no padding but at the very end."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.batches.sample import IGNORED, Ids, Sample

__all__ = ["Batch", "collate"]


@dataclass(frozen=True)
class Batch:
    """D samples in N places of a flat stream, and for an encoder-decoder its M places of source.

    N and M are the same in each batch of a run, and so is the length of the bounds, so that nothing is compiled twice. Sample d
    stands at bounds[d]:bounds[d + 1]; places behind the last sample are padding and form a sample of their own; the bounds that
    are left over are N.
    """

    input_ids: torch.Tensor  # (N,) int64
    position_ids: torch.Tensor  # (N,) int64, from 0 again in each sample, 0 in padding
    bounds: torch.Tensor  # (N + 1,) int32, ascending from 0 to N
    targets: torch.Tensor  # (P,) int64, the places where something is learned
    labels: torch.Tensor  # (P,) int64, what is learned there
    weights: torch.Tensor  # (P,) fp32, how much it counts
    documents: NDArray[np.int64]  # (D,) the document of each sample
    token_types: torch.Tensor | None = None  # (N,) int64
    sequence_targets: torch.Tensor | None = None  # (D,) fp32, see Sample.target
    references: torch.Tensor | None = None  # (D,) fp32, nats
    source_ids: torch.Tensor | None = None  # (M,) int64
    source_positions: torch.Tensor | None = None  # (M,) int64
    source_bounds: torch.Tensor | None = None  # (N + 1,) int32, ascending from 0 to M, one for each of `bounds`

    @property
    def tokens(self) -> int:
        """Tokens that are read, padding not counted."""
        return int(self.bounds[len(self.documents)]) + (
            0 if self.source_bounds is None else int(self.source_bounds[len(self.documents)])
        )

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        if device.type == "cpu":
            return self
        parts: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                parts[name] = part.to(device, non_blocking=True)
        return Batch(**parts)


def collate(samples: Sequence[Sample], *, places: int, source_places: int = 0, pad: int) -> Batch:
    """Lay samples behind each other.

    Args:
        places: N; the samples' inputs have to fit.
        source_places: M, 0 where the model is no encoder-decoder.
        pad: the id that fills what is left.
    """
    ids, positions, bounds = _laid([sample.input_ids for sample in samples], places, places, pad)
    labels = np.full(places, IGNORED, np.int64)
    weights = np.ones(places, np.float32)
    for sample, at in zip(samples, bounds, strict=False):
        labels[at : at + len(sample.labels)] = sample.labels
        if sample.weights is not None:
            weights[at : at + len(sample.labels)] = sample.weights
    targets = np.flatnonzero(labels != IGNORED)
    batch = Batch(
        input_ids=torch.from_numpy(ids),
        position_ids=torch.from_numpy(positions),
        bounds=torch.from_numpy(bounds),
        targets=torch.from_numpy(targets),
        labels=torch.from_numpy(labels[targets]),
        weights=torch.from_numpy(weights[targets]),
        documents=np.array([sample.document for sample in samples], np.int64),
    )
    if source_places:
        sources = [sample.source_ids for sample in samples if sample.source_ids is not None]
        read, where, source_bounds = map(torch.from_numpy, _laid(sources, source_places, places, pad))
        batch = replace(batch, source_ids=read, source_positions=where, source_bounds=source_bounds)
    if any(sample.token_types is not None for sample in samples):
        types = [np.zeros(len(s.input_ids), np.int64) if s.token_types is None else s.token_types for s in samples]
        batch = replace(batch, token_types=torch.from_numpy(_laid(types, places, places, 0)[0]))
    if samples and samples[0].target is not None:
        batch = replace(batch, sequence_targets=torch.tensor([sample.target for sample in samples], dtype=torch.float32))
    if samples and samples[0].reference is not None:
        batch = replace(batch, references=torch.tensor([sample.reference for sample in samples], dtype=torch.float32))
    return batch


def _laid(parts: Sequence[Ids], places: int, most: int, pad: int) -> tuple[Ids, Ids, NDArray[np.int32]]:
    """Parts behind each other in `places`: ids, positions within each part, and `most + 1` bounds."""
    lengths = np.array([len(part) for part in parts], np.int64)
    ends = np.cumsum(lengths)
    used = int(ends[-1]) if len(parts) else 0
    assert used <= places and len(parts) <= most, (used, places, len(parts), most)
    ids = np.full(places, pad, np.int64)
    if parts:
        ids[:used] = np.concatenate(parts)
    bounds = np.full(most + 1, places, np.int32)
    bounds[0] = 0
    bounds[1 : len(parts) + 1] = ends
    positions = np.zeros(places, np.int64)
    positions[:used] = np.arange(used) - np.repeat(ends - lengths, lengths)
    return ids, positions, bounds
