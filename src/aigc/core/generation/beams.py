"""The tokens of beams into what transformers asks while it searches: which tokens may follow, and which beams are complete."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch

from aigc.core.generation.choosing import Chooser
from aigc.core.generation.writing import Writing

__all__ = ["Beams"]

Key = tuple[int, tuple[int, ...]]  # a row, and the tokens of a beam


class Beams:
    """The texts of all beams of some rows, by their tokens."""

    def __init__(self, writings: Sequence[Writing], chooser: Chooser, *, known: int) -> None:
        """
        Args:
            writings: of each row, without tokens.
            known: tokens that every beam begins with, before its text.
        """
        self._first, self._chooser, self._known = writings, chooser, known
        self._held: dict[Key, Writing] = {(row, ()): writing for row, writing in enumerate(writings)}
        self._forbidden: dict[Key, torch.Tensor] = {}  # (V,)
        self._stuck: set[Key] = set()  # texts behind which all tokens are forbidden

    @property
    def needed(self) -> bool:
        """Whether transformers by itself would not do."""
        chooser = self._chooser
        ruled = bool(self._first[0].traces) or chooser.unknown is not None
        return ruled or chooser.terms.read or bool(chooser.terms.stop_tokens)

    def changed(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """A logits processor: scores (N, V), -inf for what may not follow. Where nothing may, the text ends."""
        keys = self._keys(input_ids)
        going = [number for number, key in enumerate(keys) if key in self._held and self._held[key].finish is None]
        if not going:
            return scores
        places = torch.tensor(going, device=scores.device)
        kept_MV = torch.full_like(scores[places], -torch.inf)
        found_MV = self._chooser.scores(scores[places], [self._held[keys[number]] for number in going])
        kept_MV[:, : found_MV.shape[-1]] = found_MV
        for number, stuck in zip(going, (kept_MV == -torch.inf).all(-1).tolist(), strict=True):
            if stuck:
                self._stuck.add(keys[number])
                kept_MV[going.index(number), min(self._chooser.terms.ends)] = 0.0
        self._forbidden = dict(zip((keys[number] for number in going), kept_MV == -torch.inf, strict=True))
        return scores.index_copy(0, places, kept_MV)

    def ended(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """A stopping criterion: (N,) whether each beam with its new token is complete, or should not be."""
        held: dict[Key, Writing] = {}
        done = []
        for key in self._keys(input_ids):
            row, tokens = key
            before = row, tokens[:-1]
            writing = self._held.get(before)
            if writing is None or writing.finish is not None or bool(self._forbidden[before][tokens[-1]]):
                done.append(True)  # transformers goes on with what is complete where a row has nothing else left
                continue
            held[key] = self._grown(row, writing, tokens[-1])
            done.append(held[key].finish is not None)
        self._held = held
        return torch.tensor(done, device=input_ids.device)

    def best(self, row: int, tokens: Sequence[int], nats: Sequence[float]) -> Writing:
        """The text of a row whose tokens were found; it ends where it should."""
        writing = self._first[row]
        for at, (token, one) in enumerate(zip(tokens, nats, strict=True)):
            if writing.finish is None and (row, tuple(tokens[:at])) not in self._stuck:
                self._chooser.take(writing, token, one)
        writing.close("length")
        return writing

    def _keys(self, input_ids: torch.Tensor) -> list[Key]:
        """Of the beams, those of a row standing together."""
        each = len(input_ids) // len(self._first)
        return [(number // each, tuple(ids)) for number, ids in enumerate(input_ids[:, self._known :].tolist())]

    def _grown(self, row: int, before: Writing, token: int) -> Writing:
        """A text and one more token; what the rules remember is made anew, for not all of it can be copied."""
        writing = copy(before)
        writing.ids = list(before.ids)
        if before.traces:
            writing.traces = self._chooser.begin(before.request, before.limit).traces
            for trace in writing.traces:
                for one in before.ids:
                    trace.take(one)
        self._chooser.take(writing, token)
        return writing
