"""What a row has had, into scores that keep it from saying the same again."""

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["Grams", "NoRepeatedGrams", "RepetitionPenalty", "Seen", "places"]


def places(columns: Sequence[np.ndarray | Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns (N,) of what is listed for each row."""
    rows = np.repeat(np.arange(len(columns)), [len(some) for some in columns])
    flat = np.concatenate([np.asarray(some, np.int64) for some in columns]) if columns else np.zeros(0, np.int64)
    return torch.from_numpy(rows).to(device), torch.from_numpy(flat).to(device)


class Seen:
    """The different tokens of a row, in the order in which they came."""

    def __init__(self, context: Sequence[int]) -> None:
        different = list(dict.fromkeys(context))
        self._known = set(different)
        self._ids = np.zeros(max(64, 2 * len(different)), np.int64)
        self._ids[: len(different)] = different

    @property
    def ids(self) -> np.ndarray:
        """All of them."""
        return self._ids[: len(self._known)]

    def take(self, token: int) -> bool:
        """See Trace."""
        if token not in self._known:
            if len(self._known) == len(self._ids):
                self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._ids[len(self._known)] = token
            self._known.add(token)
        return False


class RepetitionPenalty:
    """Divides the positive scores of tokens that were there before, and multiplies the negative ones.

    Source: Keskar et al. 2019 (CTRL); prompt and text count, as in transformers.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty

    def begin(self, context: Sequence[int]) -> Seen:
        """Remember a prompt."""
        return Seen(context)

    def apply(self, logits_BV: torch.Tensor, traces: Sequence[Seen]) -> None:
        """Change the logits in place."""
        at = places([trace.ids for trace in traces], logits_BV.device)
        scores_N = logits_BV[at]
        logits_BV[at] = torch.where(scores_N < 0, scores_N * self._penalty, scores_N / self._penalty)


class Grams:
    """Which tokens came behind each run of n - 1 tokens of a row."""

    def __init__(self, context: Sequence[int], n: int) -> None:
        self._n = n
        self._behind: dict[tuple[int, ...], list[int]] = {}
        self._last: list[int] = []
        for token in context:
            self.take(token)

    @property
    def repeated(self) -> list[int]:
        """The tokens that would complete a run of n tokens for a second time."""
        return self._behind.get(tuple(self._last), [])

    def take(self, token: int) -> bool:
        """See Trace."""
        if len(self._last) == self._n - 1:
            self._behind.setdefault(tuple(self._last), []).append(token)
            del self._last[:1]
        if self._n > 1:
            self._last.append(token)
        return False


class NoRepeatedGrams:
    """Forbids what would be the second of two equal runs of n tokens, in prompt and text, as in transformers."""

    def __init__(self, n: int) -> None:
        self._n = n

    def begin(self, context: Sequence[int]) -> Grams:
        """Remember a prompt."""
        return Grams(context, self._n)

    def apply(self, logits_BV: torch.Tensor, traces: Sequence[Grams]) -> None:
        """Change the logits in place."""
        logits_BV[places([trace.repeated for trace in traces], logits_BV.device)] = -torch.inf
