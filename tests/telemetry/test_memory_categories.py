"""Bytes of a step by what they are for, against counts made by hand.

A 100 × 100 float32 matrix is 40,000 bytes.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.telemetry.memory_categories import MemoryByCategory

MATRIX = 40_000
ROWS = 4_000  # (10, 100) float32


class Layer(nn.Module):
    """Keeps what enters a product, and the result of an exponential."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(100, 100, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x).exp()
        return y


class Model(nn.Module):
    def __init__(self, *, checkpointed: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(4))
        self._checkpointed = checkpointed
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self._checkpointed else layer(x)
        return x


def measured(*, checkpointed: bool = False, momentum: float = 0.9) -> tuple[MemoryByCategory, int]:
    """A second update, and the bytes that stayed after the first."""
    model, x = Model(checkpointed=checkpointed), torch.ones(10, 100)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=momentum, foreach=False)

    def update() -> None:
        model(x).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with MemoryByCategory(model, optimizer) as memory:
        update()
        static = memory.live_bytes
        memory.start_peak()
        update()
        assert memory.live_bytes == static
    return memory, static


def test_parameters_and_optimizer_stay_and_gradients_are_there_at_the_peak() -> None:
    memory, static = measured()
    assert static == 8 * MATRIX
    peaks = memory.peaks()
    assert (peaks["parameter"], peaks["optimizer"]) == (4 * MATRIX, 4 * MATRIX)
    assert peaks["gradient"] == 4 * MATRIX
    assert 12 * MATRIX <= memory.peak_bytes <= sum(peaks.values())


def test_each_category_has_a_peak_of_its_own() -> None:
    """The peak of the total is at the end of the backward pass, when the activations of all layers are freed.
    Four results of an exponential and their sum were alive before.
    """
    memory, _ = measured()
    peaks = memory.peaks()
    assert peaks["activation"] >= 4 * ROWS + 4
    assert memory.peak_bytes < sum(peaks.values())
    assert peaks["other"] < MATRIX  # a gradient that autograd has not assigned yet is a gradient


def test_without_momentum_the_optimizer_has_nothing() -> None:
    memory, static = measured(momentum=0.0)
    assert (static, memory.peaks()["optimizer"]) == (4 * MATRIX, 0)


def test_activations_are_those_that_the_backward_pass_needs() -> None:
    """At the end of the forward pass: the result of each exponential, and its sum."""
    model, x = Model(checkpointed=False), torch.ones(10, 100)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with MemoryByCategory(model, optimizer) as memory:
        loss = model(x).sum()
        before = dict(memory.live)
        loss.backward()
        after = dict(memory.live)
    assert before["activation"] == 4 * ROWS + 4
    assert (before["other"], before["gradient"]) == (0, 0)
    assert (after["activation"], after["other"], after["gradient"]) == (4, 0, 4 * MATRIX)


def test_what_checkpointing_computes_again_is_activation_too() -> None:
    """Kept are the inputs of three layers (the first's is from before), and each layer's product while it
    runs.
    """
    model, x = Model(checkpointed=True), torch.ones(10, 100)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    seen: list[int] = []
    with MemoryByCategory(model, optimizer) as memory:
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(lambda *_: seen.append(memory.live["activation"]))
        loss = model(x).sum()
        assert memory.live["activation"] == 3 * ROWS + 4
        loss.backward()
    forward, again = seen[:4], seen[4:]
    assert forward == [ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS]
    assert again == [rows + 8 for rows in reversed(forward)]  # beside the loss and its gradient
    assert memory.live["other"] == 0


def test_hooks_are_gone_afterwards_and_figures_repeat() -> None:
    first, second = measured()[0].peaks(), measured()[0].peaks()
    assert first == second
    memory, _ = measured()
    peak = memory.peak_bytes
    Model(checkpointed=False)(torch.ones(10, 100)).sum().backward()
    assert memory.peak_bytes == peak


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_shows_the_same_bytes() -> None:
    on_cpu, _ = measured()
    model, x = Model(checkpointed=False).cuda(), torch.ones(10, 100, device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, foreach=False)
    with MemoryByCategory(model, optimizer) as memory:
        for _ in range(2):
            memory.start_peak()
            model(x).sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    assert memory.peaks() == on_cpu.peaks()
