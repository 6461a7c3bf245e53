"""The chunked cross-entropy is torch's, with its gradients, its logits are never whole, and weights below 0 push down."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.model import losses
from aigc.core.model.head import Head
from aigc.core.model.losses import cross_entropy, token_losses

P, W, V = 37, 16, 53


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several."""
    monkeypatch.setattr(losses, "CPU_ROWS", 10)


def made(*, bias: bool, targets: int = P, dtype: torch.dtype = torch.float32) -> tuple[Head, torch.Tensor, torch.Tensor]:
    """A head whose parts want gradients, labels and weights."""
    torch.manual_seed(0)
    parts = torch.randn(targets, W), torch.randn(V, W), torch.randn(V) if bias else None
    head = Head(*(None if part is None else part.to(dtype).requires_grad_() for part in parts))  # type: ignore[arg-type]
    return head, torch.randint(0, V, (targets,)), torch.rand(targets)


def plain(head: Head, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (torch.nn.functional.cross_entropy(head.logits(), labels, reduction="none") * weights).sum()


def both(head: Head, labels: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums of Welleck et al. 2020 over whole logits, of what is learned and of what is pushed down."""
    own = torch.softmax(head.logits(), -1).gather(1, labels[:, None])[:, 0]
    learned = torch.where(weights > 0, -weights * own.log(), 0.0).sum()
    return learned, torch.where(weights < 0, weights * torch.log1p(-own), 0.0).sum()


@pytest.mark.parametrize("pushes", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_plain_cross_entropy_with_its_gradients(bias: bool, pushes: bool) -> None:
    head, labels, weights = made(bias=bias)
    leaves = [part for part in head if part is not None]
    expected = plain(head, labels, weights)
    wanted = torch.autograd.grad(expected / 7, leaves)
    found = cross_entropy(head, labels, weights, pushes=pushes)
    torch.testing.assert_close(found.loss, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.learned, expected.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.nats, plain(head, labels, torch.ones(P)).detach(), atol=1e-5, rtol=1e-5)
    assert found.pushed == found.pushed_nats == 0
    assert int(found.right) == int((head.logits().argmax(-1) == labels).sum())
    for one, other in zip(torch.autograd.grad(found.loss / 7, leaves), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_only_what_wants_a_gradient_gets_one() -> None:
    head, labels, weights = made(bias=True)
    frozen = Head(head.hidden, head.weight.detach(), head.bias.detach() if head.bias is not None else None)
    cross_entropy(frozen, labels, weights).loss.backward()
    assert head.hidden.grad is not None
    assert head.weight.grad is None
    with torch.no_grad():
        assert not cross_entropy(head, labels, weights).loss.requires_grad


def test_losses_of_tokens_add_up() -> None:
    head, labels, weights = made(bias=True)
    each = token_losses(head, labels)
    assert each.shape == (P,)
    torch.testing.assert_close((each * weights).sum(), plain(head, labels, weights), atol=1e-4, rtol=1e-5)


def test_no_targets_are_no_loss_and_no_gradient() -> None:
    head, labels, weights = made(bias=True, targets=0)
    found = cross_entropy(head, labels, weights)
    found.loss.backward()
    assert found.loss.item() == found.right.item() == 0
    assert head.weight.grad is not None
    assert not head.weight.grad.any()
    assert token_losses(head, labels).shape == (0,)


def test_products_in_bf16_and_sums_in_fp32() -> None:
    head, labels, weights = made(bias=True)
    expected = plain(head, labels, weights)
    wanted = torch.autograd.grad(expected, [head.hidden, head.weight])
    with torch.autocast("cpu", torch.bfloat16):
        found = cross_entropy(head, labels, weights, torch.bfloat16)
    assert found.loss.dtype == torch.float32
    torch.testing.assert_close(found.loss, expected, atol=0, rtol=1e-2)
    for one, other in zip(torch.autograd.grad(found.loss, [head.hidden, head.weight]), wanted, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=0.05, rtol=0.05)


def test_a_label_of_vanishing_probability_has_a_finite_loss() -> None:
    hidden, weight = torch.tensor([[1000.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]])
    found = cross_entropy(Head(hidden, weight, None), torch.tensor([1]), torch.ones(1))
    assert found.loss.item() == 2000
    assert found.right.item() == 0


@pytest.mark.parametrize("bias", [True, False])
def test_weights_below_zero_are_unlikelihood_with_its_gradients(bias: bool) -> None:
    head, labels, weights = made(bias=bias, dtype=torch.float64)
    weights = weights.double() - 0.5
    leaves = [part for part in head if part is not None]
    learned, pushed = both(head, labels, weights)
    wanted = torch.autograd.grad((learned + pushed) / 7, leaves)
    found = cross_entropy(head, labels, weights)
    torch.testing.assert_close(found.loss, learned + pushed)
    torch.testing.assert_close((found.learned, found.pushed), (learned.detach(), pushed.detach()))
    nats = token_losses(head, labels)
    torch.testing.assert_close((found.nats, found.pushed_nats), (nats[weights > 0].sum(), nats[weights < 0].sum()))
    assert int(found.right) == int((head.logits().argmax(-1) == labels)[weights > 0].sum())
    for one, other in zip(torch.autograd.grad(found.loss / 7, leaves), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_derivatives_below_zero_are_no_unlikelihood() -> None:
    head, labels, weights = made(bias=True, dtype=torch.float64)
    factors = weights.double() - 0.5
    expected = plain(head, labels, factors)
    wanted = torch.autograd.grad(expected, [head.hidden, head.weight])
    found = cross_entropy(head, labels, factors, pushes=False)
    torch.testing.assert_close(found.loss, expected)
    torch.testing.assert_close(torch.autograd.grad(found.loss, [head.hidden, head.weight]), wanted)
    assert found.pushed == found.pushed_nats == 0


@given(logit=st.floats(-60, 60), weight=st.floats(-3, -0.1))
def test_a_token_that_is_nearly_certain_is_pushed_down_with_all_digits(logit: float, weight: float) -> None:
    hidden = torch.tensor([[1.0, logit]], requires_grad=True)
    matrix = torch.tensor([[0.0, 1.0], [0.3, 0.0], [-0.3, 0.0]])  # logits: `logit`, 0.3, -0.3
    found = cross_entropy(Head(hidden, matrix, None), torch.tensor([0]), torch.tensor([weight], dtype=torch.float32))
    found.loss.backward()
    exact = torch.tensor([[1.0, hidden[0, 1].item()]], dtype=torch.float64, requires_grad=True)
    logits = exact @ matrix.double().T
    against = torch.nn.functional.softplus(logits[0, 0] - logits[0, 1:].logsumexp(-1))  # -log(1 - p)
    wanted = -torch.tensor(weight, dtype=torch.float32).double() * against
    wanted.backward()
    torch.testing.assert_close(found.loss.double(), wanted.detach(), rtol=1e-4, atol=1e-30)
    assert hidden.grad is not None and exact.grad is not None
    torch.testing.assert_close(hidden.grad.double(), exact.grad, rtol=1e-4, atol=1e-7)


def test_a_token_without_alternatives_has_a_finite_loss_and_gradient() -> None:
    hidden = torch.tensor([[1000.0]], requires_grad=True)
    found = cross_entropy(Head(hidden, torch.tensor([[1.0], [-1.0]]), None), torch.tensor([0]), -torch.ones(1))
    found.loss.backward()
    assert 60 < found.loss.item() < 80
    assert hidden.grad is not None and hidden.grad.item() == pytest.approx(1.0), "it is still pushed down"
