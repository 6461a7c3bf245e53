"""Log-probabilities of texts of which some are preferred to others into a loss, with its exact gradient and without whole logits.

The loss depends on the logits only by each sample's log-probability. A first pass over the targets finds these without a gradient,
autograd tells the loss's derivatives by them, and a second pass, the chunked cross-entropy, takes the derivatives for weights.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import Head, head
from aigc.core.model.losses import cross_entropy, token_losses
from aigc.errors import AigcError

__all__ = ["Judged", "Kind", "Preference", "Preferred", "log_probabilities", "preferred"]

Kind = Literal["dpo", "ipo", "kto", "orpo"]
NEVER = -1e-6  # log-probability above which 1 - p loses its digits in fp32


class Judged(NamedTuple):
    """What a preference finds of D samples."""

    losses: torch.Tensor  # (D,), that of a pair with both of its samples; differentiable
    rewards: torch.Tensor  # (D,) nats
    right: torch.Tensor  # (D,) bool


@dataclass(frozen=True)
class Preference:
    """How texts that are preferred are to be told from others. Each target of a sample counts alike, by weight 1.

    - dpo: -log sigmoid(beta * (log ratio of the chosen - that of the rejected)) (Rafailov et al. 2023, equation 7); with label
      smoothing s, (1 - s) of that and s of the same with both exchanged (Mitchell 2023, "A note on DPO with noisy preferences").
    - ipo: (log ratio per token of the chosen - that of the rejected - 1 / (2 beta))^2 (Azar et al. 2023, equation 17, beta its tau;
      per token as TRL has it, which says that its authors confirmed it).
    - kto: 1 - sigmoid(+-beta * (log ratio - z)), + for chosen and - for rejected samples, which need no pairs (Ethayarajh et al.
      2024, both lambdas 1). The reference point z, a KL divergence, is the mean log ratio of the batch's own samples, at least 0
      and taken as a constant: the paper takes mismatched completions, which would need further passes.
    - orpo: mean nats per token of the chosen + beta * -log sigmoid(log odds of the chosen - log odds of the rejected), with the
      odds of the mean log-probability (Hong et al. 2024, equations 4, 6 and 7). No reference is needed.

    A log ratio is the log-probability less that under the reference model. But for kto, samples stand in pairs, the chosen one
    first. Rewards are beta * log ratio; for orpo beta * mean log-probability, as in TRL. A pair is right whose chosen reward is
    higher; with kto a sample is, whose log ratio is on its own side of z.

    Raises:
        AigcError: a number is not one that the loss can have.
    """

    kind: Kind
    beta: float
    label_smoothing: float = 0.0  # share of the pairs that are held to be the wrong way round

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise AigcError(f"beta has to be above 0, and is {self.beta:g}")
        if self.label_smoothing and self.kind != "dpo":
            raise AigcError(f"label_smoothing is for dpo: {self.kind} has none")
        if not 0 <= self.label_smoothing < 0.5:
            raise AigcError(f"label_smoothing has to be from 0 to less than 0.5, and is {self.label_smoothing:g}")

    @property
    def referred(self) -> bool:
        """Whether log-probabilities under a reference model are needed."""
        return self.kind != "orpo"

    @property
    def paired(self) -> bool:
        """Whether samples have to stand in pairs, the chosen one first."""
        return self.kind != "kto"

    def __call__(
        self, logs_D: torch.Tensor, counts_D: torch.Tensor, targets_D: torch.Tensor, references_D: torch.Tensor | None
    ) -> Judged:
        """Judge samples by their log-probabilities.

        Args:
            logs_D: nats.
            counts_D: targets of each, at least 1.
            targets_D: 1 chosen, 0 rejected.
            references_D: nats; None for orpo.
        """
        assert not self.paired or len(logs_D) % 2 == 0, "a sample has no mate"
        if self.kind == "orpo":
            mean_D = logs_D / counts_D
            odds_D = mean_D - _log_one_less(mean_D)
            losses = self.beta * -F.logsigmoid(odds_D[::2] - odds_D[1::2]) - mean_D[::2]
            return _of_pairs(losses, self.beta * mean_D)
        assert references_D is not None, f"{self.kind} needs the reference's log-probabilities"
        ratios_D = logs_D - references_D
        if self.kind == "kto":
            point = ratios_D.detach().mean().clamp_min(0)
            signs_D = 2 * targets_D - 1
            over_D = signs_D * (ratios_D - point)
            return Judged(1 - torch.sigmoid(self.beta * over_D), self.beta * ratios_D.detach(), over_D.detach() > 0)
        if self.kind == "ipo":
            means_D = ratios_D / counts_D
            losses = (means_D[::2] - means_D[1::2] - 1 / (2 * self.beta)) ** 2
        else:
            over = self.beta * (ratios_D[::2] - ratios_D[1::2])
            losses = (self.label_smoothing - 1) * F.logsigmoid(over) - self.label_smoothing * F.logsigmoid(-over)
        return _of_pairs(losses, self.beta * ratios_D)


class Preferred(NamedTuple):
    """Over the samples of a batch."""

    loss: torch.Tensor  # () fp32, the sum of the samples' losses, that of a pair twice; differentiable
    right: torch.Tensor  # () int64, samples that are right, or of pairs that are
    rewards: torch.Tensor  # (D,) fp32 nats, without a gradient


def preferred(predicted: Head, batch: Batch, preference: Preference, dtype: torch.dtype | None = None) -> Preferred:
    """The preference's loss of a batch, as a function of what the head multiplies.

    Args:
        predicted: of the batch's targets.
        dtype: of the products (see `losses.cross_entropy`).
    """
    assert batch.sequence_targets is not None, "nothing is preferred"
    offsets = _offsets(batch)
    counts = offsets.diff()
    logs = _by_sample(token_losses(predicted, batch.labels, dtype), offsets).requires_grad_()
    targets, references = (None if x is None else x.to(logs.dtype) for x in (batch.sequence_targets, batch.references))
    assert targets is not None
    with torch.enable_grad():
        found = preference(logs, counts.clamp_min(1), targets, references)
        loss = found.losses.sum()
        (slopes,) = torch.autograd.grad(loss, logs)
    value = loss.detach()
    if torch.is_grad_enabled():
        by_nats = torch.repeat_interleave(-slopes, counts, output_size=len(batch.targets))
        passed = cross_entropy(predicted, batch.labels, by_nats, dtype, pushes=False).loss
        value = value + (passed - passed.detach())  # its gradient alone
    return Preferred(value, found.right.sum(), found.rewards.detach())


@torch.no_grad()
def log_probabilities(learner: nn.Module, batch: Batch, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Log-probability of each sample's labels, (D,) fp32 nats, without dropout; as `Sample.reference` wants it.

    Args:
        learner: a Learner, or a model, whose attention is packed from now on (see `attention.unpacked`).
        dtype: of autocast; None for that of the Learner, and none for a model.
    """
    model: Any = learner
    if not isinstance(learner, PreTrainedModel):
        model, dtype = learner.model, dtype or learner.dtype  # type: ignore[assignment]
    training = model.training
    model.eval()
    try:
        with torch.autocast(batch.input_ids.device.type, dtype, enabled=dtype is not None):
            predicted = head(model, hidden_states(model, batch).index_select(0, batch.targets))
        return _by_sample(token_losses(predicted, batch.labels, dtype), _offsets(batch))
    finally:
        model.train(training)


def _offsets(batch: Batch) -> torch.Tensor:
    """(D + 1,) of the targets, how many lie before each sample's first place."""
    bounds = batch.bounds[: len(batch.documents) + 1].to(batch.targets.dtype)
    return torch.searchsorted(batch.targets, bounds)


def _by_sample(nats_P: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (D,): sums in the order of the targets, the same on each run."""
    if not len(nats_P):
        return nats_P.new_zeros(len(offsets) - 1)
    return -torch.segment_reduce(nats_P, "sum", offsets=offsets, unsafe=True)


def _log_one_less(logs: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) of x below 0, with its digits at both ends (Maechler 2012, "Accurately computing log(1 - exp(-|a|))")."""
    logs = logs.clamp_max(NEVER)
    return torch.where(logs < -0.6931, torch.log1p(-logs.exp()), torch.log(-torch.expm1(logs)))


def _of_pairs(losses: torch.Tensor, rewards_D: torch.Tensor) -> Judged:
    """Each of a pair's two samples has what the pair has."""
    rewards_D = rewards_D.detach()
    right = rewards_D[::2] > rewards_D[1::2]
    return Judged(losses.repeat_interleave(2), rewards_D, right.repeat_interleave(2))
