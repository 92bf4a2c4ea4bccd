"""Measures the limits of the machine, in a process without anything else:
`python -P -m harness.calibrate.ceilings THREADS DEVICE SECONDS`.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from harness.machine.calibration import Limits
from harness.machine.matmul import PRECISIONS
from harness.telemetry.clock import Clock

PASSES = 3
"""Everything is measured several times, some time apart, because another program may be busy for a moment."""
_LARGEST = {"cpu": 2048, "cuda": 8192}
_SMALLEST = 256
_BYTES = {"cpu": 256 << 20, "cuda": 2 << 30}  # far larger than any cache


def limits(*, threads: int, device: str, seconds: float) -> Limits:
    """Measure for about `seconds` altogether. `device` is cpu or cuda:0."""
    torch.set_num_threads(threads)
    share = seconds / (len(PRECISIONS) + 2) / PASSES
    matmul: dict[str, float | None] = dict.fromkeys(PRECISIONS)
    read = copied = 0.0
    with torch.inference_mode():
        for _ in range(PASSES):
            for name, kind in PRECISIONS.items():
                matmul[name] = max(_matmul(kind, device, share) or 0.0, matmul[name] or 0.0) or None
            bandwidths = _bandwidths(device, share)
            read, copied = max(read, bandwidths[0]), max(copied, bandwidths[1])
    step, call = _timer()
    name = "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
    return Limits(
        device=name,
        threads=threads,
        matmul=matmul,
        copy_bandwidth=copied,
        read_bandwidth=read,
        timer_step_ns=step,
        timer_call_ns=call,
    )


def _matmul(kind: torch.dtype, device: str, seconds: float) -> float | None:
    """FLOP/s of the fastest square product. The size doubles while a product takes a small part of the time.

    None if the device does not support this type of number.
    """
    best, size, largest = 0.0, _SMALLEST, _LARGEST[torch.device(device).type]
    deadline = time.monotonic() + seconds
    while size <= largest:
        try:
            a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
            least = _least_seconds(partial(torch.mm, a, b), device, (deadline - time.monotonic()) / 2)
        except (RuntimeError, TypeError):  # not supported on this device
            return best or None
        best = max(best, 2 * size**3 / least)
        if 8 * least > (deadline - time.monotonic()) / 2:
            break
        size *= 2
    return best


def _bandwidths(device: str, seconds: float) -> tuple[float, float]:
    size = _BYTES[torch.device(device).type]
    values = torch.ones(size // 4, device=device)
    target = torch.empty_like(values)
    read = size / _least_seconds(values.sum, device, seconds)
    copied = 2 * size / _least_seconds(lambda: target.copy_(values), device, seconds)
    return read, copied


def _least_seconds(work: Callable[[], object], device: str, patience: float) -> float:
    """The fastest of at least three repetitions and of as many as `patience` seconds allow, after a
    warm-up.
    """
    clock = Clock(device)
    work()
    least, tries, deadline = float("inf"), 0, time.monotonic() + patience
    while tries < 3 or time.monotonic() < deadline:
        started = clock.now_ns()
        work()
        least, tries = min(least, (clock.now_ns() - started) / 1e9), tries + 1
    return least


def _timer() -> tuple[float, float]:
    readings = [time.perf_counter_ns() for _ in range(100_000)]
    steps = [later - earlier for earlier, later in itertools.pairwise(readings) if later > earlier]
    return float(min(steps)), (readings[-1] - readings[0]) / (len(readings) - 1)


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps(limits(threads=int(sys.argv[1]), device=sys.argv[2], seconds=float(sys.argv[3])).plain())
    )
