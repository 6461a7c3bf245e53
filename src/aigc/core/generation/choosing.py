"""Logits into the next token of each text under way, as the decoding says."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from aigc.core.generation.constraints import Form
from aigc.core.generation.decoding import Sampling, drawn_tokens, filtered, greedy_tokens
from aigc.core.generation.phrases import Phrases
from aigc.core.generation.repeating import NoRepeatedGrams, RepetitionPenalty
from aigc.core.generation.request import Decoding, Request
from aigc.core.generation.spelling import known_tokens
from aigc.core.generation.watermarks import marker
from aigc.core.generation.writing import Terms, Trace, Writing
from aigc.core.tokens.text import TextCodec

__all__ = ["Chooser", "Rule"]


class Rule(Protocol):
    """Something that changes scores by what a row has had."""

    def begin(self, context: Sequence[int]) -> Trace:
        """Remember a row's prompt."""

    def apply(self, logits_BV: torch.Tensor, traces: Sequence[Any]) -> None:
        """Change the logits in place, by the trace of each row."""


class Chooser:
    """Chooses tokens for any number of texts at once, each by its own logits, text and seed.

    Scores are changed in the order of transformers: repetition penalty, n-grams, phrases, what keeps a text from ending, the form;
    then temperature, top-k, top-p, min-p and typical-p, and a watermark where its kind wants it. A text for which no token is left
    (a form that cannot go on without a banned phrase) ends there, with "length".

    It keeps nothing of the texts, so that one serves all runs of a decoding.

    Args:
        vocabulary: the width of the logits. What is wider than the tokenizer's vocabulary is never chosen.
        device: the logits'.
        start: what the decoder of an encoder-decoder reads first; with it, prompts are the encoder's, and penalties, n-grams and
            marks leave them alone.

    Raises:
        AigcError: a phrase or a constraint cannot be followed.
    """

    def __init__(
        self,
        codec: TextCodec,
        decoding: Decoding,
        *,
        vocabulary: int,
        device: torch.device | str = "cpu",
        start: Sequence[int] = (),
    ) -> None:
        self.terms = Terms.of(codec, decoding)
        self._sampling = Sampling.of(decoding)
        self._device = torch.device(device)
        self._start = list(start)
        self._rules = self._rules_of(codec, decoding, vocabulary)
        self._marker = None
        if decoding.watermark is not None:
            self._marker = marker(decoding.watermark, vocabulary=vocabulary, device=self._device)
        known = known_tokens(codec)
        known = known[known < vocabulary]
        self._width = vocabulary if self._marker is not None else int(known[-1]) + 1  # marks depend on the width
        unknown = np.setdiff1d(np.arange(self._width), known, assume_unique=True)
        self.unknown = torch.from_numpy(unknown).to(self._device) if len(unknown) else None

    def begin(self, request: Request, room: int) -> Writing:
        """A text for a request.

        Args:
            room: new tokens that fit behind the prompt. With 0 or less the text is finished.
        """
        context = self._start or request.prompt_ids
        return Writing(request, self.terms, room, [rule.begin(context) for rule in self._rules])

    @torch.inference_mode()
    def choose(self, logits_BV: torch.Tensor, writings: Sequence[Writing]) -> list[int]:
        """A token for each text, which takes it in or is finished with it.

        Args:
            logits_BV: scores of the next token of each text, as the model gives them; they may be changed.
            writings: none of them finished.
        """
        logits_BV = logits_BV.float()
        scores_BV = self.scores(logits_BV, writings) if self.terms.likelihood else self._ruled(logits_BV, writings)
        tokens_B = self._tokens(scores_BV, writings)
        tokens: list[int] = tokens_B.tolist()
        nats = [0.0] * len(tokens)
        if self.terms.likelihood:
            nats = logits_BV.log_softmax(-1).gather(-1, tokens_B[:, None])[:, 0].tolist()
        left = [True] * len(tokens)
        if self._rules or self.unknown is not None:
            left = (scores_BV.gather(-1, tokens_B[:, None])[:, 0] > -torch.inf).tolist()
        for writing, token, nat, some in zip(writings, tokens, nats, left, strict=True):
            if not some:
                writing.close("length")
                continue
            self.take(writing, token, nat)
        return tokens

    def take(self, writing: Writing, token: int, likelihood: float = 0.0) -> None:
        """Let a text, and what the rules remember of it, take in its next token.

        Args:
            likelihood: the logarithm of its probability.
        """
        whole = [trace.take(token) for trace in writing.traces] if token not in self.terms.ends else []
        writing.take(token, likelihood, whole=any(whole))

    def _rules_of(self, codec: TextCodec, decoding: Decoding, vocabulary: int) -> list[Rule]:
        terms, device = self.terms, self._device
        rules: list[Rule] = []
        if decoding.repetition_penalty != 1:
            rules.append(RepetitionPenalty(decoding.repetition_penalty))
        if decoding.no_repeat_ngram:
            rules.append(NoRepeatedGrams(decoding.no_repeat_ngram))
        if decoding.phrases:
            rules.append(Phrases(codec, decoding.phrases, vocabulary=vocabulary, device=device))
        if decoding.min_tokens:
            rules.append(_NoEarlyEnd(terms, vocabulary, device))
        if decoding.constraint is not None:
            rules.append(Form(codec, decoding.constraint, ends=terms.ends, vocabulary=vocabulary, device=device))
        return rules

    def scores(self, logits_BV: torch.Tensor, writings: Sequence[Writing]) -> torch.Tensor:
        """What tokens are chosen by, temperature and marks aside: (B, U), U up to the vocabulary, -inf for what is forbidden."""
        return self._ruled(logits_BV.clone() if self._rules or self.unknown is not None else logits_BV, writings)

    def _ruled(self, logits_BV: torch.Tensor, writings: Sequence[Writing]) -> torch.Tensor:
        """See `scores`; the logits are changed."""
        scores_BV = logits_BV[:, : self._width]
        if self.unknown is not None:
            scores_BV[:, self.unknown] = -torch.inf
        for number, rule in enumerate(self._rules):
            rule.apply(scores_BV, [writing.traces[number] for writing in writings])
        return scores_BV

    def _tokens(self, scores_BV: torch.Tensor, writings: Sequence[Writing]) -> torch.Tensor:
        marker = self._marker
        if marker is not None and not marker.after_filtering:
            scores_BV = marker.bias(scores_BV, self._contexts(writings))
        how = self._sampling
        if marker is not None and marker.after_filtering:
            scores_BV = scores_BV if how is None else filtered(scores_BV, how)
            scores_BV, how = marker.bias(scores_BV, self._contexts(writings)), None if how is None else Sampling()
        if how is None:
            return greedy_tokens(scores_BV)
        draws_B = torch.tensor([writing.draw() for writing in writings], dtype=torch.float64)
        return drawn_tokens(scores_BV, how, draws_B.to(self._device))

    def _contexts(self, writings: Sequence[Writing]) -> list[list[int]]:
        return [[*(self._start or writing.request.prompt_ids), *writing.ids] for writing in writings]


class _NoEarlyEnd:
    """Forbids the ends of a text that has too few tokens."""

    def __init__(self, terms: Terms, vocabulary: int, device: torch.device) -> None:
        self._tokens = terms.min_tokens
        ends = sorted(end for end in terms.ends | terms.stop_tokens if end < vocabulary)
        self._ends = torch.tensor(ends, dtype=torch.int64, device=device)

    def begin(self, context: Sequence[int]) -> "_Count":
        """A text that has nothing yet."""
        return _Count()

    def apply(self, logits_BV: torch.Tensor, traces: Sequence["_Count"]) -> None:
        """Change the logits in place."""
        early = [row for row, trace in enumerate(traces) if trace.tokens < self._tokens]
        if len(early) == len(traces):
            logits_BV.index_fill_(1, self._ends, -torch.inf)
        elif early:
            rows = torch.tensor(early, device=logits_BV.device)
            logits_BV[rows[:, None], self._ends] = -torch.inf


class _Count:
    """The tokens of a text."""

    tokens = 0

    def take(self, token: int) -> bool:
        """See Trace."""
        self.tokens += 1
        return False
