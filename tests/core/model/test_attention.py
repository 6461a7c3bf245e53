"""Packed attention is the textbook's formula of each sample by itself, whichever way it is computed."""

from collections.abc import Callable

import pytest
import torch
from flats import bounds_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from aigc.core.model.attention import by_sample, kernel_of, packed
from aigc.core.model.blocks import blockwise
from aigc.core.model.flash import distances, flash
from aigc.core.model.spans import SHORT, Layout, groups, runs
from aigc.errors import AigcError

H, D, SCALE = 2, 8, 0.4
Attend = Callable[..., torch.Tensor]
lengths = st.lists(st.one_of(st.integers(0, 9), st.just(5), st.integers(SHORT - 2, SHORT + 9)), min_size=1, max_size=12)


def textbook(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, layout: Layout) -> torch.Tensor:
    """Softmax(Q K^T scale + bias) V, sample by sample, in the dtype of the queries."""
    out = torch.zeros_like(q)
    keys_at = layout.bounds if layout.source_bounds is None else layout.source_bounds
    ends = zip(layout.bounds[:-1], layout.bounds[1:], keys_at[:-1], keys_at[1:], strict=True)
    for q_from, q_to, k_from, k_to in ends:
        if q_to > q_from and k_to > k_from:
            scores = torch.einsum("thd,shd->hts", q[q_from:q_to], k[k_from:k_to]) * layout.scale
            if bias is not None:
                away = torch.arange(k_to - k_from) - torch.arange(q_to - q_from)[:, None]
                scores = scores + bias[:, away + bias.shape[1] // 2]
            if layout.causal:
                scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
            out[q_from:q_to] = torch.einsum("hts,shd->thd", scores.softmax(-1), v[k_from:k_to])
    return out


def case(kind: str, sizes: list[int], sources: list[int], spare: int) -> tuple[list[torch.Tensor], torch.Tensor | None, Layout]:
    """Random queries, keys and values in fp64, perhaps a bias, and the layout."""
    generator = torch.Generator().manual_seed(sum(sizes))
    places, source_places = max(sum(sizes) + spare, 1), max(sum(sources) + spare, 1)
    bounds = bounds_of(sizes, places, places + len(sizes))
    source_bounds = bounds_of(sources, source_places, places + len(sizes)) if kind == "cross" else None
    keys = source_places if kind == "cross" else places
    parts = [torch.randn(n, H, D, generator=generator, dtype=torch.float64) for n in (places, keys, keys)]
    bias = torch.randn(H, 2 * places - 1, generator=generator, dtype=torch.float64) if "biased" in kind else None
    return parts, bias, Layout(bounds, source_bounds, kind.startswith("causal"), SCALE)


def check(attend: Attend, kind: str, sizes: list[int], sources: list[int], spare: int, *, gradients: bool = True) -> None:
    """Outputs and gradients against the textbook's in fp64."""
    parts, bias, layout = case(kind, sizes, sources, spare)
    wanted = [x.requires_grad_(gradients) for x in ([*parts] if bias is None else [*parts, bias])]
    expected = textbook(*parts, bias, layout)
    gradients = gradients and expected.requires_grad  # not so where no sample has both queries and keys
    given = [x.detach().float().requires_grad_(gradients) for x in wanted]
    found = attend(*given[:3], given[3] if bias is not None else None, layout)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    if not gradients:
        return
    along = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad((found * along).sum(), given), torch.autograd.grad((expected * along).sum(), wanted), strict=True
    ):
        torch.testing.assert_close(one.double(), other, atol=1e-4 if other.dim() == 2 else 1e-5, rtol=1e-4)


KINDS = pytest.mark.parametrize("kind", ["causal", "full", "cross", "causal biased", "full biased"])


@KINDS
@settings(max_examples=25, deadline=None)
@given(sizes=lengths, sources=lengths, spare=st.integers(0, 5))
def test_flash_is_the_textbook(kind: str, sizes: list[int], sources: list[int], spare: int) -> None:
    check(flash, kind, sizes, (sources + sizes)[: len(sizes)], spare)


@KINDS
@settings(max_examples=10, deadline=None)
@given(sizes=lengths, sources=lengths, spare=st.integers(0, 5))
def test_by_sample_is_the_textbook(kind: str, sizes: list[int], sources: list[int], spare: int) -> None:
    check(lambda *parts: by_sample(*parts, 0.0), kind, sizes, (sources + sizes)[: len(sizes)], spare)


@KINDS
@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile:UserWarning")
def test_blocks_are_the_textbook(kind: str) -> None:
    check(blockwise, kind, [5, 1, 0, 9, 70], [3, 0, 4, 9, 2], 3, gradients=False)  # flex has no gradient on the CPU


@KINDS
def test_rows_of_one_length_are_one_group(kind: str) -> None:
    parts, _, layout = case(kind, [16] * 4, [7] * 4, 0)
    assert len(list(groups(layout.bounds, layout.source_bounds))) == 1
    check(flash, kind, [16] * 4, [7] * 4, 0)
    assert len(parts[0]) == 64


