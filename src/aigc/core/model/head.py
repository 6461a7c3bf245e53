"""Hidden states into what the loss multiplies: the vocabulary's matrix and what it is multiplied by."""

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from aigc.errors import AigcError

__all__ = ["Head", "head", "pair_scores"]


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


def pair_scores(model: PreTrainedModel, hidden_DW: torch.Tensor) -> torch.Tensor:
    """Scores (D, 2) of whether the second of two texts follows the first (0) or not (1) (Devlin et al. 2019, 3.1).

    Args:
        hidden_DW: hidden states at the samples' first places.
    """
    pooled = model.bert.pooler(hidden_DW[:, None])
    scores: torch.Tensor = model.cls.seq_relationship(pooled)
    return scores
