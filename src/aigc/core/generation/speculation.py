"""A model and a small one that guesses ahead into one Stepper, which gives the model's own logits after fewer of its steps.

A token is chosen by the model's logits and the row's own draw alone, so that a guess can only be right or wrong: where the token
that is chosen is the one that was guessed, the model has read it already, together with others in one step, and its logits are at
hand. Texts are the same as without guesses, token for token. Source of reading guesses in one step: Leviathan et al. 2023; its
rule of acceptance, which keeps the distribution only, is not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from aigc.core.generation.decoding import Sampling, drawn_tokens, greedy_tokens
from aigc.core.generation.request import Decoding, Request
from aigc.core.generation.stepper import Feed, Stepper
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Follows", "Speculation", "check_vocabularies"]


class Follows(Protocol):
    """A text under way, as `writing.Writing` is: its next token is drawn by number `len(ids)` of its request's seed."""

    @property
    def request(self) -> Request: ...
    @property
    def ids(self) -> Sequence[int]: ...


def check_vocabularies(ours: TextCodec, theirs: TextCodec, name: str) -> None:
    """See that a draft's tokens are the model's.

    Raises:
        AigcError: they are others.
    """
    mine, others = ours.tokenizer.get_vocab(), theirs.tokenizer.get_vocab()
    if mine != others:
        unlike = len(mine.items() ^ others.items())
        raise AigcError(f"generate.draft: {name} has another vocabulary than the checkpoint: {unlike:,} tokens are not the same")


@dataclass
class _Slot:
    """What both models have read of a sequence."""

    read: list[int] = field(default_factory=list)  # by the target, guesses included
    held: int = 0  # tokens of it that the caller has fed
    drafted: list[int] = field(default_factory=list)  # what the draft has read of that
    logits: dict[int, torch.Tensor] = field(default_factory=dict)  # (V,) behind the token at a place, of those that were read last


