"""Text into the probability that it offends, by a logistic regression over hashed character n-grams."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aigc.core.rules.rule import TEXT, Measure

__all__ = ["BITS", "BLOCK", "ORDER", "WINDOW", "Model", "Toxicity", "folded", "ngram_buckets", "window_logits"]

ORDER = 4
"""The longest n-gram, in characters."""
BITS = 20
"""An n-gram falls into one of 2^20 buckets."""
BLOCK = 16
"""A window starts at each multiple of this many characters."""
WINDOW = 96
"""What is judged at once, in characters; a whole number of blocks."""

_GAP = ORDER - 1  # empty code points after each text, so that no n-gram reads two
_GROUP = 1 << 21  # characters taken at once, more only where one text has more: 30 bytes each
_CHUNK = 1 << 16  # code points hashed at once: the scratch arrays stay in a core's cache


class Toxicity(Measure):
    """Probability, 0 to 1, that the worst passage of a document offends, Chinese or English: a screen, not a judge.

    A document has the value of its worst window of 96 characters, an empty one 0; bound it with `max: 0.9`. No network.

    On posts that were not learned from: Chinese (COLDataset's dev file) AUC 0.946, above 0.9 precision 0.96 and recall 0.59;
    English (a fifth of Davidson's) AUC 0.971, precision 0.995 and recall 0.81. Expect less elsewhere: a TF-IDF model with AUC
    0.956 on that dev file has 0.874 on COLDataset's test file. Above 0.9 of clean text held out: none of 803 news articles, 2,914
    briefs, 7,545 Chinese headlines and 29,317 poems, 1 of 104 technical pages. Of the offensive posts that are above 0.9 alone,
    8 in 10 are so inside an article. Calibrated (mean error 0.02) for posts half of which offend: where few do, trust it less.

    It knows words, not meaning: it misses irony, polite contempt and threats without rude words; it flags a quoted insult and
    friendly swearing, and gives some slogans and friendly words ("everybody likes you") 0.6. Traditional characters hide a part
    (convert them before); other languages it does not know. It is about insult and hate, not sex, violence or self-harm. Its
    English is tweets chosen by rude words, a source known to flag African American English too often (Sap et al. 2019). Neutral
    sentences about groups of people have means of 0.00 to 0.11 by group (learned from posts alone: to 0.45). Look before you drop.

    Weights learned by scripts/train_toxicity.py from COLDataset (Deng et al. 2022, Apache-2.0) and Davidson et al. 2017 (MIT).
    """

    def value(self) -> pl.Expr:
        return TEXT.map_batches(_probabilities, return_dtype=pl.Float64)


def folded(text: pl.Expr) -> pl.Expr:
    """Text as the model reads it: NFKC (full width as half width), lower case, nothing of zero width, one space for white space."""
    return (
        text.str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(r"\p{Cf}", "")
        .str.replace_all(r"\s{2,}|[^\S ]", " ")
        .str.strip_chars(" ")
    )


def ngram_buckets(codes: NDArray[np.uint32]) -> Iterator[NDArray[np.uint32]]:
    """For n = 1 to ORDER, the bucket of the n-gram that starts at each code point, less the last ORDER - 1. Wraps at 2^32.

    Args:
        codes: code points, (characters + ORDER - 1,).
    """
    size = len(codes) - ORDER + 1
    state = np.zeros(size, np.uint32)
    for n in range(1, ORDER + 1):  # multiply and xorshift; the constants are those of MurmurHash3, xxHash32 and Knuth
        state ^= state >> np.uint32(15)
        state *= np.uint32(0x85EBCA6B)
        state += (codes[n - 1 : n - 1 + size] + np.uint32(n)) * np.uint32(0xC2B2AE35)
        yield ((state ^ (state >> np.uint32(16))) * np.uint32(0x9E3779B1)) >> np.uint32(32 - BITS)


@dataclass(frozen=True)
class Model:
    """A logistic regression: a window's log odds are `bias` + `unit` * (sum of its n-grams' weights) / sqrt(its characters)."""

    weights: NDArray[np.int16]  # (2^BITS,), in units of `unit`: whole numbers, so that sums do not depend on the batch
    unit: float
    bias: float


@cache
def _model() -> Model:
    with resources.files(__package__).joinpath("toxicity.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return Model(arrays["weights"].astype(np.int16), float(arrays["unit"]), float(arrays["bias"]))


def _probabilities(texts: pl.Series) -> pl.Series:
    """Texts, taken in groups, into the probability of each one's worst window."""
    group = (texts.str.len_chars().cum_sum() // _GROUP).to_numpy()
    cuts = np.unique([0, *np.flatnonzero(np.diff(group)) + 1, len(texts)]).tolist()
    groups = (texts[a:b].to_frame("text").select(folded(TEXT))["text"].to_list() for a, b in pairwise(cuts))
    logits = np.concatenate([np.empty(0), *(window_logits(some, model=_model()) for some in groups)])
    return pl.Series(texts.name, 1 / (1 + np.exp(-logits)), dtype=pl.Float64)


def window_logits(texts: list[str], *, model: Model) -> NDArray[np.float64]:
    """The log odds of each folded text's worst window, (texts,); minus infinity for an empty text."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    begin = np.cumsum(lengths + _GAP) - lengths - _GAP
    blocks = -(-lengths // BLOCK)
    first = np.cumsum(blocks) - blocks  # each text's first block
    place = np.arange(blocks.sum()) - np.repeat(first, blocks)  # of a block in its text
    start = np.repeat(begin, blocks) + BLOCK * place
    end = np.minimum(start + BLOCK, np.repeat(begin + lengths, blocks))
    codes = np.frombuffer(("\0" * _GAP).join([*texts, ""]).encode("utf-32-le"), np.uint32)
    sums = np.concatenate([[0], np.cumsum(_block_sums(codes, start, end, model.weights))])
    sizes = np.concatenate([[0], np.cumsum(end - start)])

    full = WINDOW // BLOCK
    windows = np.where(blocks > 0, np.maximum(blocks - full + 1, 1), 0)
    head = np.cumsum(windows) - windows  # each text's first window
    left = np.arange(windows.sum()) - np.repeat(head - first, windows)
    right = np.minimum(left + full, np.repeat(first + blocks, windows))
    each = model.bias + model.unit * (sums[right] - sums[left]) / np.sqrt(sizes[right] - sizes[left])
    logits = np.full(len(texts), -np.inf)
    some = blocks > 0
    if some.any():
        logits[some] = np.maximum.reduceat(each, head[some])
    return logits


def _block_sums(
    codes: NDArray[np.uint32], start: NDArray[np.int64], end: NDArray[np.int64], weights: NDArray[np.int16]
) -> NDArray[np.int64]:
    """The sum of the weights of all n-grams that start in each block, (blocks,)."""
    sums = np.zeros(len(start), np.int64)
    cuts = np.unique(np.append(np.searchsorted(start, np.arange(0, len(codes), _CHUNK)), len(start)))
    for a, b in pairwise(cuts.tolist()):
        low, high = start[a], end[b - 1]
        each = np.zeros(high - low + 1, np.int32)  # one more, for reduceat wants each end to be a place
        for bucket in ngram_buckets(codes[low : high + _GAP]):
            each[:-1] += weights[bucket]
        sums[a:b] = np.add.reduceat(each, np.column_stack([start[a:b], end[a:b]]).ravel() - low)[::2]
    return sums
