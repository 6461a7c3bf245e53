"""A codec of a handful of special ids, and made-up documents of known tokens, for the tests of this folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from aigc.core.batches.sample import Piece, Sample

__all__ = ["CODEC", "T5", "FakeCodec", "documents", "split", "text_of", "tokens", "windows"]

PAD, START, END, MASK, PRE, SUF, MID = range(7)
SENTINELS = list(range(7, 39))
FIRST = 40  # the first id of text; 39 is one that nobody names, with no bytes


@dataclass(frozen=True)
class FakeCodec:
    """What objectives know of a codec."""

    vocabulary: int = 1 << 20
    start: list[int] = field(default_factory=lambda: [START])
    end: int = END
    pad: int = PAD
    mask: int | None = MASK
    sentinels: list[int] = field(default_factory=lambda: SENTINELS)
    infill: tuple[int, int, int] | None = (PRE, SUF, MID)

    @property
    def byte_lengths(self) -> NDArray[np.int64]:
        lengths = np.full(self.vocabulary, 3)
        lengths[:FIRST] = 0
        return lengths


CODEC = FakeCodec()
T5 = FakeCodec(start=[], mask=None, infill=None)


def split(
    lengths: Sequence[int],
    *,
    codec: FakeCodec = CODEC,
    content: int,
    overlap: int = 0,
    unit: int = 7,
    prompt: int = 0,
    rng: np.random.Generator | None = None,
) -> list[Piece]:
    """Documents of so many tokens, no token twice, cut into pieces as the shards are; units of `unit` tokens or drawn ones."""
    assert content > overlap
    pieces = []
    token = FIRST
    for document, length in enumerate(lengths):
        ids = np.array([*codec.start, *range(token, token + length), codec.end], np.int64)
        token += length
        assert token < codec.vocabulary
        begin, end = len(codec.start), len(codec.start) + length
        if rng is None:
            marks = np.arange(begin, end, unit)
        else:
            marks = (
                np.unique(np.append(np.minimum(begin, end - 1), rng.integers(begin, end, max(length // unit, 1))))
                if length
                else np.zeros(0, np.int64)
            )
        at = 0
        while True:
            stop = min(at + content, len(ids))
            pieces.append(
                Piece(
                    document,
                    ids[at:stop],
                    head=at == 0,
                    tail=stop == len(ids),
                    unlearned=min(max(begin + min(prompt, length) - at, 0), stop - at),
                    marks=marks[(marks >= at) & (marks < stop)] - at,
                )
            )
            if stop == len(ids):
                break
            at = stop - overlap
    return pieces


documents = st.lists(st.integers(1, 90), min_size=0, max_size=8)


@st.composite
def windows(draw: st.DrawFn, objective: Any, context: int, codec: FakeCodec = CODEC, prompts: bool = True) -> list[Piece]:
    """Pieces of documents of any lengths, with units of any lengths."""
    return split(
        draw(documents),
        codec=codec,
        content=min(objective.content(context), 10**6),
        overlap=objective.overlap,
        prompt=draw(st.integers(0, 6)) if prompts else 0,
        unit=draw(st.integers(1, 20)),
        rng=np.random.default_rng(draw(st.integers(0, 99))),
    )


def tokens(pieces: Sequence[Piece]) -> Counter[int]:
    """How often each token of text occurs in pieces."""
    return Counter(token for piece in pieces for token in text_of(piece.ids))


def text_of(ids: NDArray[np.int64]) -> list[int]:
    """The ids that stand for text."""
    return [token for token in ids.tolist() if token >= FIRST]


def same(one: Sequence[Sample], other: Sequence[Sample]) -> bool:
    """Whether samples are equal in all they have."""
    return len(one) == len(other) and all(
        np.array_equal(x, y)
        for a, b in zip(one, other, strict=True)
        for x, y in zip(vars(a).values(), vars(b).values(), strict=True)
    )
