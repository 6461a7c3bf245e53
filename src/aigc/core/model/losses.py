"""Hidden states and labels into the summed cross-entropy, or unlikelihood, without the logits ever being whole.

The gradient is computed with the loss, chunk by chunk (as in Wijmans et al. 2024 and Liger's fused linear cross-entropy), so that a
chunk's logits live only while it is in work.
"""

from typing import Any, NamedTuple

import torch

from aigc.core.model.head import Head

__all__ = ["Sums", "cross_entropy", "token_losses", "token_scores"]

CPU_ROWS = 512  # targets in a chunk: the fastest of 64 to 1024 at 8,192 and 50,257 tokens, 13 % faster than whole logits
GPU_NUMBERS = 1 << 28  # logits in a chunk: 1 GiB of fp32
LEAST = 1e-30  # of 1 - p: what is left when the other tokens' probabilities vanish in fp32


class Sums(NamedTuple):
    """Over all targets; all but `loss` are without a gradient."""

    loss: torch.Tensor  # () fp32, nats, each target by its weight; differentiable
    right: torch.Tensor  # () int64, learned targets whose label has the highest score
    learned: torch.Tensor  # () fp32, of `loss`, the part of the learned targets
    nats: torch.Tensor  # () fp32, -log p of the learned targets, each by weight 1
    pushed: torch.Tensor  # () fp32, of `loss`, the part of the targets that are pushed down
    pushed_nats: torch.Tensor  # () fp32, -log p of these, each by weight 1


def cross_entropy(
    head: Head, labels: torch.Tensor, weights: torch.Tensor, dtype: torch.dtype | None = None, *, pushes: bool = True
) -> Sums:
    """Sum of weight * -log p, p = softmax(hidden @ weight.T + bias)[label], or |weight| * -log(1 - p) where the weight is below 0.

    The latter is the unlikelihood term (Welleck et al. 2020, equation 4), by which a token is pushed down. 1 - p is summed from the
    other tokens' probabilities, so loss and gradient keep their digits where p is nearly 1.

    Args:
        head: P hidden states and V tokens.
        labels: (P,) int64.
        weights: (P,) fp32.
        dtype: of the products; softmax and sums are fp32 (of float64 hidden states float64). None for that of the hidden states.
        pushes: whether weights below 0 push down. If not, they are factors like all others (derivatives by -log p, say), each
            target counts as learned, and a pass over the logits is saved.
    """
    with torch.autocast(head.hidden.device.type, enabled=False):
        loss, right, parts = _CrossEntropy.apply(*head, labels, weights, dtype or head.hidden.dtype, pushes)  # type: ignore[no-untyped-call]
        return Sums(loss, right, *parts.unbind())


