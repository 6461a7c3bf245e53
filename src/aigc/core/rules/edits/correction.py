"""Chinese text into the same text corrected by a masked-language model, character for character."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl
import torch

from aigc.core.model import checkpoints
from aigc.core.model.families import Kind
from aigc.core.rules.diffs import Change, apply
from aigc.core.rules.edits.literals import places
from aigc.errors import AigcError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from aigc.core.tokens.text import TextCodec

__all__ = ["Corrector", "corrector"]

ENCODERS: tuple[Kind, ...] = ("encoder",)
_DOUBT = 0.01  # a character to which the model gives more is left alone
_BATCH = 16  # windows that are read at once
_WINDOW = 256  # tokens, where the model's context has room


class Corrector:
    """A model that reads what stands there and says what should."""

    def __init__(self, name: str, model: "PreTrainedModel", codec: "TextCodec", sure: float) -> None:
        self._name, self._model, self._codec, self._sure = name, model, codec, sure
        self._window = min(checkpoints.context_of(model), _WINDOW) - 2
        vocabulary: dict[str, int] = codec.tokenizer.get_vocab()
        self._han = {id_: token for token, id_ in vocabulary.items() if len(token) == 1 and _is_han(token)}
        if not self._han:
            raise AigcError(f"{name}: none of the tokens is a single Chinese character; a MacBERT has them")
        self._ids: torch.Tensor = torch.tensor(sorted(self._han), device=model.device)

    def corrected(self, texts: pl.Series) -> pl.Series:
        """Each text corrected; what is no Han character, or no token of its own, stays."""
        rows = texts.str.contains(r"\p{Han}").arg_true()
        if not len(rows):
            return texts
        chosen = texts.gather(rows).to_list()
        changes: list[list[Change]] = [[] for _ in chosen]
        for row, at, new in self._found(chosen):
            changes[row].append((at, at + 1, new))
        kept = [places(text) if some else None for text, some in zip(chosen, changes, strict=True)]
        edited = [
            apply(text, [one for one in some if spots is not None and spots.at(one[0], one[1]) is None])
            for text, some, spots in zip(chosen, changes, kept, strict=True)
        ]
        return texts.clone().scatter(rows, edited)

    def _found(self, texts: list[str]) -> Iterator[tuple[int, int, str]]:
        """Text number, place and new character."""
        windows = (
            (row, ids[start : start + self._window], spans[start : start + self._window])
            for row, (ids, spans) in enumerate(self._codec.encode_spans(texts))
            for start in range(0, len(ids), self._window)
        )
        while batch := list(islice(windows, _BATCH)):
            logits = self._logits([ids for _, ids, _ in batch])
            for (row, ids, spans), logits_TV in zip(batch, logits, strict=True):
                probabilities_TV = logits_TV.float().softmax(-1)
                if bool(probabilities_TV.isnan().any()):
                    raise AigcError(f"{self._name}: the model's probabilities are not numbers; its weights are broken")
                best_T, which_T = probabilities_TV[:, self._ids].max(-1)
                for at, (id_, (begin, end)) in enumerate(zip(ids, spans.tolist(), strict=True)):
                    if end - begin == 1 and id_ in self._han and best_T[at] >= self._sure and probabilities_TV[at, id_] < _DOUBT:
                        yield row, begin, self._han[int(self._ids[which_T[at]])]

    def _logits(self, windows: list[list[int]]) -> list[torch.Tensor]:
        codec = self._codec
        longest = max(map(len, windows)) + 2
        head = codec.start[:1]
        rows = [[*head, *ids, codec.end] for ids in windows]
        ids_BT = torch.tensor([[*row, *[codec.pad] * (longest - len(row))] for row in rows], device=self._model.device)
        mask_BT = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._model.device)
        with torch.inference_mode():
            said = self._model(input_ids=ids_BT, attention_mask=mask_BT)
        logits_BTV: torch.Tensor = said.logits if "logits" in said else said.prediction_logits  # of a BERT made for pairs as well
        return [logits[len(head) : len(head) + len(ids)] for logits, ids in zip(logits_BTV, windows, strict=True)]


@lru_cache(2)
def corrector(name: str, sure: float) -> Corrector:
    """The model of a checkpoint folder or a hub name.

    Raises:
        AigcError: it cannot be loaded, is no masked-language model, or knows no Chinese characters.
    """
    model, codec = checkpoints.load(name, checkpoints.device_of("auto"), kinds=ENCODERS)
    return Corrector(name, model.eval(), codec, sure)


def _is_han(token: str) -> bool:
    return "\u3400" <= token <= "\u9fff"
