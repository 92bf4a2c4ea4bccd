"""The fastest matrix product that this process reaches: what a share of the peak (MFU) is a share of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.telemetry.clock import Clock

if TYPE_CHECKING:
    import torch

CPU_SIZE, DEVICE_SIZE = 768, 8192
ENOUGH_SECONDS, MOST_PRODUCTS = 0.15, 20


def matmul_peak(dtype: torch.dtype, device: str) -> float:
    """FLOP/s of the fastest of a few square products with this process's threads, in `dtype` or float32,
    whichever is faster.

    A CPU may have a precision without being fast in it: the other one is then what it could do. Takes a
    fraction of a second, unless one product takes longer.
    """
    import torch

    return max(_fastest(each, device) for each in {dtype, torch.float32})


def _fastest(dtype: torch.dtype, device: str) -> float:
    import torch

    size = CPU_SIZE if device == "cpu" else DEVICE_SIZE
    left, right = (torch.full((size, size), 0.5, dtype=dtype, device=device) for _ in range(2))
    clock, until = Clock(device), time.perf_counter() + ENOUGH_SECONDS
    out = left @ right  # the first one pays for what is set up once
    fastest = float("inf")
    for _ in range(MOST_PRODUCTS):
        start = clock.now_ns()
        torch.mm(left, right, out=out)
        fastest = min(fastest, (clock.now_ns() - start) / 1e9)
        if time.perf_counter() > until:
            break
    return 2 * size**3 / fastest
