"""Cross-entropy: closed form, ignored targets, precision."""

from __future__ import annotations

import math

import pytest
import torch

from harness.models.loss import cross_entropy


def test_the_mean_is_over_the_targets_that_count() -> None:
    logits = torch.tensor([[[0.0, math.log(3)], [5.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    targets = torch.tensor([[1, -100, 0]])
    assert cross_entropy(logits, targets).item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 2)) / 2)
    other = cross_entropy(logits, torch.tensor([[1, 9, 0]]), ignore_index=9)
    assert other.item() == cross_entropy(logits, targets).item()


def test_nothing_but_ignored_targets_gives_zero_and_no_gradient() -> None:
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 3), -100))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_low_precision_logits_are_summed_in_float32() -> None:
    logits = torch.randn(4, 512, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.zeros(4, 512, dtype=torch.long)
    loss = cross_entropy(logits, targets)
    exact = -logits.double().log_softmax(-1)[..., 0].mean()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
