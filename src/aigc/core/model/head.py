"""Hidden states into what the loss multiplies: the vocabulary's matrix and what it is multiplied by, or scores of whole samples."""

from typing import Literal, NamedTuple

import torch
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.errors import AigcError

__all__ = ["Head", "head", "read_at", "sequence_scores"]


class Head(NamedTuple):
    """Logits are `hidden @ weight.T + bias`."""

    hidden: torch.Tensor  # (P, W)
    weight: torch.Tensor  # (V, W)
    bias: torch.Tensor | None  # (V,)

    def logits(self) -> torch.Tensor:
        """(P, V), all at once; for tests and short texts."""
        return torch.nn.functional.linear(*self)


def head(model: PreTrainedModel, hidden_PW: torch.Tensor) -> Head:
    """What comes behind the body, as in each family's own forward (transformers, models/*/modeling_*.py).

    Raises:
        AigcError: the model predicts no tokens.
    """
    matrix = model.get_output_embeddings()
    if matrix is None:
        raise AigcError(f"a {type(model).__name__} predicts no tokens: it cannot be trained as a language model")
    bias = getattr(matrix, "bias", None)
    match model.config.model_type:
        case "bert":
            hidden_PW = model.cls.predictions.transform(hidden_PW)
        case "t5" if model.config.scale_decoder_outputs:
            hidden_PW = hidden_PW * model.config.d_model**-0.5
        case "bart":
            bias = model.final_logits_bias[0]
    return Head(hidden_PW, matrix.weight, bias)


def read_at(model: PreTrainedModel) -> Literal["first", "last"]:
    """At which token of a sample a model tells what it makes of the whole: an encoder at its first, a decoder at its last.

    Raises:
        AigcError: the model has no such scores.
    """
    pairs = hasattr(getattr(model, "cls", None), "seq_relationship")
    if model.config.model_type == "bert" and (pairs or hasattr(model, "classifier")):
        return "first"
    if not model.config.is_encoder_decoder and hasattr(model, "score"):
        return "last"
    raise AigcError(f"a {type(model).__name__} cannot tell a class or a value of a text: classify needs an encoder or a decoder")


def sequence_scores(model: PreTrainedModel, hidden_NW: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Scores (D, C) of each sample, as transformers' *ForSequenceClassification of its family makes them of one sample alone.

    Of a BERT that was made for pairs, they tell whether the second of two texts follows the first (0) or not (1) (Devlin et al.
    2019, 3.1).

    Args:
        hidden_NW: the last hidden states.

    Raises:
        AigcError: the model has no such scores.
    """
    if read_at(model) == "last":
        scores: torch.Tensor = model.score(hidden_NW.index_select(0, _last_places(batch, model.config.pad_token_id)))
        return scores
    pooled = model.bert.pooler(hidden_NW.index_select(0, batch.bounds[: len(batch.documents)])[:, None])
    if hasattr(model, "classifier"):
        scores = model.classifier(model.dropout(pooled))
    else:
        scores = model.cls.seq_relationship(pooled)
    return scores


def _last_places(batch: Batch, pad: int | None) -> torch.Tensor:
    """(D,) the last place of each sample that does not hold the id that pads; its first where all do.

    So transformers finds it, also where the id that pads ends texts too and is a sample's own last token: it is passed over then.
    """
    bounds = batch.bounds[: len(batch.documents) + 1].long()
    if pad is None:
        return bounds[1:] - 1
    places = torch.arange(len(batch.input_ids), device=bounds.device)
    owners = torch.searchsorted(bounds[1:], places, right=True)  # that of padding is D
    held = places.masked_fill(batch.input_ids == pad, -1)
    lasts = bounds.new_full((len(bounds),), -1).scatter_reduce(0, owners, held, "amax")
    return torch.maximum(lasts[:-1], bounds[:-1])
