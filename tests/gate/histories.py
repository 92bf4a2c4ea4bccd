"""Histories whose times are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from harness.gate.history import AcceptedRevision, RecordedTime

BENCHMARK = "bench/test_a.py::test_a"
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def accepted(
    number: int, seconds: float = 0.01, *, machine: str = "m1", name: str = BENCHMARK, code: str = "c"
) -> AcceptedRevision:
    """The revision of a day with this number."""
    return AcceptedRevision(
        revision=f"{number:012x}".ljust(40, "0"),
        committed=FIRST_DAY + timedelta(days=number),
        machine=machine,
        benchmarks={name: RecordedTime(seconds=seconds, code=code)},
    )


def accepted_times(times: Sequence[float], *, machine: str = "m1") -> list[AcceptedRevision]:
    return [accepted(number, seconds, machine=machine) for number, seconds in enumerate(times)]


def noisy(*steps: tuple[int, float], seed: int = 0, noise: float = 0.01) -> list[float]:
    """So many times around each level, with a scatter of 1 %."""
    levels = np.concatenate([np.full(count, level) for count, level in steps])
    scatter = np.random.default_rng(seed).normal(0, noise, len(levels))
    return [float(seconds) for seconds in levels * np.exp(scatter)]
