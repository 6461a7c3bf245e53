"""Tokens of samples into tokens of which some are hidden, and the labels that say what was there."""

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.objectives.objective import plain_ids
from aigc.core.batches.objectives.ranges import after
from aigc.core.batches.objectives.subset import choose
from aigc.core.batches.sample import IGNORED, Ids
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["hidden", "mask_of", "picked"]

MASKED, RANDOM = 0.8, 0.1  # of the chosen tokens; the rest is kept (Devlin et al. 2019, section 3.1)


def mask_of(codec: Vocabulary) -> int:
    """The id that hides a token.

    Raises:
        AigcError: the codec has none.
    """
    if codec.mask is None:
        raise AigcError("this objective hides tokens, and the tokenizer has no mask token: train one with a mask token")
    return codec.mask


def picked(
    free: NDArray[np.bool_], bounds: Ids, share: float, rng: np.random.Generator, unit: Ids | None = None
) -> NDArray[np.bool_]:
    """Pick round(share x n) of the n free tokens of each sample, and at least one.

    Whole units are picked in a random order as long as that brings their tokens nearer to this number (whole word masking; Cui
    et al. 2019 for Chinese, whose units are words of several characters).

    Args:
        free: (L,) which tokens may be picked.
        bounds: (D + 1,) where the samples begin and end.
        share: of the free tokens.
        rng: decides.
        unit: (L,) the number of the unit that a token belongs to, ascending; None where each token is one.

    Returns:
        (L,) whether a token is picked.
    """
    places = np.flatnonzero(free)
    totals = after(free.astype(np.int64))[bounds]
    sizes = np.diff(totals)
    wanted = np.minimum(np.maximum(np.rint(sizes * share).astype(np.int64), 1), sizes)
    result = np.zeros(len(free), np.bool_)
    if not len(places):
        return result
    if unit is None:
        result[places[choose(sizes, wanted, rng)]] = True
        return result
    heads = np.flatnonzero(np.diff(unit[places], prepend=unit[places[0]] - 1))
    lengths = np.diff(heads, append=len(places))
    sample = np.repeat(np.arange(len(sizes)), np.diff(np.searchsorted(heads, after(sizes))))
    turn = rng.random(len(heads))
    near = turn < 2 * share  # few enough to sort, and nearly always more than are wanted
    few = np.bincount(sample[near], lengths[near], len(sizes)) < wanted
    near |= few[sample]
    order = np.flatnonzero(near)
    order = order[np.argsort(sample[order] + turn[order])]
    row = sample[order]
    sums = after(lengths[order])[:-1]
    first = np.searchsorted(row, np.arange(len(sizes)))
    before = sums - sums[np.minimum(first, len(row) - 1)][row]
    tie = rng.integers(0, 2, len(sizes))  # half a unit too many or too few: either is as good
    taken = (2 * before + lengths[order] <= (2 * wanted - tie)[row]) | (before == 0)
    units = np.zeros(len(heads), np.bool_)
    units[order[taken]] = True
    result[places[np.repeat(units, lengths)]] = True
    return result


def hidden(ids: Ids, chosen: NDArray[np.bool_], codec: Vocabulary, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Hide the chosen tokens: 80 % behind the mask, 10 % behind a random token of text, 10 % not at all.

    Returns:
        The tokens and the labels, both (L,).
    """
    places = np.flatnonzero(chosen)
    labels = np.full(len(ids), IGNORED, np.int64)
    labels[places] = ids[places]
    fate = rng.random(len(places))
    result = ids.copy()
    result[places[fate < MASKED]] = mask_of(codec)
    swapped = places[(fate >= MASKED) & (fate < MASKED + RANDOM)]
    result[swapped] = rng.choice(np.flatnonzero(plain_ids(codec)), len(swapped)) if len(swapped) else 0
    return result, labels
