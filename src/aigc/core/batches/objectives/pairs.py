"""Pieces into texts that are cut in two, and pairs of such parts into samples of a masked language model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.masking import hidden, picked
from aigc.core.batches.objectives.objective import plain_ids
from aigc.core.batches.objectives.ranges import Column, after, braid, sampled
from aigc.core.batches.objectives.window import Window, lay
from aigc.core.batches.sample import IGNORED, Ids, Piece, Sample
from aigc.core.tokens.codec import Vocabulary

__all__ = ["SPECIALS", "Cuts", "cut", "joined"]

SPECIALS = 2  # ends in `start` A `end` B `end`


@dataclass(frozen=True)
class Cuts:
    """S texts of a window, each [begins, ends), to be cut in two at `cuts`; all tokens of the window are in one of them."""

    window: Window
    begins: Ids  # (S,)
    cuts: Ids  # (S,) where the second part begins; within the text, but for texts of one token
    ends: Ids  # (S,)
    documents: Ids  # (S,)
    inner: Ids  # (I,) where sentences begin within texts, ascending
    bounds: Ids  # (S + 1,) the cuts that text s could have are inner[bounds[s]:bounds[s + 1]]


def cut(pieces: Sequence[Piece], codec: Vocabulary, *, short: float, rng: np.random.Generator) -> Cuts:
    """Cut each piece in two, at a sentence that is drawn, or in the middle where it has only one sentence.

    Args:
        pieces: with marks of sentences.
        codec: its special ids.
        short: share of the pieces that are first cut into several texts of a length that is drawn, for short texts are met
            later too (Devlin et al. 2019, `short_seq_prob` in create_pretraining_data.py).
        rng: decides.
    """
    window = lay(pieces, codec)
    sentences = window.units(window.begins)
    firsts = after(np.bincount(sentences.pieces, minlength=len(window.begins)))
    several = np.zeros(len(sentences.begins), np.bool_)
    several[firsts[:-1]] = True
    lengths = window.ends - window.begins
    for piece in np.flatnonzero((rng.random(len(lengths)) < short) & (lengths > 2)):
        wanted = int(rng.integers(2, lengths[piece]))
        low, high = int(firsts[piece]), int(firsts[piece + 1])
        begin = low
        for at in range(low + 2, high - 1):  # two sentences at least on both sides
            if sentences.begins[at] - sentences.begins[begin] >= wanted and at - begin >= 2:
                several[at] = True
                begin = at
    heads = np.flatnonzero(several)
    begins = sentences.begins[heads]
    ends = sentences.ends[np.append(heads[1:], len(several)) - 1]
    inner = sentences.begins[~several]
    bounds = np.append(np.searchsorted(inner, begins), len(inner))
    choices = np.diff(bounds)
    cuts = begins + (ends - begins + 1) // 2
    some = choices > 0
    cuts[some] = inner[bounds[:-1][some] + rng.integers(0, choices[some])]
    return Cuts(window, begins, cuts, ends, window.documents[sentences.pieces[heads]], inner, bounds)


def joined(
    cuts: Cuts,
    parts: tuple[Column, Column],
    others: NDArray[np.bool_],
    *,
    codec: Vocabulary,
    share: float,
    rng: np.random.Generator,
) -> list[Sample]:
    """One sample for each text: `start` A `end` B `end`, with token types 0 up to the first end and 1 behind it, and masks.

    Args:
        cuts: S texts.
        parts: the ranges of A and B for each of them.
        others: (S,) whether B does not follow A.
        codec: its special ids.
        share: of the tokens of text that are hidden.
        rng: decides.
    """
    window = cuts.window
    first, second = parts
    where, bounds = braid([window.start, first, window.end, second, window.end], np.zeros(len(others), np.int64))
    ids = window.ids[where]
    free = plain_ids(codec)[ids] & (window.labels[where] != IGNORED)
    input_ids, labels = hidden(ids, picked(free, bounds, share, rng), codec, rng)
    types = np.ones(len(ids), np.int64)
    ahead = window.start[1] + first[1] + 1 + np.zeros(len(others), np.int64)
    zeros, _ = braid([(bounds[:-1], ahead)], np.zeros(len(others), np.int64))
    types[zeros] = 0
    return sampled(cuts.documents, bounds, input_ids, labels, token_types=types, targets=others.astype(np.float32))
