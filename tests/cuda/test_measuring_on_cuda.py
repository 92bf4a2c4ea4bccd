"""Time and memory of a GPU: the clock waits for it, and the peaks are its allocator's."""

from __future__ import annotations

import statistics

import pytest
import torch

from harness.telemetry.clock import Clock, WarmUp, time_units
from harness.telemetry.memory import device_peak_bytes, reset_device_peak
from harness.telemetry.tensor_memory import TensorPeak


def test_the_clock_waits_for_what_was_queued(device: torch.device) -> None:
    """Without that a timing tells how long it took to ask: the trap of unsynchronised CUDA timing."""
    matrix = torch.randn(8192, 8192, device=device)

    def unit() -> None:
        for _ in range(20):
            torch.mm(matrix, matrix)

    unit()
    timing = time_units(unit, count=3, clock=Clock(str(device)), warm_up=WarmUp(at_most=2, window=2))
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    unit()
    end.record()
    torch.cuda.synchronize()
    assert statistics.median(timing.seconds) >= 0.8 * start.elapsed_time(end) / 1e3


def test_the_peak_is_the_allocators(device: torch.device) -> None:
    held = torch.zeros(1 << 20, device=device)
    reset_device_peak(str(device))
    before = device_peak_bytes(str(device))
    assert before is not None
    passing = torch.zeros(3 << 20, device=device)
    del passing
    after = device_peak_bytes(str(device))
    assert after is not None
    assert after - before == 4 * (3 << 20)
    del held


def test_tensors_are_counted_as_the_allocator_counts_them(device: torch.device) -> None:
    a = torch.randn(512, 512, device=device, requires_grad=True)
    torch.autograd.backward((a @ a).sum())  # the workspace of the matrix products is taken once
    a.grad = None
    reset_device_peak(str(device))
    before = device_peak_bytes(str(device))
    with TensorPeak() as peak:
        torch.autograd.backward((a @ a).relu().sum())
    after = device_peak_bytes(str(device))
    assert before is not None
    assert after is not None
    assert peak.peak_bytes == pytest.approx(after - before, rel=0.01, abs=4096)