@settings(max_examples=50, deadline=None)
@given(sizes=lengths, sources=lengths, spare=st.integers(0, 5), cross=st.booleans())
def test_groups_and_runs_hold_every_sample_once(sizes: list[int], sources: list[int], spare: int, cross: bool) -> None:
    sources = (sources + sizes)[: len(sizes)]
    _, _, layout = case("cross" if cross else "full", sizes, sources, spare)
    keys_at = layout.bounds if layout.source_bounds is None else layout.source_bounds
    alive = (layout.bounds.diff() > 0) & (keys_at.diff() > 0)
    for found in (list(groups(layout.bounds, layout.source_bounds)), list(runs(layout.bounds, layout.source_bounds))):
        assert sum(one[0] for one in found) == int(alive.sum())
    every = torch.arange(int(layout.bounds[-1]))
    seen = []
    for one in groups(layout.bounds, layout.source_bounds):
        rows = every[one.queries]
        seen.append(rows if one.real_queries is None else rows[one.real_queries])
    samples = zip(layout.bounds[:-1], layout.bounds[1:], alive, strict=True)
    wanted = torch.cat([every[:0], *(every[begin:end] for begin, end, there in samples if there)])
    assert torch.equal(torch.cat(seen or [every[:0]]).sort().values, wanted)


def test_half_precision_is_near() -> None:
    for kind in ("causal", "full", "cross", "causal biased"):
        parts, bias, layout = case(kind, [5, 9, 70, 70], [3, 0, 9, 9], 3)
        halves = [x.bfloat16().requires_grad_() for x in parts]
        found = flash(*halves, None if bias is None else bias.float(), layout)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), textbook(*parts, bias, layout), atol=0.05, rtol=0.05)
        found.sum().backward()
        assert all(x.grad is not None and x.grad.dtype == torch.bfloat16 for x in halves)


def test_distances_are_keys_less_queries() -> None:
    bias = torch.arange(9.0)[None]  # R = 5: index 4 is a key at its query's own place
    assert distances(bias, 3, 2)[0].tolist() == [[4, 5], [3, 4], [2, 3]]


class _Layer(nn.Module):
    def __init__(self, *, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal


@pytest.mark.parametrize("causal", [True, False])
def test_heads_share_keys_in_groups(causal: bool) -> None:
    torch.manual_seed(0)
    bounds = bounds_of([5, 1, 4], 12, 12)
    query, key, value = (torch.randn(1, heads, 12, D, requires_grad=True) for heads in (4, 2, 2))
    out, _ = packed(_Layer(is_causal=causal), query, key, value, None, bounds=bounds)
    assert out.shape == (1, 12, 4, D)
    wide = [x[0].transpose(0, 1).repeat_interleave(2, 1) for x in (key, value)]
    expected = textbook(query[0].transpose(0, 1), *wide, None, Layout(bounds, None, causal, D**-0.5))
    torch.testing.assert_close(out[0], expected)
    for one, other in zip(
        torch.autograd.grad(out.square().sum(), (query, key, value)),
        torch.autograd.grad(expected.square().sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_only_a_layer_that_is_not_causal_looks_at_the_source() -> None:
    torch.manual_seed(0)
    bounds, source_bounds = bounds_of([3, 4], 8, 8), bounds_of([2, 5], 7, 8)
    q, k = torch.randn(1, 2, 8, D), torch.randn(1, 2, 7, D)
    crossed, _ = packed(_Layer(is_causal=False), q, k, k, None, bounds=bounds, source_bounds=source_bounds)
    assert torch.equal(crossed[0, 7], torch.zeros(2, D))  # padding, whose source is empty
    own, _ = packed(_Layer(is_causal=True), q, q, q, None, bounds=bounds, source_bounds=source_bounds)
    torch.testing.assert_close(own[0, 0], q[0, :, 0])  # the first of a sample sees itself alone


def test_what_it_cannot_do_is_an_error() -> None:
    x = torch.zeros(1, 1, 4, D)
    with pytest.raises(AigcError, match="softcap"):
        packed(_Layer(is_causal=True), x, x, x, None, bounds=bounds_of([4], 4, 4), softcap=30.0)


def test_dropout_drops_weights_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    bounds = bounds_of([40, 20], 60, 60)
    q, v = torch.randn(1, 2, 60, D), torch.ones(1, 2, 60, D)
    out, _ = packed(_Layer(is_causal=False), q, q, v, None, bounds=bounds, dropout=0.5)
    assert out.unique().numel() > 100
    assert out.mean().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("device", "dtype", "width", "biased", "dropout", "kernel"),
    [
        ("cpu", torch.float32, 16, False, 0.0, "flash"),
        ("cpu", torch.bfloat16, 16, True, 0.0, "flash"),
        ("cpu", torch.float32, 16, False, 0.1, "by sample"),
        ("cuda", torch.bfloat16, 16, False, 0.0, "varlen"),
        ("cuda", torch.float16, 16, False, 0.1, "varlen"),
        ("cuda", torch.bfloat16, 16, True, 0.0, "blocks"),
        ("cuda", torch.float32, 16, False, 0.0, "blocks"),
        ("cuda", torch.float32, 16, False, 0.1, "by sample"),
        ("cuda", torch.float32, 8, False, 0.0, "by sample"),
        ("mps", torch.float32, 16, False, 0.0, "by sample"),
    ],
)
def test_each_device_has_its_kernel(device: str, dtype: torch.dtype, width: int, biased: bool, dropout: float, kernel: str) -> None:
    assert kernel_of(device, dtype, width=width, biased=biased, dropout=dropout) == kernel
