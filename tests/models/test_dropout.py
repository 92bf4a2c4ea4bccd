"""Dropout's own masks: as often as asked for, what stays scaled, the gradient through what stayed alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.models.dropout import Dropout, dropout

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def drawn(x: Tensor, p: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return dropout(x, p)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_values_are_dropped_as_often_as_asked_and_the_others_scaled(dtype: torch.dtype, p: float) -> None:
    x = torch.full((501, 399), -3.0, dtype=dtype)
    dropped = drawn(x, p)
    assert dropped.dtype == dtype
    zero = dropped == 0
    # Five standard deviations of a binomial share, and what rounding p to 2⁻¹⁵ adds.
    assert abs(float(zero.double().mean()) - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-15
    expected = torch.tensor(-3.0 / (1 - round(p * 2**15) / 2**15), dtype=dtype)
    assert torch.equal(dropped[~zero], expected.expand(int((~zero).sum())))


def test_neighbours_are_dropped_independently() -> None:
    dropped = (drawn(torch.ones(400_000), 0.5) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8, 256):
        assert abs(float((dropped[:-distance] * dropped[distance:]).mean())) < 5 * 0.25 / 400_000**0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_goes_through_what_stayed_and_nothing_else(dtype: torch.dtype) -> None:
    x = torch.randn(7, 5, 3, dtype=dtype).transpose(0, 2).requires_grad_()
    weights = torch.randn(3, 5, 7, dtype=dtype)
    dropped = drawn(x, 0.3)
    torch.autograd.backward((dropped * weights).sum())
    scale = 1 / (1 - round(0.3 * 2**15) / 2**15)
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(dropped == 0, 0, weights * scale).to(dtype))


def test_a_seed_repeats_itself_and_another_differs() -> None:
    x = torch.ones(1003)
    assert torch.equal(drawn(x, 0.5), drawn(x, 0.5))
    assert not torch.equal(drawn(x, 0.5), drawn(x, 0.5, seed=1))


def test_the_ends_of_the_range_and_nothing_to_drop_from() -> None:
    x = torch.randn(9)
    assert torch.equal(dropout(x, 0.0), x)
    assert torch.equal(dropout(x, 1.0), torch.zeros(9))
    assert dropout(torch.empty(0, 4), 0.5).shape == (0, 4)
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(x, 1.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(x, -0.1)


def test_a_module_drops_in_training_alone() -> None:
    module, x = Dropout(0.5), torch.ones(64)
    assert (module(x) == 0).any()
    assert torch.equal(module.eval()(x), x)
