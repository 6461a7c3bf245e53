"""Pieces into an endless stream of packed bins of samples, in an order and with a position that a few numbers tell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.batch import Batch, collate
from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.packing import check_pair, pack
from aigc.core.batches.pieces import Pieces, shuffled
from aigc.core.batches.sample import IGNORED, Sample

__all__ = ["START", "Accounting", "Corpus", "Position", "Stream"]

BINS = 128  # a window holds about so many: half a bin, which stays empty at its end, is 0.4 % of it
SPARE = 0.03  # of the longer of two sides, for the shorter one, that it is not what is full first: 5 % of padding instead of 12


@dataclass(frozen=True)
class Position:
    """Where a stream is: how many bins of which window were taken."""

    window: int
    taken: int


START = Position(0, 0)


@dataclass(frozen=True)
class Corpus:
    """One of the corpora that a stream mixes."""

    pieces: Pieces
    weight: float  # its share of the tokens, in proportion to the others'


@dataclass(frozen=True)
class Accounting:
    """What becomes of the documents, before the first step; shares are those of the first window."""

    documents: int  # the empty ones among them
    tokens: int  # of all documents
    cut: int  # documents longer than the context, learned in several pieces
    truncated: int  # documents whose tail is not read, for they must stay whole, or so must each of their two sides
    dropped: int  # documents of which nothing is learned: their prompt alone fills the context, or all of them is read only
    empty: int  # documents that have no completion
    padding: float  # share of the places that hold nothing
    label_share: float  # of the tokens that are read, how many are learned
    bins: float  # batches in an epoch


@dataclass(frozen=True)
class Stream:
    """Bins without end: window after window of pieces, each turned into samples and packed by itself.

    Piece i of corpus c is piece i mod P of its epoch i div P, in an order that the seed decides anew for each epoch.
    """

    corpora: Sequence[Corpus]
    objective: Objective
    context: int
    places: int  # of a bin, for inputs
    source_places: int  # of a bin, for the sources; 0 where there are none
    pad: int
    seed: int

    @classmethod
    def of(cls, corpora: Sequence[Corpus], objective: Objective, *, context: int, rows: int, pad: int, seed: int) -> "Stream":
        """A stream whose bins hold as much as `rows` rows of `context` tokens.

        Raises:
            AigcError: a pair of completions does not fit into a bin.
        """
        share = objective.target_share
        if isinstance(objective, SourceTarget):
            places, source_places = _measured(corpora, objective, rows * context)
        else:
            places = _whole(rows * context * (share or 1.0), context)
            source_places = _whole(places / share, context) if share else 0
        for corpus in corpora:
            if corpus.pieces.shards.seconds is not None:
                content = corpus.pieces.content
                first, second = (np.minimum(side, content) - corpus.pieces.overlap for side in corpus.pieces.sides)
                check_pair(int((first + second)[corpus.pieces.shards.seconds > 0].max(initial=0)), places)
        return cls(corpora, objective, context, places, source_places, pad, seed)

    def bins(self, start: Position = START) -> Iterator[tuple[list[Sample], Position]]:
        """Bins from a position on, each with the position behind it."""
        position = start
        while True:
            packed = self._window(position.window)
            for taken in range(position.taken, len(packed)):
                last = taken + 1 == len(packed)
                yield packed[taken], Position(position.window + 1, 0) if last else replace(position, taken=taken + 1)
            position = Position(position.window + 1, 0)

    def once(self) -> Iterator[list[Sample]]:
        """Every piece once, in the documents' order: for validation. Documents are numbered through all corpora."""
        size = self._pieces_per_window
        documents = 0
        for number, corpus in enumerate(self.corpora):
            for window, first in enumerate(range(0, len(corpus.pieces), size)):
                pieces = corpus.pieces.take(np.arange(first, min(first + size, len(corpus.pieces))))
                pieces = [replace(piece, document=piece.document + documents) for piece in pieces] if documents else pieces
                yield from self._packed(self.objective(pieces, np.random.default_rng([self.seed, number, window])))
            documents += corpus.pieces.shards.documents

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """A bin as tensors."""
        return collate(samples, places=self.places, source_places=self.source_places, pad=self.pad)

    def accounting(self) -> Accounting:
        """Look at every document's length, and at what the first window becomes."""
        parts = [corpus.pieces for corpus in self.corpora]
        packed = self._window(0)
        places = len(packed) * (self.places + self.source_places)
        samples = [sample for one in packed for sample in one]
        read = sum(len(s.input_ids) + (0 if s.source_ids is None else len(s.source_ids)) for s in samples)
        learned = sum(int((sample.labels != IGNORED).sum()) for sample in samples)
        return Accounting(
            documents=sum(part.shards.documents + part.shards.empty for part in parts),
            tokens=sum(len(part.shards.tokens) for part in parts),
            cut=sum(part.cut for part in parts),
            truncated=sum(part.truncated for part in parts),
            dropped=sum(part.dropped for part in parts),
            empty=sum(part.shards.empty for part in parts),
            padding=1 - read / max(places, 1),
            label_share=learned / max(sum(len(sample.input_ids) for sample in samples), 1),
            bins=len(packed) * sum(map(len, parts)) / max(self._pieces_per_window, 1),
        )

    @property
    def _pieces_per_window(self) -> int:
        pieces = sum(len(corpus.pieces) for corpus in self.corpora)
        tokens = sum(len(corpus.pieces.shards.tokens) for corpus in self.corpora)
        return max(min(BINS * max(self.places, self.source_places) * pieces // max(tokens, 1), pieces), 1)

    def _window(self, window: int) -> list[list[Sample]]:
        pieces = []
        shares = self._shares()
        documents = 0
        for number, (corpus, share) in enumerate(zip(self.corpora, shares, strict=True)):
            first, last = (int(share * self._pieces_per_window * w) for w in (window, window + 1))
            count = len(corpus.pieces)
            for epoch in range(first // count, (last - 1) // count + 1) if last > first else ():
                places = np.arange(max(first - epoch * count, 0), min(last - epoch * count, count))
                order = shuffled(places, count=count, key=[self.seed, number, epoch])
                pieces += [replace(piece, document=piece.document + documents) for piece in corpus.pieces.take(order)]
            documents += corpus.pieces.shards.documents
        rng = np.random.default_rng([self.seed, window])
        packed = self._packed(self.objective(pieces, rng))
        return [packed[i] for i in rng.permutation(len(packed))]

    def _shares(self) -> list[float]:
        """Of the pieces, the share of each corpus."""
        if len(self.corpora) == 1:
            return [1.0]
        parts = [one.weight * len(one.pieces) / len(one.pieces.shards.tokens) for one in self.corpora]
        return [part / sum(parts) for part in parts]

    def _packed(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        return pack(samples, places=self.places, source_places=self.source_places)

    def rows(self, documents: NDArray[np.int64]) -> list[int]:
        """Which rows of the split some documents of a batch are."""
        rows = np.concatenate([corpus.pieces.shards.rows for corpus in self.corpora])
        return sorted({int(rows[document]) for document in documents})


def _whole(tokens: float, least: int) -> int:
    """Places for so many tokens: at least one sample's, and a multiple of 64."""
    return max(-(-round(tokens) // 64) * 64, least)


def _measured(corpora: Sequence[Corpus], objective: SourceTarget, tokens: int) -> tuple[int, int]:
    """Places for targets and for sources in the proportion that the documents have; the larger number is that of `tokens`."""
    sums, longest = np.zeros(2), [1, 1]
    for corpus in corpora:
        assert corpus.pieces.apart
        both = objective.sizes(*corpus.pieces.sides)
        part = np.array([float(side.sum()) for side in both])
        sums += corpus.weight * part / max(part.sum(), 1.0)
        longest = [max(most, int(side.max(initial=0))) for most, side in zip(longest, both, strict=True)]
    shares = sums / max(sums.max(), 1e-9)
    source, target = (_whole(tokens * one, most) for one, most in zip(shares + SPARE * (1 - shares), longest, strict=True))
    return target, source
