"""A key into a statistical mark in the choice of tokens, and tokens into the evidence that they bear it."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.generation.request import Watermark

__all__ = ["ENOUGH", "Evidence", "Marker", "marker"]

ENOUGH = 180  # tokens that count, below which a mark is easily missed: those of a text of 200

DEPTH = 30  # layers of the tournament; Dathathri et al. 2024 take 30
CONTEXT = 4  # tokens that seed the next one's scores: transformers' ngram_len 5
HISTORY = 1024  # contexts that are remembered: transformers' context_history_size
SHARE = 0.25  # of the vocabulary that is green, and
BOOST = 2.0  # nats that it gains: transformers' defaults, after Kirchenbauer et al. 2023
MULTIPLIER = 6364136223846793005  # of transformers' hash of a sequence: h <- (h + token) * MULTIPLIER + 1
SIZE = 1 << 16  # of transformers' table of scores; a power of two, so that 16 bits of the hash decide


@dataclass(frozen=True)
class Evidence:
    """What a text's tokens say for a mark."""

    tokens: int  # that count: those whose context was not there before
    z: float  # how far the score is above that of unmarked text, in its standard deviations
    p_value: float  # the chance that unmarked text scores as high; 1 where no token counts


class Marker(Protocol):
    """One kind of mark with its key."""

    after_filtering: bool  # whether `bias` wants logits that temperature, top-k and the like have already changed

    def bias(self, logits_BV: torch.Tensor, contexts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits (B, V) of the next token, changed so that what is drawn from them bears the mark.

        Args:
            logits_BV: -inf where a token is ruled out; it stays so.
            contexts: the ids of each row so far. A row's result depends on its own ids only.
        """

    def evidence(self, ids: Sequence[int]) -> Evidence:
        """Test a text without knowing its prompt.

        Args:
            ids: of the text alone, encoded anew. Its first tokens do not count, for what they were seeded by is not known.
        """


def marker(watermark: Watermark, *, vocabulary: int, device: torch.device) -> Marker:
    """The mark of a kind and key.

    Its tables are drawn on the CPU whatever the device, so that a mark made on a GPU is found without one.

    Args:
        vocabulary: the width of the model's logits. A green list is another where this is.
    """
    if watermark.kind == "synthid":
        return Tournament(watermark.key, device)
    return GreenList(watermark.key, vocabulary, device)


def secrets(key: int, count: int) -> list[int]:
    """Numbers below 2**63 that tell nothing of the key."""
    digests = (hashlib.sha256(f"aigc watermark {key} {number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:8], "big") >> 1 for digest in digests]


class Tournament:
    """SynthID-Text (Dathathri et al. 2024, https://doi.org/10.1038/s41586-024-08025-4), without distortion for a single token.

    The same as transformers' SynthIDTextWatermarkLogitsProcessor, but without its state, which holds one batch from start to end:
    what a row has seen is read off its ids. There as here the text's own tokens are the context, and zeros stand before the
    first; where `contexts` begin with the prompt, its last tokens stand there instead. A context that was there before is not
    marked again.
    """

    after_filtering = True

    def __init__(self, key: int, device: torch.device) -> None:
        self.keys = secrets(key, DEPTH)
        [self.table_seed] = secrets(key, DEPTH + 1)[DEPTH:]
        table = torch.randint(0, 2, (SIZE,), generator=torch.Generator().manual_seed(self.table_seed), dtype=torch.int32).numpy()
        packed, scores = np.zeros(SIZE, np.int32), np.zeros(SIZE)
        # the first layers decide the most, so they count the most: Dathathri et al., "weighted mean"
        for layer, (one, weight) in enumerate(zip(self.keys, np.linspace(10.0, 1.0, DEPTH), strict=True)):
            layer_S = np.roll(table, -(one * MULTIPLIER % SIZE))
            packed |= layer_S << layer
            scores += weight * layer_S
        self._packed = torch.from_numpy(packed).to(device)
        self._scores: NDArray[np.float64] = scores

    def bias(self, logits_BV: torch.Tensor, contexts: Sequence[Sequence[int]]) -> torch.Tensor:
        """See Marker; log-probabilities, but for the rows whose context was there before, which stay."""
        marked = logits_BV.clone()
        fresh = [row for row, ids in enumerate(contexts) if not _repeated(ids)]
        if not fresh:
            return marked
        device = logits_BV.device
        exact = torch.float32 if device.type == "mps" else torch.float64
        offsets_B = torch.tensor([_place(_padded(contexts[row], CONTEXT)) for row in fresh], device=device)
        most = int((logits_BV > -math.inf).sum(-1).max())
        if most <= logits_BV.shape[1] // 8:
            some_BK, tokens_BK = logits_BV[fresh].topk(most, dim=-1)
            changed_BK = self._played(some_BK.to(exact), tokens_BK, offsets_B[:, None]).to(marked.dtype)
            marked[torch.tensor(fresh, device=device)[:, None], tokens_BK] = changed_BK
            return marked
        tokens_V = torch.arange(logits_BV.shape[1], device=device)
        for row, offset in zip(fresh, offsets_B, strict=True):  # one by one: a row fits the processor's cache
            marked[row] = self._played(logits_BV[row].to(exact), tokens_V, offset).to(marked.dtype)
        return marked

    def _played(self, logits: torch.Tensor, tokens: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the winner of a tournament among draws from the logits; any shape, the last axis are tokens."""
        packed = self._packed[(tokens * (MULTIPLIER**2 % SIZE) + offset) % SIZE]
        chances = logits.softmax(-1)
        for _ in range(DEPTH):
            score = (packed & 1).to(chances.dtype)
            packed >>= 1
            chances *= score.add_(1 - torch.linalg.vecdot(score, chances)[..., None])
        return chances.clamp_min(0).log()  # rounding may lead below

    def evidence(self, ids: Sequence[int]) -> Evidence:
        """See Marker. The mean score of the tokens against all that the table can give; a normal distribution for their mean."""
        scores = []
        seen = set()
        for at in range(CONTEXT, len(ids)):
            context = tuple(ids[at - CONTEXT : at])
            if context not in seen:
                seen.add(context)
                scores.append(self._scores[(int(ids[at]) * MULTIPLIER**2 + _place(context)) % SIZE])
        if not scores:
            return Evidence(0, 0.0, 1.0)
        z = (float(np.mean(scores)) - float(self._scores.mean())) / (float(self._scores.std()) / math.sqrt(len(scores)))
        return Evidence(len(scores), z, 0.5 * math.erfc(z / math.sqrt(2)))


def _padded(ids: Sequence[int], length: int) -> list[int]:
    tail = list(ids[-length:])
    return [0] * (length - len(tail)) + tail


def _place(context: Sequence[int]) -> int:
    """Where in the table of scores token 0 stands after a context; a token t stands t * MULTIPLIER**2 further."""
    value = 1
    for token in context:
        value = ((value + token) * MULTIPLIER + 1) % SIZE
    return (value * MULTIPLIER**2 + MULTIPLIER + 1) % SIZE


def _repeated(ids: Sequence[int]) -> bool:
    """Whether the last context was one of the last HISTORY before it."""
    tail = _padded(ids, min(len(ids) + CONTEXT, HISTORY + CONTEXT))
    last = tail[-CONTEXT:]
    at = -1
    try:
        while True:  # list.index is the fastest way through a thousand numbers
            at = tail.index(last[-1], at + 1, len(tail) - 1)
            if at >= CONTEXT - 1 and tail[at - CONTEXT + 1 : at + 1] == last:
                return True
    except ValueError:
        return False


class GreenList:
    """A quarter of the vocabulary, drawn anew after each token, is the likelier (Kirchenbauer et al. 2023, arXiv 2301.10226).

    The same as transformers' WatermarkLogitsProcessor with `lefthash`. It changes what is likely, so it costs some quality; and it
    works without drawing, too.
    """

    after_filtering = True

    def __init__(self, key: int, vocabulary: int, device: torch.device) -> None:
        [self.hashing_key] = secrets(key, 1)
        self._vocabulary, self._device = vocabulary, device
        self._size = int(vocabulary * SHARE)
        self._green = lru_cache(maxsize=1024)(self._drawn)

    def _drawn(self, token: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.hashing_key * token % (2**64 - 1))
        green_V = torch.zeros(self._vocabulary, dtype=torch.bool)
        green_V[torch.randperm(self._vocabulary, generator=generator)[: self._size]] = True
        return green_V.to(self._device)

    def bias(self, logits_BV: torch.Tensor, contexts: Sequence[Sequence[int]]) -> torch.Tensor:
        """See Marker."""
        rows = [row for row, ids in enumerate(contexts) if len(ids)]
        if not rows:
            return logits_BV
        green_BV = torch.stack([self._green(contexts[row][-1]) for row in rows])
        marked = logits_BV.clone()
        marked[rows] += green_BV * BOOST
        return marked

    def evidence(self, ids: Sequence[int]) -> Evidence:
        """See Marker. How many pairs of neighbours, each counted once, are green; the p-value is the binomial one."""
        pairs = {pair for pair in pairwise(ids) if max(pair) < self._vocabulary}
        if not pairs:
            return Evidence(0, 0.0, 1.0)
        green = sum(bool(self._green(before)[token]) for before, token in sorted(pairs))
        share, count = self._size / self._vocabulary, len(pairs)
        z = (green - share * count) / math.sqrt(count * share * (1 - share))
        return Evidence(count, z, _at_least(green, count, share))


def _at_least(hits: int, trials: int, chance: float) -> float:
    """The chance of so many hits or more."""
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(chance)
        + (trials - k) * math.log1p(-chance)
        for k in range(hits, trials + 1)
    ]
    return min(1.0, math.fsum(map(math.exp, logs)))
