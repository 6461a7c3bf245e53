"""A prompt with gaps into the text without them: by a masked model in rounds, or by a causal one that learned to write middles."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from transformers import PreTrainedModel

from aigc.core.generation.arrivals import gathered
from aigc.core.generation.decoding import Sampling, drawn_tokens, greedy_tokens
from aigc.core.generation.gaps import GAP, Gapped, filled, is_spaced, parts_of
from aigc.core.generation.refusals import refuse
from aigc.core.generation.request import Decoding, Drawn, Engine, Request, Watch
from aigc.core.model.attention import unpacked
from aigc.core.model.checkpoints import context_of
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Infilling", "Middle"]

ROUNDS = 10  # at most, of drawing: as many as Mask-Predict takes
_NOT_IN_GAPS = (  # what is about texts that are written from left to right
    *("min_tokens", "repetition_penalty", "no_repeat_ngram", "contrastive", "beams", "stop_strings"),
    *("max_characters", "max_sentences", "phrases", "constraint", "watermark"),
)


class Infilling:
    """A masked model as an engine: every gap of a prompt becomes one token.

    Mask-Predict (Ghazvininejad et al. 2019): the first of T rounds fills all gaps at once; behind round t, the (T-t)/T of all gaps
    whose tokens the model found least probable are opened again. With likeliest tokens (temperature 0) there are as many rounds as
    gaps; with drawn ones 10 at most, and in each a number of the row's own seed for each open gap.
    """

    quality = ""

    def __init__(self, model: PreTrainedModel, codec: TextCodec, *, name: str = "torch", rows: int = 16) -> None:
        """
        Args:
            model: an encoder with a head for tokens.
            name: see Engine.
            rows: prompts at once.

        Raises:
            AigcError: the tokenizer has no mask token.
        """
        if codec.mask is None:
            raise AigcError(f"{model.name_or_path}: the tokenizer has no mask token, so that the checkpoint cannot fill in gaps")
        self.model, self.codec = model.eval(), codec
        self.name = name
        self._mask, self._rows = codec.mask, rows

    def request(self, text: str, *, seed: int, key: int = 0) -> Gapped:
        """A prompt as the model reads it.

        Raises:
            AigcError: it has no gap.
        """
        texts = parts_of(text, self.codec)
        if len(texts) < 2:
            raise _no_gap()
        known = [part.rstrip() for part in texts[:-1]] if is_spaced(self.codec) else texts[:-1]
        first, *others = self.codec.encode([self.codec.prefix + known[0], *known[1:], texts[-1]])
        ids = [*self.codec.start, *first]
        for part in others:
            ids += [self._mask, *part]
        return Gapped([*ids, self.codec.end], seed, key, tuple(texts))

    def room_for(self, prompt_tokens: int) -> int:
        """1 where a prompt fits, gaps included; 0 or less: it is too long."""
        return min(1, context_of(self.model) - prompt_tokens + 1)

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """Fill in all gaps, of as many prompts at once as have come.

        A row's text is the whole prompt without gaps; its ids are those in the gaps, in their order. The likelihood is the sum of
        the log-probabilities of these, each as the model gave it in the round that filled the gap last.

        Args:
            requests: of `request`.
            watch: is told each text when it is whole.

        Raises:
            AigcError: filling in cannot keep what is asked of texts, or a prompt has no gap.
        """
        refuse(decoding, "a masked checkpoint fills in gaps and", _NOT_IN_GAPS)
        for some in gathered(requests, self._rows):
            for request, drawn in zip(some, self._filled(some, decoding), strict=True):
                if watch is not None:
                    watch(request, drawn.text)
                yield request, drawn

    @torch.inference_mode()
    def _filled(self, requests: Sequence[Request], decoding: Decoding) -> list[Drawn]:
        rows = [_Row.of(request, self._mask, decoding) for request in requests]
        number = 0
        while going := [row for row in rows if number < row.rounds]:
            number += 1
            for row, logits_GV in zip(going, self._logits(going), strict=True):
                row.fill(logits_GV, self._silent(logits_GV.shape[-1]).to(logits_GV.device), decoding)
                row.open = row.doubtful(number)
                for at in row.open:
                    row.ids[row.places[at]] = self._mask
        return [
            Drawn(
                filled(row.texts, row.tokens, self.codec),
                len(row.tokens),
                "end",
                tuple(row.tokens),
                sum(row.nats) if decoding.likelihood else None,
            )
            for row in rows
        ]

    def _logits(self, rows: Sequence["_Row"]) -> list[torch.Tensor]:
        """(G, V) of the open gaps of each row."""
        device = next(self.model.parameters()).device
        longest = max(len(row.ids) for row in rows)
        ids_BT = torch.tensor([row.ids + [self.codec.pad] * (longest - len(row.ids)) for row in rows], device=device)
        lengths_B = torch.tensor([len(row.ids) for row in rows], device=device)
        mask_BT = (torch.arange(longest, device=device) < lengths_B[:, None]).long()
        with unpacked(self.model):
            out = self.model(input_ids=ids_BT, attention_mask=mask_BT)
        logits_BTV = out.logits if hasattr(out, "logits") else out.prediction_logits  # of a model that also tells pairs
        return [logits_BTV[number, [row.places[at] for at in row.open]].float() for number, row in enumerate(rows)]

    def _silent(self, width: int) -> torch.Tensor:
        """(V,) Which tokens fill no gap: those that stand for no text."""
        silent = np.ones(width, np.bool_)
        silent[: self.codec.vocabulary] = self.codec.byte_lengths == 0
        if self.codec.unknown is not None:
            silent[self.codec.unknown] = True
        return torch.from_numpy(silent)


@dataclass
class _Row:
    """A prompt that is being filled in."""

    texts: tuple[str, ...]
    ids: list[int]
    places: list[int]  # of its N gaps among the ids
    rng: np.random.Generator
    rounds: int
    open: list[int] = field(default_factory=list)  # which of the gaps are to be filled
    tokens: list[int] = field(default_factory=list)  # (N,)
    nats: list[float] = field(default_factory=list)  # (N,) log-probability of each as it was chosen

    @classmethod
    def of(cls, request: Request, mask: int, decoding: Decoding) -> "_Row":
        ids = list(request.prompt_ids)
        places = [at for at, id_ in enumerate(ids) if id_ == mask]
        if not isinstance(request, Gapped) or not places:
            raise _no_gap()
        rounds = len(places) if Sampling.of(decoding) is None else min(len(places), ROUNDS)
        row = cls(request.texts, ids, places, np.random.default_rng(request.seed), rounds)
        row.open, row.tokens, row.nats = list(range(len(places))), [mask] * len(places), [0.0] * len(places)
        return row

    def fill(self, logits_GV: torch.Tensor, silent_V: torch.Tensor, decoding: Decoding) -> None:
        """Choose a token for each of the G open gaps."""
        scores_GV = logits_GV.masked_fill(silent_V, -torch.inf)
        how = Sampling.of(decoding)
        if how is None:
            chosen_G = greedy_tokens(scores_GV)
        else:
            chosen_G = drawn_tokens(scores_GV, how, torch.from_numpy(self.rng.random(len(self.open))).to(logits_GV.device))
        nats_G = logits_GV.log_softmax(-1).gather(-1, chosen_G[:, None])[:, 0]
        for at, token, nats in zip(self.open, chosen_G.tolist(), nats_G.tolist(), strict=True):
            self.tokens[at], self.nats[at] = token, nats
            self.ids[self.places[at]] = token

    def doubtful(self, number: int) -> list[int]:
        """The gaps to open again behind the round of this number, from 1 on."""
        count = len(self.places) * (self.rounds - number) // self.rounds
        return sorted(sorted(range(len(self.places)), key=lambda at: self.nats[at])[:count])


class Middle:
    """An engine of a causal model, which also fills in the one gap of a prompt, if the model was trained with `fill_in_middle`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.codec, self.quality = engine.name, engine.codec, engine.quality

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """A prompt as the model reads it: one with a gap as prefix and suffix, another as it stands.

        Raises:
            AigcError: it has a gap that the model cannot fill in, or several.
        """
        codec = self.codec
        texts = parts_of(text, codec)
        if len(texts) == 1:
            return self.engine.request(text, seed=seed, key=key)
        if codec.infill is None:
            raise AigcError(f"the prompt has a gap ({GAP}), and the checkpoint was not trained with fill_in_middle")
        if len(texts) > 2:
            raise AigcError(f"the prompt has {len(texts) - 1} gaps ({GAP}), and a causal checkpoint fills in one")
        before, prefix, suffix = codec.encode([codec.prefix, *texts])
        pre, suf, mid = codec.infill
        return Gapped([*codec.start, *before, pre, *prefix, suf, *suffix, mid], seed, key, tuple(texts))

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return self.engine.room_for(prompt_tokens)

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine. The text of a prompt with a gap is the whole one; all else that is told of it is of what fills the gap."""
        for request, drawn in self.engine.draw(requests, decoding, watch):
            if isinstance(request, Gapped):
                prefix, suffix = request.texts
                drawn = replace(drawn, text=prefix + drawn.text + suffix)
            yield request, drawn


def _no_gap() -> AigcError:
    return AigcError(f"the prompt has no gap to fill in: {GAP} stands for one token")
