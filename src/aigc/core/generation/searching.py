"""Prompts into the texts that beam search or contrastive search finds: an engine that draws nothing."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

from aigc.core.generation.arrivals import gathered
from aigc.core.generation.beams import Beams
from aigc.core.generation.choosing import Chooser
from aigc.core.generation.contrastive import contrast
from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.refusals import refuse
from aigc.core.generation.request import Decoding, Drawn, Request, Watch
from aigc.core.generation.slots import start_ids
from aigc.core.generation.writing import Writing
from aigc.core.model.attention import unpacked
from aigc.core.model.checkpoints import context_of
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Searching"]

_AHEAD = 4  # batches of requests that are sorted by length together


class Searching:
    """A model of transformers as an engine, for `beams` and `contrastive` of Decoding; see Engine.

    Temperature, top_p and the like decide how texts are drawn, and have no part in a search; nor has a request's seed.
    """

    quality = ""

    def __init__(self, model: PreTrainedModel, codec: TextCodec, *, name: str = "torch", rows: int = 16) -> None:
        """
        Args:
            model: causal, or for beams an encoder-decoder.
            name: see Engine.
            rows: requests at once; each has so many sequences in the model as there are beams or top_k.

        Raises:
            AigcError: an encoder-decoder does not say what its decoder begins with.
        """
        self.model, self.codec = model.eval(), codec
        self.name = name
        self._rows = rows
        self._start = start_ids(model)

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine; what an encoder reads ends like a document, as in training."""
        ids = prompt_ids(self.codec, text)
        return Request([*ids, self.codec.end] if self._start else ids, seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        context = context_of(self.model)
        if self._start:
            return context - len(self._start) if prompt_tokens <= context else 0
        return context - prompt_tokens

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine. Some batches of requests are taken at once, and those of about one length searched together.

        Raises:
            AigcError: the search cannot keep what is asked of texts, or the model is none for contrastive search.
        """
        refuse(decoding, "beam search and contrastive search", ("watermark",))
        if decoding.contrastive and self.model.config.is_encoder_decoder:
            raise AigcError("generate.contrastive is for causal checkpoints, and this is an encoder-decoder")
        search = self._contrasted if decoding.contrastive else self._beams
        chooser = self._chooser(decoding)
        for some in gathered(requests, self._rows * _AHEAD):
            some.sort(key=lambda request: len(request.prompt_ids))
            for batch in self._batches(some, decoding):
                with torch.inference_mode(), unpacked(self.model):
                    writings = search(batch, decoding, chooser, watch)
                for request, writing in zip(batch, writings, strict=True):
                    if watch is not None and (piece := writing.fresh()):
                        watch(request, piece)
                    yield request, writing.drawn()

    def _chooser(self, decoding: Decoding) -> Chooser:
        """Who knows which tokens are forbidden, but for what transformers' beam search sees to itself."""
        if not decoding.contrastive:
            decoding = replace(decoding, repetition_penalty=1.0, no_repeat_ngram=0)
        matrix = self.model.get_output_embeddings().weight
        return Chooser(self.codec, decoding, vocabulary=len(matrix), device=matrix.device, start=self._start)

    def _batches(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[list[Request]]:
        """Runs that can be searched together.

        With beams, rows of one limit: transformers' search goes on until the last row ends, so that a context would overflow. And
        where the prompt's tokens count as repeated, rows of one length: it would count those that pad.
        """
        counted = not self._start and (decoding.repetition_penalty != 1 or decoding.no_repeat_ngram > 0)

        def alike(request: Request) -> object:
            length = len(request.prompt_ids)
            return decoding.beams > 1 and (self._limit(request, decoding), length if counted else 0)

        for _, group in groupby(requests, key=alike):
            while batch := list(islice(group, self._rows)):
                yield batch

    def _limit(self, request: Request, decoding: Decoding) -> int:
        return min(decoding.max_tokens, self.room_for(len(request.prompt_ids)))

    def _beams(self, batch: Sequence[Request], decoding: Decoding, chooser: Chooser, _watch: Watch | None) -> list[Writing]:
        """transformers' own beam search."""
        device = next(self.model.parameters()).device
        longest = max(len(request.prompt_ids) for request in batch)
        left = not self._start  # padded on the side where nothing is written
        ids, mask = [], []
        for request in batch:
            spare = longest - len(request.prompt_ids)
            pads, ones = [self.codec.pad] * spare, [1] * len(request.prompt_ids)
            ids.append([*pads, *request.prompt_ids] if left else [*request.prompt_ids, *pads])
            mask.append([0] * spare + ones if left else ones + [0] * spare)
        given: dict[str, Any] = {"attention_mask": torch.tensor(mask, device=device)}
        if self._start:
            given["decoder_input_ids"] = torch.tensor([self._start] * len(batch), device=device)
        beams = Beams([self._writing(chooser, request) for request in batch], chooser, known=len(self._start) or longest)
        if beams.needed:
            given |= {
                "logits_processor": LogitsProcessorList([beams.changed]),
                "stopping_criteria": StoppingCriteriaList([beams.ended]),
            }
        with _set(self.model, self._settings(decoding, self._limit(batch[0], decoding))):
            out = self.model.generate(input_ids=torch.tensor(ids, device=device), **given)
        texts = out.sequences[:, len(self._start) or longest :]
        return [
            beams.best(row, tokens, self._nats(request, tokens) if decoding.likelihood else [0.0] * len(tokens))
            for row, (request, tokens) in enumerate(zip(batch, _tokens(texts, out.beam_indices), strict=True))
        ]

    def _settings(self, decoding: Decoding, limit: int) -> GenerationConfig:
        """What transformers is told; nothing is left to a checkpoint's own settings."""
        return GenerationConfig(
            do_sample=False,
            num_beams=decoding.beams,
            length_penalty=1.0,
            early_stopping=False,
            max_new_tokens=limit,
            repetition_penalty=decoding.repetition_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram,
            eos_token_id=sorted({self.codec.end, *decoding.stops}),
            pad_token_id=self.codec.pad,
            decoder_start_token_id=self._start[0] if self._start else None,
            output_scores=True,  # without which it does not tell which tokens are whose
            return_dict_in_generate=True,
        )

    def _nats(self, request: Request, tokens: Sequence[int]) -> list[float]:
        """The log-probability of each token of a text."""
        device = next(self.model.parameters()).device
        before = self._start or list(request.prompt_ids)
        ids_1T = torch.tensor([[*before, *tokens]], device=device)
        if self._start:
            logits_TV = self.model(
                input_ids=torch.tensor([list(request.prompt_ids)], device=device), decoder_input_ids=ids_1T
            ).logits[0]
        else:
            logits_TV = self.model(input_ids=ids_1T, use_cache=False, logits_to_keep=len(tokens) + 1).logits[0]
        told_TV = logits_TV[-len(tokens) - 1 : -1].float().log_softmax(-1)
        nats: list[float] = told_TV.gather(1, ids_1T[0, len(before) :, None])[:, 0].tolist()
        return nats

    def _contrasted(self, batch: Sequence[Request], decoding: Decoding, chooser: Chooser, watch: Watch | None) -> list[Writing]:
        writings = [self._writing(chooser, request) for request in batch]

        def take(row: int, token: int | None, nats: float) -> bool:
            writing = writings[row]
            if token is None:
                writing.close("length")
            else:
                chooser.take(writing, token, nats)
            if watch is not None and (piece := writing.fresh()):
                watch(batch[row], piece)
            return writing.finish is not None

        contrast(
            self.model,
            [request.prompt_ids for request in batch],
            alpha=decoding.contrastive,
            candidates=decoding.top_k,
            pad=self.codec.pad,
            scores=lambda logits_BV, rows: chooser.scores(logits_BV, [writings[row] for row in rows]),
            take=take,
        )
        return writings

    def _writing(self, chooser: Chooser, request: Request) -> Writing:
        return chooser.begin(request, self.room_for(len(request.prompt_ids)))


def _tokens(ids_BT: torch.Tensor, beams_BT: torch.Tensor) -> list[list[int]]:
    """The new tokens of each row, of which transformers tells the beam."""
    return [ids[:count] for ids, count in zip(ids_BT.tolist(), (beams_BT >= 0).sum(-1).tolist(), strict=True)]


@contextmanager
def _set(model: PreTrainedModel, settings: GenerationConfig) -> Iterator[None]:
    before = model.generation_config
    model.generation_config = settings
    try:
        yield
    finally:
        model.generation_config = before
