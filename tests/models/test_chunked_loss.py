"""The loss from hidden states, whole and in chunks: closed forms, gradients, memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.models.config import ChunkedLogits, LossConfig, WholeLogits
from harness.models.embedding import OutputProjection
from harness.models.loss import cross_entropy, loss_and_log_z, loss_of_hidden

OUTPUTS = {"plain": (1.0, None), "scaled": (0.3, None), "capped": (0.3, 2.0)}


def inputs(
    *, dtype: torch.dtype = torch.float64, bias: bool = True
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden, weight, shift = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in ((3, 7, 5), (19, 5), (19,))
    )
    targets = torch.randint(19, (3, 7), generator=generator)
    targets[1, 2:] = -100
    return hidden, weight, shift if bias else None, targets


@pytest.mark.parametrize("positions", [1, 4, 7, 100])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.01), (0.2, 0.1)])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("bias", [True, False])
def test_chunks_give_the_loss_and_the_gradients_of_the_whole(
    positions: int, smoothing: float, z_loss: float, output: str, *, bias: bool
) -> None:
    results = []
    scale, soft_cap = OUTPUTS[output]
    for logits in (WholeLogits(), ChunkedLogits(positions=positions)):
        hidden, weight, shift, targets = inputs(bias=bias)
        projection = OutputProjection(weight=weight, bias=shift, scale=scale, soft_cap=soft_cap)
        settings = LossConfig(label_smoothing=smoothing, z_loss=z_loss, logits=logits)
        loss, log_z, _ = loss_and_log_z(hidden, projection, targets, settings)
        torch.autograd.backward(3 * loss)
        assert not log_z.requires_grad
        results.append([loss.detach(), log_z, *(t.grad for t in (hidden, weight, shift) if t is not None)])
    exact = projection.logits(hidden.detach()).logsumexp(dim=-1)[targets != -100].mean().detach()
    torch.testing.assert_close(results[0][1], exact)
    for at_once, chunked in zip(*results, strict=True):
        assert at_once is not None
        assert chunked is not None
        assert (at_once - chunked).abs().max() <= 1e-10 * at_once.abs().max()


def test_smoothing_and_z_loss_have_their_closed_forms() -> None:
    logits = torch.tensor([[0.0, math.log(2), 0.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    targets = torch.tensor([1, -100])
    z = math.log(4)
    settings = LossConfig(label_smoothing=0.3, z_loss=0.5)
    expected = 0.8 * (z - math.log(2)) + 0.2 * z + 0.5 * z**2  # 0.7 + 0.1 on the target, 0.1 on either other
    assert cross_entropy(logits, targets, settings=settings).item() == pytest.approx(expected, rel=1e-12)


def test_nothing_but_ignored_targets_gives_zero_and_no_gradient() -> None:
    hidden, weight, shift, targets = inputs()
    projection = OutputProjection(weight=weight, bias=shift, scale=1.0, soft_cap=None)
    settings = LossConfig(z_loss=0.1, label_smoothing=0.1, logits=ChunkedLogits(positions=4))
    loss = loss_of_hidden(hidden, projection, torch.full_like(targets, -100), settings)
    torch.autograd.backward(loss)
    assert loss.item() == 0.0
    for tensor in (hidden, weight, shift):
        assert tensor is not None
        assert tensor.grad is not None
        assert not tensor.grad.any()


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most values that one new tensor had."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.values = max(self.values, made.numel())
        return made


def test_no_more_logits_exist_than_a_chunk_has() -> None:
    hidden = torch.randn(64, 4, requires_grad=True)
    weight = torch.randn(100, 4, requires_grad=True)
    projection = OutputProjection(weight=weight, bias=None, scale=1.0, soft_cap=None)
    with Largest() as largest:
        settings = LossConfig(logits=ChunkedLogits(positions=8))
        torch.autograd.backward(
            loss_of_hidden(hidden, projection, torch.zeros(64, dtype=torch.long), settings)
        )
    assert largest.values == 8 * 100


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts matrix products and remembers their precisions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count, self.precisions = 0, set[torch.dtype]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "mm" in func.__name__:
            self.count += 1
            self.precisions.update(t.dtype for t in args if isinstance(t, Tensor))
        return func(*args, **kwargs or {})


def test_under_autocast_products_are_in_its_precision_and_gradients_in_the_parameters_own() -> None:
    at_once, chunked = (LossConfig(logits=kind) for kind in (WholeLogits(), ChunkedLogits(positions=4)))
    gradients = []
    for settings in (at_once, chunked):
        hidden, weight, _, targets = inputs(dtype=torch.float32)
        projection = OutputProjection(weight=weight, bias=None, scale=1.0, soft_cap=None)
        with Products() as products:
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of_hidden(hidden, projection, targets, settings)
            torch.autograd.backward(loss)
        gradients.append((hidden.grad, weight.grad))
    assert products.precisions == {torch.bfloat16}
    for expected, got in zip(*gradients, strict=True):
        assert expected is not None
        assert got is not None
        assert got.dtype == torch.float32
        assert (expected - got).abs().max() <= 2e-2 * expected.abs().max()


def test_without_gradients_only_logits_are_computed() -> None:
    hidden, weight, shift, targets = inputs()
    projection = OutputProjection(weight=weight, bias=shift, scale=1.0, soft_cap=None)
    settings = LossConfig(logits=ChunkedLogits(positions=7))
    with Products() as products, torch.no_grad():
        loss_of_hidden(hidden, projection, targets, settings)
    assert products.count == 3  # 21 positions
