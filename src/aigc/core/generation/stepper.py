"""A model as generation sees it: sequences in slots, each with its keys and values, fed with tokens of several at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

__all__ = ["Feed", "Stepper"]


@dataclass(frozen=True)
class Feed:
    """The next tokens of a slot's sequence."""

    slot: int
    ids: Sequence[int]  # at least one
    wanted: int = 1  # logits behind so many of the last of them; 0 to len(ids)


class Stepper(Protocol):
    """A model that remembers what it has read."""

    @property
    def slots(self) -> int:
        """How many sequences it holds at once."""

    @property
    def context(self) -> int:
        """The most tokens of a sequence (of the decoder's, where there is an encoder)."""

    def begin(self, slot: int, source_ids: Sequence[int] | None = None) -> None:
        """Empty a slot for a new sequence.

        Args:
            source_ids: what the encoder reads, for an encoder-decoder.
        """

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """Read the feeds, at most one for each slot; logits (W, V) in fp32 behind the wanted tokens, in the order of the feeds.

        They hold until the next step, and may be changed.
        """

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let a slot hold the first tokens of another (and its source); what the target held is gone."""

    def cut(self, slot: int, tokens: int) -> None:
        """Forget all but the first tokens of a slot."""
