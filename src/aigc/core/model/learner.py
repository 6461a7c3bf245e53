"""A model and a batch into the loss: what a training loop steps, and what data parallel wrappers wrap."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.core.model import bodies
from aigc.core.model.attention import pack
from aigc.core.model.head import head, pair_scores
from aigc.core.model.losses import cross_entropy

__all__ = ["Learner", "Losses"]


class Losses(NamedTuple):
    """Of one batch; a tuple, so that FSDP finds the tensor that the backward pass begins with."""

    loss: torch.Tensor  # () to call backward on: token_sum / token_total + pair_sum / pair_total
    token_sum: torch.Tensor  # () fp32, nats, each target by its weight
    token_right: torch.Tensor  # () int64, targets whose label has the highest score
    pair_sum: torch.Tensor  # () fp32, nats
    pair_right: torch.Tensor  # () int64


class Learner(nn.Module):
    """Holds a model and computes its loss. All use of the weights is within `forward`.

    DistributedDataParallel wraps it as it is. For FSDP2, `fully_shard` each of `blocks()` and then the Learner itself,
    and nothing else: embeddings, head and norms belong to the Learner's own group, which is whole while `forward` runs; the loss
    reads the head's matrix outside of the head's own forward, where a group of its own would still be in shards.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        dtype: torch.dtype | None = None,
        compiled: bool = False,
        gradient_checkpointing: bool = False,
        backend: str = "inductor",
    ) -> None:
        """Take a model, whose attention is packed from now on (see `attention.unpacked`).

        Args:
            dtype: of autocast; None for none.
            compiled: compile the layers, the loss not. Batches of other sizes are compiled anew.
            gradient_checkpointing: compute each layer again in the backward pass instead of keeping its activations.
            backend: of torch.compile.
        """
        super().__init__()
        pack(model)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.padding_idx = None  # else the row of an id that ends texts and pads too would never be learned
        if gradient_checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.model = model
        self.dtype = dtype
        self.compiled = compiled
        self._entries: int | None = None
        self._body = torch.compile(bodies.run, dynamic=False, backend=backend) if compiled else bodies.run

    def forward(self, batch: Batch, *, token_total: float, pair_total: float) -> Losses:
        """The losses of a batch; `loss` has a gradient unless it is disabled.

        Args:
            token_total: what the sum over targets is divided by: the weights of all targets of a step.
            pair_total: pairs of texts of a step.
        """
        device = batch.input_ids.device
        if device.type != "cpu":
            self._entries = bodies.entries_of(batch, self._entries or 0)
        with self._autocast(device):
            hidden_NW = self._body(self.model, bodies.flat(batch, self._entries))
            predicted = head(self.model, hidden_NW.index_select(0, batch.targets))
            firsts = batch.bounds[: len(batch.documents)]
            scores_D2 = None if batch.pairs is None else pair_scores(self.model, hidden_NW.index_select(0, firsts))
        sums = cross_entropy(predicted, batch.labels, batch.weights, self.dtype)
        loss = sums.loss / token_total
        pair_sum, pair_right = torch.zeros((), device=device), torch.zeros((), device=device, dtype=torch.int64)
        if scores_D2 is not None and batch.pairs is not None:
            pair_sum = nn.functional.cross_entropy(scores_D2.float(), batch.pairs, reduction="sum")
            pair_right = (scores_D2.argmax(-1) == batch.pairs).sum()
            loss = loss + pair_sum / pair_total
        return Losses(loss, sums.loss.detach(), sums.right, pair_sum.detach(), pair_right)

    def blocks(self) -> list[nn.Module]:
        """The layers that may be sharded each by itself."""
        return bodies.shards(self.model)

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is None else torch.autocast(device.type, self.dtype)
