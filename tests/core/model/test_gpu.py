"""On a GPU: attention is the textbook's whichever kernel computes it, and a model learns what it learns on the CPU."""

import pytest
import torch
from flats import CLASSIFIERS, NAMES, batch_of, model_of, samples_of
from test_attention import SCALE, H, case, textbook
from test_learner import PREFERRING, drawn, learner_of

from aigc.core.model.attention import packed
from aigc.core.model.flash import DistanceBias
from aigc.core.model.learner import Learner
from aigc.core.model.spans import Layout

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GPU = torch.device("cuda")
KINDS = pytest.mark.parametrize("kind", ["causal", "full", "cross", "causal biased", "full biased"])
EACH = [*((name, False) for name in (*NAMES, *CLASSIFIERS, *PREFERRING)), ("gpt2", True), ("t5", True), ("bert+classes", True)]
SIZES, SOURCES, SPARE = [5, 1, 0, 9, 70, 70, 200], [3, 0, 4, 9, 2, 33, 150], 3


def attend(parts: list[torch.Tensor], bias: torch.Tensor | None, layout: Layout, dropout: float = 0.0) -> torch.Tensor:
    """(N, H, D) by the function that transformers' layers call."""
    module = torch.nn.Module()
    module.is_causal = layout.causal  # type: ignore[assignment]
    q, k, v = (x.transpose(0, 1)[None] for x in parts)
    others = {"bounds": layout.bounds.to(GPU)}
    if layout.source_bounds is not None:
        others["source_bounds"] = layout.source_bounds.to(GPU)
    wide = None if bias is None else DistanceBias(bias)
    return packed(module, q, k, v, None, scaling=SCALE, dropout=dropout, position_bias=wide, **others)[0][0]


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads", [H, 1])
def test_attention_and_its_gradients_are_the_textbook(kind: str, dtype: torch.dtype, heads: int) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    (q, k, v), bias, layout = case(kind, SIZES, SOURCES, SPARE)
    q, k, v = (x.repeat(1, 1, 2) for x in (q, k, v))  # flex has no kernel for heads narrower than 16
    k, v = k[:, :heads], v[:, :heads]
    along = torch.randn(q.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = [x.clone().requires_grad_() for x in (q, k, v)]
    shared = [x.repeat_interleave(H // heads, 1) for x in wanted[1:]]
    expected = textbook(wanted[0], *shared, bias, layout)
    expected.backward(along)
    given = [x.to(GPU, dtype).requires_grad_() for x in (q, k, v)]
    found = attend(given, None if bias is None else bias.to(GPU, torch.float32), layout)
    found.backward(along.to(GPU, dtype))
    near = {"atol": 5e-5, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.1, "rtol": 0.05}
    alive = _alive(layout)
    torch.testing.assert_close(found.double().cpu()[alive], expected.detach()[alive], **near)
    for one, other in zip(given, wanted, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double().cpu(), other.grad, **near)


def _alive(layout: Layout) -> torch.Tensor:
    """Places (N,) of samples that have keys: what stands elsewhere is read by nothing."""
    keys = layout.bounds if layout.source_bounds is None else layout.source_bounds
    return torch.repeat_interleave(keys.diff() > 0, layout.bounds.diff())


def test_dropout_keeps_the_mean() -> None:
    parts, _, layout = case("causal", [40, 24], [], 0)
    given = [x.repeat(1, 1, 2).to(GPU, torch.bfloat16) for x in parts]
    torch.manual_seed(0)
    drawn = torch.stack([attend(given, None, layout, dropout=0.2).float() for _ in range(400)])
    assert drawn.std(0).max() > 0.1
    torch.testing.assert_close(drawn.mean(0), attend(given, None, layout).float(), atol=0.15, rtol=0.1)


@pytest.mark.parametrize(("name", "compiled"), EACH)
def test_losses_and_gradients_are_those_of_the_cpu(name: str, compiled: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    found = {}
    for device in ("cpu", "cuda"):
        learner = learner_of(name, sharpen=2.0, compiled=compiled and device == "cuda").to(device)
        batch = drawn(name)
        batch.weights[::3] *= -1  # pushed down
        losses = learner(batch.to(torch.device(device)), token_total=1.0, sequence_total=1.0)
        losses.loss.backward()
        gradients = [p.grad.cpu() for p in learner.model.parameters() if p.grad is not None]
        found[device] = losses.loss.detach().cpu(), gradients
    torch.testing.assert_close(found["cuda"][0], found["cpu"][0], atol=1e-3, rtol=1e-4)
    assert len(found["cuda"][1]) == len(found["cpu"][1])
    for one, other in zip(found["cuda"][1], found["cpu"][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_near(name: str) -> None:
    whole, half = (Learner(model_of(name).to(GPU), dtype=dtype) for dtype in (None, torch.bfloat16))
    batch = batch_of(samples_of(name)).to(GPU)
    losses = [learner(batch, token_total=1.0, sequence_total=1.0).loss for learner in (whole, half)]
    losses[1].backward()
    torch.testing.assert_close(losses[1], losses[0], atol=0.1, rtol=0.01)
    assert all(p.grad is None or p.grad.isfinite().all() for p in half.model.parameters())