class Speculation:
    """A Stepper that reads guesses along with what it is fed; see the protocol Stepper.

    It gives back the logits of any feeds. To have few steps of the target with many rows in each, step what `first` says; and for
    drawn texts say with `follow` how: the draft then guesses with the very number that the token will be drawn with.
    """

    def __init__(self, target: Stepper, draft: Stepper, tokens: int) -> None:
        """
        Args:
            draft: has as many slots, and the same vocabulary: see `check_vocabularies`.
            tokens: guessed at once.
        """
        assert draft.slots >= target.slots and tokens > 0
        self._target, self._draft, self._tokens = target, draft, tokens
        self._rows = [_Slot() for _ in range(target.slots)]
        self._how: Sampling | None = None
        self._texts: dict[int, Follows] = {}  # by slot

    def follow(self, decoding: Decoding) -> None:
        """Guess as tokens are chosen, as far as the draft alone can tell; without it, guesses are the draft's likeliest tokens."""
        self._how = Sampling.of(decoding)

    @property
    def slots(self) -> int:
        """See Stepper."""
        return self._target.slots

    @property
    def context(self) -> int:
        """See Stepper."""
        return self._target.context

    def begin(self, slot: int, source_ids: Sequence[int] | None = None) -> None:
        """See Stepper."""
        self._rows[slot] = _Slot()
        for model in (self._target, self._draft):
            model.begin(slot, source_ids)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """See Stepper. With the whole of a sequence goes what was guessed behind it."""
        old = self._rows[source]
        assert tokens <= old.held
        whole = tokens == old.held
        read = old.read[: None if whole else tokens]
        drafted = old.drafted[: len(read)]
        self._target.copy(source, target, len(read))
        self._draft.copy(source, target, len(drafted))
        self._rows[target] = _Slot(read, tokens, drafted, dict(old.logits) if whole else {})

    def cut(self, slot: int, tokens: int) -> None:
        """See Stepper."""
        row = self._rows[slot]
        assert tokens <= row.held
        self._forget(slot, tokens)
        row.held = tokens

    def first(self, feeds: Sequence[Feed], texts: Sequence[Follows]) -> list[int]:
        """The places of the feeds to step next: of those whose logits are there; of all, where there are none.

        Args:
            texts: under way, one for each feed.
        """
        self._texts = {feed.slot: text for feed, text in zip(feeds, texts, strict=True)}
        return [place for place, feed in enumerate(feeds) if self._known(feed)] or list(range(len(feeds)))

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """See Stepper."""
        new = [feed for feed in feeds if not self._known(feed)]
        for feed in new:
            self._forget(feed.slot, self._rows[feed.slot].held)
        if new:
            self._look(new, self._guesses(new))
        found: list[torch.Tensor] = []
        for feed in feeds:
            row = self._rows[feed.slot]
            row.held += len(feed.ids)
            found += [row.logits[at] for at in range(row.held - feed.wanted, row.held)]
        return torch.stack(found) if found else torch.empty(0)

    def _known(self, feed: Feed) -> bool:
        """Whether the logits behind a feed are there."""
        row = self._rows[feed.slot]
        end = row.held + len(feed.ids)
        return row.read[row.held : end] == list(feed.ids) and all(at in row.logits for at in range(end - feed.wanted, end))

    def _forget(self, slot: int, tokens: int) -> None:
        """Let both models hold the first tokens of a slot only."""
        row = self._rows[slot]
        if tokens < len(row.read):
            self._target.cut(slot, tokens)
            kept = min(len(row.drafted), tokens)
            if kept < len(row.drafted):
                self._draft.cut(slot, kept)
            row.drafted, row.read = row.drafted[:kept], row.read[:tokens]
        row.logits = {}

    def _guesses(self, feeds: Sequence[Feed]) -> list[list[int]]:
        """What the draft expects behind each feed; nothing where a context ends."""
        found: list[list[int]] = [[] for _ in feeds]
        whole = [[*self._rows[feed.slot].read, *feed.ids] for feed in feeds]
        for _ in range(self._tokens):
            going = [i for i, ids in enumerate(whole) if len(ids) < self._target.context and len(ids) <= self._draft.context]
            if not going:
                break
            asked = []
            for i in going:
                row = self._rows[feeds[i].slot]
                asked.append(Feed(feeds[i].slot, whole[i][len(row.drafted) :]))
                row.drafted = list(whole[i])
            tokens = self._chosen(self._draft.step(asked), [(feeds[i].slot, len(found[i])) for i in going])
            for i, token in zip(going, tokens, strict=True):
                found[i].append(token)
                whole[i].append(token)
        return found

    def _chosen(self, logits_BV: torch.Tensor, rows: Sequence[tuple[int, int]]) -> list[int]:
        """Guesses by the draft's logits.

        Args:
            rows: of each, the slot and how many guesses are before this one.
        """
        tokens: list[int]
        if self._how is None or not all(slot in self._texts for slot, _ in rows):
            tokens = greedy_tokens(logits_BV).tolist()
            return tokens
        draws = []
        for slot, before in rows:
            text = self._texts[slot]
            number = len(text.ids) + before
            draws.append(np.random.default_rng(text.request.seed).random(number + 1)[number])
        draws_B = torch.tensor(draws, dtype=torch.float64, device=logits_BV.device)
        tokens = drawn_tokens(logits_BV.float(), self._how, draws_B).tolist()
        return tokens

    def _look(self, feeds: Sequence[Feed], guesses: Sequence[list[int]]) -> None:
        """Let the target read the feeds and what was guessed behind them."""
        asked = [Feed(feed.slot, [*feed.ids, *more], feed.wanted + len(more)) for feed, more in zip(feeds, guesses, strict=True)]
        logits_WV = self._target.step(asked).clone()
        first = 0
        for feed in asked:
            row = self._rows[feed.slot]
            row.read += feed.ids
            begin = len(row.read) - feed.wanted
            row.logits = {begin + k: logits_WV[first + k] for k in range(feed.wanted)}
            first += feed.wanted
