"""A model and a batch into the loss: what a training loop steps, and what data parallel wrappers wrap."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.core.model import bodies
from aigc.core.model.attention import pack
from aigc.core.model.gelu import TanhGelu
from aigc.core.model.head import head, read_at, sequence_scores
from aigc.core.model.losses import cross_entropy
from aigc.core.model.preference import Preference, preferred
from aigc.core.model.sequences import Classes, SequenceLoss
from aigc.core.model.vector_math import settle

__all__ = ["Learner", "Losses"]


class Losses(NamedTuple):
    """Of one batch; a tuple, so that FSDP finds the tensor that the backward pass begins with.

    A target is learned where its weight is above 0 and pushed down where it is below. All but `loss` are without a gradient.
    """

    loss: torch.Tensor  # () to call backward on: (token_sum + pushed_sum) / token_total + sequence_sum / sequence_total
    token_sum: torch.Tensor  # () fp32, nats, each learned target by its weight
    token_right: torch.Tensor  # () int64, learned targets whose label has the highest score
    sequence_sum: torch.Tensor  # () fp32, over samples: nats, or squares of values; a pair's loss once for each of its two samples
    sequence_right: torch.Tensor  # () int64, samples; 0 of values
    scores: torch.Tensor | None  # (D, C) fp32, of the samples' classes, (D, 1) of values; None where neither is told
    token_weight: torch.Tensor  # () fp32, of the learned targets; 0 where tokens are not what is learned
    token_nats: torch.Tensor  # () fp32, nats, each learned target by weight 1
    pushed_sum: torch.Tensor  # () fp32, -log(1 - p), each target that is pushed down by its weight
    pushed_nats: torch.Tensor  # () fp32, -log p of these targets, each by weight 1
    rewards: torch.Tensor | None  # (D,) fp32 nats, of samples that are preferred or not


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
        sequence: SequenceLoss | None = None,
        preference: Preference | None = None,
    ) -> None:
        """Take a model, whose attention is packed from now on (see `attention.unpacked`).

        Args:
            dtype: of autocast; None for none.
            compiled: compile the layers, the loss not. Batches of other sizes are compiled anew.
            gradient_checkpointing: compute each layer again in the backward pass instead of keeping its activations.
            backend: of torch.compile.
            sequence: what is learned of whole samples, and nothing of their tokens. A BERT that was made for pairs of texts needs
                none: it learns these beside the tokens.
            preference: how samples that are chosen are told from those that are rejected, by all of their tokens.

        Raises:
            AigcError: the model cannot tell anything of whole samples, and is to.
        """
        super().__init__()
        assert sequence is None or preference is None
        settle()
        if sequence is not None:
            read_at(model)
        pack(model)
        for module in model.modules():
            TanhGelu.take(module)
            if isinstance(module, nn.Embedding):
                module.padding_idx = None  # else the row of an id that ends texts and pads too would never be learned
        if gradient_checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.model = model
        self.dtype = dtype
        self.compiled = compiled
        self.sequence = sequence
        self.preference = preference
        self._entries: int | None = None
        self._body = torch.compile(bodies.run, dynamic=False, backend=backend) if compiled else bodies.run

    def forward(self, batch: Batch, *, token_total: float, sequence_total: float, pushes: bool = True) -> Losses:
        """The losses of a batch; `loss` has a gradient unless it is disabled.

        Args:
            token_total: what the sum over targets is divided by: the weights of all targets of a step, as if none were below 0.
            sequence_total: samples of a step of which something is told as a whole.
            pushes: False where no weight is below 0, as the caller knows: it saves a pass over the logits.
        """
        device = batch.input_ids.device
        if device.type != "cpu":
            self._entries = bodies.entries_of(batch, self._entries or 0)
        with self._autocast(device):
            hidden_NW = self._body(self.model, bodies.flat(batch, self._entries))
            whole = batch.sequence_targets is not None and self.preference is None
            scores = sequence_scores(self.model, hidden_NW, batch) if whole else None
            predicted = None if self.sequence is not None else head(self.model, hidden_NW.index_select(0, batch.targets))
        none, never = torch.zeros((), device=device), torch.zeros((), device=device, dtype=torch.int64)
        found = Losses(none, none, never, none, never, None, none, none, none, none, None)
        if predicted is not None and self.preference is not None:
            told = preferred(predicted, batch, self.preference, self.dtype)
            return found._replace(
                loss=told.loss / sequence_total, sequence_sum=told.loss.detach(), sequence_right=told.right, rewards=told.rewards
            )
        if predicted is not None:
            sums = cross_entropy(predicted, batch.labels, batch.weights, self.dtype, pushes=pushes)
            found = found._replace(
                loss=sums.loss / token_total,
                token_sum=sums.learned,
                token_right=sums.right,
                token_weight=batch.weights.clamp_min(0).sum(),
                token_nats=sums.nats,
                pushed_sum=sums.pushed,
                pushed_nats=sums.pushed_nats,
            )
        if scores is not None and batch.sequence_targets is not None:
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            loss, right = (self.sequence or Classes())(scores, batch.sequence_targets)
            found = found._replace(
                loss=found.loss + loss / sequence_total, sequence_sum=loss.detach(), sequence_right=right, scores=scores.detach()
            )
        return found

    def blocks(self) -> list[nn.Module]:
        """The layers that may be sharded each by itself."""
        return bodies.shards(self.model)

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is None else torch.autocast(device.type, self.dtype)
