"""Phrases into the tokens that would complete one of them, whatever the tokens before were cut into."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import torch

from aigc.core.generation.request import Phrase
from aigc.core.generation.spelling import spelling
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Begun", "Phrases", "spellings"]

Losses = dict[int, float]  # nats that a token loses


def spellings(text: str) -> list[str]:
    """A phrase as it stands, in lower and UPPER case, and with one or all of its words Capitalised; a Chinese one as it stands."""
    titled = " ".join(word.capitalize() for word in text.split(" "))
    return list(dict.fromkeys([text, text.lower(), text.capitalize(), titled, text.upper()]))


class Phrases:
    """Takes from the scores of the tokens that would complete a phrase: all of it, or a phrase's penalty.

    What is compared are the bytes of the decoded text, so that it does not matter how a phrase is cut into tokens, nor whether a
    token holds more than the phrase. A phrase is found inside words, too: "ass" bans "class". Where a token would complete several,
    the highest penalty counts. Only the text counts: a phrase that begins in the prompt is not seen.

    It is the automaton of Aho and Corasick 1975. Its state is the longest end of the text that is the begin of a phrase; a state's
    tokens are found in the sorted vocabulary when it is first reached.

    Raises:
        AigcError: a phrase is empty, or what the tokenizer's tokens add to a text cannot be told.
    """

    def __init__(self, codec: TextCodec, phrases: Sequence[Phrase], *, vocabulary: int, device: torch.device) -> None:
        if not all(phrase.text for phrase in phrases):
            raise AigcError("phrases to ban or to discourage: one of them is empty")
        self._spelling = spelling(codec)
        self._device = device
        losses: dict[bytes, float] = {}
        for phrase in phrases:
            loss = math.inf if phrase.penalty is None else phrase.penalty
            for text in spellings(phrase.text):
                losses[text.encode()] = max(loss, losses.get(text.encode(), 0.0))
        self._losses = losses
        self._sorted = sorted(losses)
        self._begins = frozenset(whole[:size] for whole in losses for size in range(1, len(whole)))
        self._longest = max(map(len, losses), default=0)
        self._words: list[list[tuple[bytes, int]]] = []  # of each situation: bytes and tokens, sorted
        self._whole: list[Losses] = []  # of each situation: the tokens that hold a phrase
        for added in self._spelling.added:
            self._words.append(sorted((piece, token) for token, piece in enumerate(added[:vocabulary]) if piece))
            self._whole.append({token: loss for piece, token in self._words[-1] if (loss := self._worst_in(piece))})
        self._always = [self._tensors(whole) for whole in self._whole]
        self._more: dict[tuple[int, bytes], tuple[torch.Tensor, torch.Tensor] | None] = {}

    def begin(self, context: Sequence[int]) -> "Begun":
        """A text that has nothing yet."""
        return Begun(self)

    def apply(self, logits_BV: torch.Tensor, traces: Sequence["Begun"]) -> None:
        """Change the logits in place."""
        for situation, (tokens_N, losses_N) in enumerate(self._always):
            rows = [row for row, trace in enumerate(traces) if trace.situation == situation]
            if rows and len(tokens_N):
                at = (torch.tensor(rows, device=self._device)[:, None], tokens_N)
                logits_BV[at] -= losses_N
        for row, trace in enumerate(traces):
            more = self._completing(trace.situation, trace.begun) if trace.begun else None
            if more is not None:
                logits_BV[row, more[0]] -= more[1]

    def step(self, situation: int, begun: bytes, token: int) -> tuple[int, bytes]:
        """The situation and what of a phrase has begun, behind one more token."""
        text = begun + self._spelling.added[situation][token]
        following = self._spelling.next(situation, token)
        for at in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[at:] in self._begins:
                return following, text[at:]
        return following, b""

    def _worst_in(self, piece: bytes) -> float:
        """The highest loss of the phrases that the bytes hold; 0: none."""
        worst = 0.0
        for first in range(len(piece)):
            for last in range(first + 1, len(piece) + 1):
                part = piece[first:last]
                worst = max(worst, self._losses.get(part, 0.0))
                if part not in self._begins:
                    break
        return worst

    def _completing(self, situation: int, begun: bytes) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The tokens that complete what has begun, and what they lose more than for what they hold themselves."""
        key = situation, begun
        if key not in self._more:
            words, whole = self._words[situation], self._whole[situation]
            found: Losses = {}
            for at in range(len(begun)):
                begin = begun[at:]
                if begin not in self._begins:
                    continue
                for number in range(bisect_right(self._sorted, begin), len(self._sorted)):
                    phrase = self._sorted[number]
                    if not phrase.startswith(begin):
                        break
                    rest = phrase[len(begin) :]
                    for place in range(bisect_left(words, (rest, -1)), len(words)):
                        piece, token = words[place]
                        if not piece.startswith(rest):
                            break
                        found[token] = max(self._losses[phrase], found.get(token, 0.0))
            more = {token: loss - whole.get(token, 0.0) for token, loss in found.items() if loss > whole.get(token, 0.0)}
            self._more[key] = self._tensors(more) if more else None
        return self._more[key]

    def _tensors(self, losses: Losses) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.tensor(list(losses), dtype=torch.int64, device=self._device)
        return tokens, torch.tensor(list(losses.values()), dtype=torch.float32, device=self._device)


class Begun:
    """How much of a phrase a text ends with."""

    __slots__ = ("_phrases", "begun", "situation")

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases
        self.situation = 0
        self.begun = b""

    def take(self, token: int) -> bool:
        """See Trace."""
        self.situation, self.begun = self._phrases.step(self.situation, self.begun, token)
        return False