def token_losses(head: Head, labels: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """-log softmax(hidden @ weight.T + bias)[label] of each target, (P,) fp32, without a gradient."""
    return token_scores(head, labels, dtype)[0]


@torch.no_grad()
def token_scores(head: Head, labels: torch.Tensor, dtype: torch.dtype | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """`token_losses`, and whether each target's label has the highest score (P,)."""
    with torch.autocast(head.hidden.device.type, enabled=False):
        work = _Work(head.hidden, head.weight, head.bias, dtype or head.hidden.dtype)
        scored = (work.scored(rows, labels[rows]) for rows in work.chunks())
        parts = [(one.nats, one.best) for one in scored]
        if not parts:
            return head.hidden.new_zeros(0, dtype=work.sums), head.hidden.new_zeros(0, dtype=torch.bool)
        nats, right = (torch.cat(one) for one in zip(*parts, strict=True))
        return nats, right


class _Work:
    """The head in the dtype of the products."""

    def __init__(self, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> None:
        self.sums = torch.promote_types(dtype, torch.float32)
        self.hidden = hidden.detach().to(dtype)
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(self.sums)

    def chunks(self) -> list[slice]:
        P, V = len(self.hidden), len(self.weight)
        rows = CPU_ROWS if self.hidden.device.type == "cpu" else max(GPU_NUMBERS // V, 1)
        return [slice(at, min(at + rows, P)) for at in range(0, P, rows)]

    def scored(self, rows: slice, labels: torch.Tensor) -> "_Scored":
        """What a chunk's logits tell of its labels."""
        logits = (self.hidden[rows] @ self.weight.T).to(self.sums)
        if self.bias is not None:
            logits += self.bias
        highest = logits.amax(-1, keepdim=True)
        own = logits.gather(1, labels[:, None])[:, 0] - highest[:, 0]
        powers = logits.sub_(highest).exp_()
        sums = powers.sum(-1)
        return _Scored(powers, sums, sums.log() - own, own >= 0)


class _Scored(NamedTuple):
    """Of a chunk."""

    powers: torch.Tensor  # (C, V), probabilities times `sums`; the highest is 1
    sums: torch.Tensor  # (C,)
    nats: torch.Tensor  # (C,), -log p of the labels
    best: torch.Tensor  # (C,), whether no token is more probable


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
        weights: torch.Tensor,
        dtype: torch.dtype,
        pushes: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        work = _Work(hidden, weight, bias, dtype)
        for_hidden, for_weight, for_bias = ctx.needs_input_grad[:3]
        grad_hidden = torch.empty_like(hidden) if for_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=work.sums) if for_weight else None
        grad_bias = torch.zeros_like(bias, dtype=work.sums) if bias is not None and for_bias else None
        total = torch.zeros((), device=hidden.device, dtype=work.sums)
        parts = torch.zeros(4, device=hidden.device, dtype=work.sums)  # as the last four of Sums
        right = torch.zeros((), device=hidden.device, dtype=torch.int64)
        for rows in work.chunks():
            powers, sums, nats, best = work.scored(rows, labels[rows])
            if pushes:
                loss, grad = _of_both(powers, sums, nats, labels[rows], weights[rows])
                up, down = weights[rows] > 0, weights[rows] < 0
                total += loss.sum()
                right += (best & up).sum()
                parts += torch.stack([(one * those).sum() for those in (up, down) for one in (loss, nats)])
            else:
                loss = (nats * weights[rows]).sum()
                total += loss
                right += best.sum()
                parts[0] += loss
                parts[1] += nats.sum()
            if grad_hidden is None and grad_weight is None:
                continue
            if not pushes:
                grad = powers.mul_((weights[rows] / sums)[:, None])  # d loss / d logits: probabilities, less one at the label
                grad.scatter_add_(1, labels[rows, None], -weights[rows, None].to(grad.dtype))
            if grad_bias is not None:
                grad_bias += grad.sum(0)
            grad = grad.to(dtype)
            if grad_hidden is not None:
                grad_hidden[rows] = grad @ work.weight
            if grad_weight is None:
                pass
            elif dtype == work.sums:
                grad_weight.addmm_(grad.T, work.hidden[rows])
            else:
                grad_weight += grad.T @ work.hidden[rows]
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.mark_non_differentiable(right, parts)
        return total, right, parts

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias = (None if kept is None else kept.mul_(grad) for kept in ctx.saved_tensors)
        return hidden, weight, bias, None, None, None, None


def _of_both(
    powers: torch.Tensor, sums: torch.Tensor, nats: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (C,) of targets of which some are pushed down, and the gradient (C, V) by the logits, in the place of `powers`.

    d -log(1 - p) / d logit is p at the label and -p q elsewhere, where q is a token's probability among the others.
    """
    own = nats.neg().exp()
    grad = powers.scatter_(1, labels[:, None], 0.0)
    rest = (grad.sum(-1) / sums).clamp_min(LEAST)  # 1 - p
    down = weights < 0
    against = torch.where(own < 0.5, -torch.log1p(-own), -rest.log())
    grad *= (torch.where(down, weights * own / rest, weights) / sums)[:, None]
    grad.scatter_(1, labels[:, None], torch.where(down, -weights * own, -weights * rest)[:, None].to(grad.dtype))
    return torch.where(down, -weights * against, weights * nats), grad
