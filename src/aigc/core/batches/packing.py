"""Token shards into packed batches: rows of one length in which no document sees another, in an order that a seed decides."""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.batches.shards import Shards

__all__ = ["IGNORED", "Accounting", "Batch", "Packed", "pack"]

IGNORED = -100  # the label of a token that is not learned, as in torch's cross_entropy
WINDOW = 2048  # pieces that are packed together


@dataclass(frozen=True)
class Batch:
    """B rows of T tokens. `labels` stand under the token that predicts them: labels[b, t] is the token after input_ids[b, t]."""

    input_ids: torch.Tensor  # (B, T) int64
    position_ids: torch.Tensor  # (B, T) int64, from 0 again at each document: this keeps documents apart
    labels: torch.Tensor  # (B, T) int64, IGNORED where nothing is learned

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*(part.to(device, non_blocking=True) for part in (self.input_ids, self.position_ids, self.labels)))


@dataclass(frozen=True)
class Accounting:
    """What packing made of the documents, before the first step."""

    documents: int
    tokens: int  # in rows
    label_tokens: int
    rows: int
    padding: float  # share of the rows that is padding
    cut: int  # documents longer than a row, learned in several pieces
    truncated: int  # documents whose tail is not learned, for their prompt must stay in sight
    dropped: int  # documents whose prompt alone fills a row: nothing of them is learned


class Packed:
    """Rows of `context` tokens, drawn without end: row k of the stream is row k mod R of epoch k div R, shuffled by the seed."""

    def __init__(self, shards: Shards, rows: list[NDArray[np.int64]], *, context: int, batch_size: int, seed: int | None) -> None:
        self._shards, self._rows = shards, rows
        self.context, self.batch_size, self._seed = context, batch_size, seed
        self._epoch = -1
        self._order: NDArray[np.int64] = np.arange(len(rows))

    def __len__(self) -> int:
        """Batches in an epoch; the last may be smaller where the order is not shuffled."""
        return -(-len(self._rows) // self.batch_size)

    @property
    def rows(self) -> int:
        """Rows in an epoch."""
        return len(self._rows)

    def __getitem__(self, number: int) -> Batch:
        """Batch `number` of the endless stream; without a seed, of one epoch in the documents' order."""
        first = number * self.batch_size
        last = first + self.batch_size if self._seed is not None else min(first + self.batch_size, len(self._rows))
        rows = [self._rows[self._row_at(k)] for k in range(first, last)]
        input_ids, position_ids = np.zeros((2, len(rows), self.context), np.int64)
        position_ids[:] = np.arange(self.context)  # padding counts on, or starts again: it is never learned
        labels = np.full((len(rows), self.context), IGNORED, np.int64)
        for b, pieces in enumerate(rows):
            at = 0
            for document, start, length in pieces:
                self._place(input_ids[b], position_ids[b], labels[b], at, document, start, length)
                at += length
            position_ids[b, at:] = np.arange(self.context - at)
        return Batch(*map(torch.from_numpy, (input_ids, position_ids, labels)))

    def _row_at(self, k: int) -> int:
        epoch, row = divmod(k, len(self._rows))
        if self._seed is None:
            return row
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))
            self._epoch = epoch
        return int(self._order[row])

    def _place(
        self,
        input_ids: NDArray[np.int64],
        position_ids: NDArray[np.int64],
        labels: NDArray[np.int64],
        at: int,
        document: int,
        start: int,
        length: int,
    ) -> None:
        begin, end = self._shards.offsets[document], self._shards.offsets[document + 1]
        tokens = self._shards.tokens[begin + start : min(begin + start + length + 1, end)].astype(np.int64)
        input_ids[at : at + length] = tokens[:length]
        position_ids[at : at + length] = np.arange(length)
        learned = labels[at : at + len(tokens) - 1]
        learned[:] = tokens[1:]
        learned[: max(self._shards.unlearned[document] - start - 1, 0)] = IGNORED  # the prompt


def pack(shards: Shards, *, context: int, batch_size: int, seed: int | None, whole: bool) -> tuple[Packed, Accounting]:
    """Cut long documents into pieces and fit the pieces into rows (best fit, longest first, over a window).

    Args:
        context: tokens in a row.
        seed: decides the order, anew in each epoch; None keeps the documents' order, for evaluation.
        whole: keep prompt and completion in one piece; what does not fit is truncated and counted.
    """
    lengths = np.diff(shards.offsets)
    too_long = lengths > context + 1  # the last token is only a label
    dropped = whole & (shards.unlearned >= context + 1)
    pieces: list[tuple[int, int, int]] = []  # document, start, length
    for document, length in enumerate(lengths.tolist()):
        if dropped[document]:
            continue
        if whole:
            pieces.append((document, 0, min(length - 1, context)))
        else:
            pieces += [(document, start, min(context, length - 1 - start)) for start in range(0, length - 1, context)]
    order = np.arange(len(pieces)) if seed is None else np.random.default_rng([seed]).permutation(len(pieces))
    rows: list[NDArray[np.int64]] = []
    for first in range(0, len(pieces), WINDOW):
        window = [pieces[i] for i in order[first : first + WINDOW]]
        rows += [np.asarray(row, np.int64) for row in _best_fit(window, context)]
    inputs = sum(length for _, _, length in pieces)
    unlearned = sum(min(max(int(shards.unlearned[document]) - start - 1, 0), length) for document, start, length in pieces)
    accounting = Accounting(
        documents=shards.documents,
        tokens=inputs,
        label_tokens=inputs - unlearned,
        rows=len(rows),
        padding=1 - inputs / max(len(rows) * context, 1),
        cut=0 if whole else int(too_long.sum()),
        truncated=int((too_long & ~dropped).sum()) if whole else 0,
        dropped=int(np.sum(dropped)),
    )
    return Packed(shards, rows, context=context, batch_size=batch_size, seed=seed), accounting


def _best_fit(pieces: list[tuple[int, int, int]], context: int) -> list[list[tuple[int, int, int]]]:
    """Each piece, longest first, into the fullest row that has room for it."""
    rows: list[list[tuple[int, int, int]]] = []
    room: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for piece in sorted(pieces, key=lambda piece: -piece[2]):
        at = bisect_left(room, (piece[2], -1))
        if at < len(room):
            free, row = room.pop(at)
        else:
            free, row = context, len(rows)
            rows.append([])
        rows[row].append(piece)
        insort(room, (free - piece[2], row))
    return rows
