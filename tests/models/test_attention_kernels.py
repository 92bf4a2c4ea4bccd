"""The kernel that is chosen by shape against the one that is written out plainly: values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.models.attention import AttentionContext, Memory, build_attention, build_cross_attention
from harness.models.attention_kernels import (
    EVERYTHING,
    WRITTEN_OUT_LOGITS,
    WRITTEN_OUT_ROWS,
    AttentionKernel,
    AttentionMask,
    ByShape,
    build_kernel,
)
from harness.models.config import ModelConfig

SIZES = {"vocab_size": 2, "n_layers": 1, "d_model": 32, "n_heads": 4, "d_ff": 1, "max_positions": 9}
GENERATOR = torch.Generator().manual_seed(0)
PADDED = torch.tensor([[True] * 4 + [False] * 3, [True] * 7])[:, None, None, :]
MASKS = {
    "nothing hidden": EVERYTHING,
    "causal": AttentionMask(is_causal=True),
    "padded": AttentionMask(tensor=PADDED),
    "causal and padded": AttentionMask(tensor=PADDED & torch.ones(7, 7, dtype=torch.bool).tril()),
    "a bias a head": AttentionMask(tensor=torch.randn(1, 4, 7, 7, generator=GENERATOR, dtype=torch.float64)),
    "a bias that hides": AttentionMask(
        tensor=torch.full((7, 7), -torch.inf, dtype=torch.float64).triu(2)[None, None]
    ),
}
MEMORY = Memory(states=torch.randn(2, 5, 32, generator=GENERATOR), mask=EVERYTHING)


def kernel(kind: str, **attention: Any) -> AttentionKernel:
    settings = {**SIZES, "attention": {"kernel": {"kind": kind}, **attention}}
    config = ModelConfig.model_validate(settings)
    return build_kernel(config.attention, config)


def inputs(heads: int, *, queries: int = 7, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, queries, 4, 8), (2, 7, heads, 8), (2, 7, heads, 8))
    drawn = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return [tensor.to(dtype).transpose(1, 2).requires_grad_() for tensor in drawn]


def plain(mask: AttentionMask) -> AttentionMask:
    """The causal mask of a square as a tensor."""
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    return AttentionMask(tensor=causal[None, None]) if mask.is_causal else mask


def attended(kind: str, mask: AttentionMask, heads: int, **attention: Any) -> list[Tensor]:
    q, k, v = inputs(heads)
    out = kernel(kind, n_kv_heads=heads, **attention)(q, k, v, mask, dropout=0.0)
    return [out.detach(), *torch.autograd.grad(out.square().sum(), (q, k, v))]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("heads", [4, 2, 1])
def test_by_shape_is_the_written_out_kernel(mask: str, heads: int) -> None:
    expected = attended("materialised", plain(MASKS[mask]), heads, scale=0.7)
    for reference, tensor in zip(expected, attended("by-shape", MASKS[mask], heads, scale=0.7), strict=True):
        assert (tensor - reference).abs().max() <= 1e-12 * reference.abs().max()


def test_a_query_that_sees_nothing_is_finite() -> None:
    nothing = AttentionMask(tensor=torch.zeros((2, 1, 1, 7), dtype=torch.bool))
    assert all(tensor.isfinite().all() for tensor in attended("by-shape", nothing, 4))


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    q, k, _ = inputs(4)
    ones = torch.ones(2, 4, 7, 8, dtype=torch.float64)
    torch.manual_seed(0)
    with torch.no_grad():
        runs = torch.stack([kernel("by-shape")(q, k, ones, EVERYTHING, dropout=0.5) for _ in range(200)])
    assert (runs[0] - ones).abs().max() > 0.1
    assert runs.mean().item() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["materialised", "sdpa", "by-shape"])
def test_dropout_zeroes_weights_and_scales_the_others(kind: str) -> None:
    q, k, _ = inputs(4)
    values = torch.eye(7, 8, dtype=torch.float64).expand(
        2, 4, 7, 8
    )  # what comes out are the weights themselves
    with torch.no_grad():
        weights = kernel(kind)(q, k, values, EVERYTHING, dropout=0.0)[..., :7]
        torch.manual_seed(0)
        attended_values = kernel(kind)(q, k, values, EVERYTHING, dropout=0.25)[..., :7]
    dropped = attended_values == 0
    assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.1)  # of 392: 4.6 standard deviations
    torch.testing.assert_close(attended_values[~dropped], weights[~dropped] / 0.75)


@pytest.mark.parametrize("kind", ["materialised", "sdpa", "by-shape"])
@pytest.mark.parametrize(
    ("everywhere", "attention_dropout", "drops"), [(0.5, 0.0, False), (0.0, 0.5, True), (0.5, None, True)]
)
def test_attention_s_own_dropout_replaces_the_model_s(
    kind: str, everywhere: float, attention_dropout: float | None, *, drops: bool
) -> None:
    settings = {
        **SIZES,
        "dropout": everywhere,
        "attention": {"kernel": {"kind": kind}, "dropout": attention_dropout},
    }
    config = ModelConfig.model_validate(settings)
    context = AttentionContext(masks={None: EVERYTHING}, rotation=None, cache=None, memory=MEMORY)
    x = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(3))
    for layer in (build_attention(config, layer=0), build_cross_attention(config, layer=0)):
        evaluated = layer.eval()(x, context)
        torch.manual_seed(0)
        trained = layer.train()(x, context)
        assert torch.equal(trained, evaluated) is not drops


def test_in_bfloat16_it_is_as_exact_as_torch_s_kernel() -> None:
    q, k, v = inputs(4)
    exact = kernel("materialised")(q, k, v, EVERYTHING, dropout=0.0)
    q, k, v = inputs(4, dtype=torch.bfloat16)
    errors = {
        kind: (kernel(kind)(q, k, v, EVERYTHING, dropout=0.0) - exact).norm() for kind in ("sdpa", "by-shape")
    }
    assert errors["by-shape"] <= 1.5 * errors["sdpa"]


@pytest.mark.parametrize(("queries", "keys"), [(1, 7), (2, WRITTEN_OUT_LOGITS)])
def test_long_sequences_and_single_queries_are_left_to_torch(queries: int, keys: int) -> None:
    q, k = torch.randn(1, 4, queries, 8), torch.randn(1, 4, keys, 8)
    results = [kernel(kind)(q, k, k, EVERYTHING, dropout=0.0) for kind in ("sdpa", "by-shape")]
    assert torch.equal(*results)


@pytest.mark.parametrize("hides", ["nothing", "padding", "by a bias"])
@pytest.mark.parametrize("heads", [4, 2, 1])
def test_one_query_of_many_rows_is_written_out(
    heads: int, hides: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = WRITTEN_OUT_ROWS // heads
    generator = torch.Generator().manual_seed(2)
    shapes = ((rows, 4, 1, 8), (rows, heads, 7, 8), (rows, heads, 7, 8))
    q, k, v = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    masks = {
        "nothing": None,
        "padding": (torch.arange(7) >= torch.arange(rows)[:, None] % 7)[:, None, None, :],  # (B, 1, 1, S)
        "by a bias": torch.randn(1, 4, 1, 7, generator=generator, dtype=torch.float64),  # (1, H, 1, S)
    }
    mask = AttentionMask(tensor=masks[hides])
    expected = kernel("materialised", n_kv_heads=heads)(q, k, v, mask, dropout=0.0)
    queries: list[int] = []
    original = ByShape._written_out

    def noted(self: ByShape, q: Tensor, *others: Any) -> Tensor:
        queries.append(q.shape[2])
        return original(self, q, *others)

    monkeypatch.setattr(ByShape, "_written_out", noted)
    attended_values = kernel("by-shape", n_kv_heads=heads)(q, k, v, mask, dropout=0.0)
    assert queries == [1]
    assert (attended_values - expected).abs().max() <= 1e-12 * expected.abs().max()
    fewer = AttentionMask(tensor=None if mask.tensor is None else mask.tensor[-rows + 1 :])
    attended_values = kernel("by-shape", n_kv_heads=heads)(q[1:], k[1:], v[1:], fewer, dropout=0.0)
    assert queries == [1]  # a row less is left to torch
    assert (attended_values - expected[1:]).abs().max() <= 1e-12 * expected.abs().max()
