"""A plug-in of pytest that makes one benchmark slower by a stated share: `GATE_PLANT=FULLNAME::SHARE`.

It shows that a gate finds what it must find. It is used with `-p harness.gate.plant`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

VARIABLE = "GATE_PLANT"


def plant_text(name: str, share: float) -> str:
    """What the variable says. It is equally long for all shares below 10: the size of its environment can
    change the speed of a program.
    """
    return f"{name}::{share:.4f}"


def planted() -> tuple[str, float]:
    """The full name of the benchmark, and the share of its time that is added. ("", 0) if nothing is."""
    name, _, share = os.environ.get(VARIABLE, "").rpartition("::")
    return name, float(share or 0)


def slowed(function: Callable[..., Any], share: float) -> Callable[..., Any]:
    """The function, after which the processor stays busy for a share of the time that it took."""

    def slow(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        result = function(*args, **options)
        until = started + (time.perf_counter() - started) * (1 + share)
        while time.perf_counter() < until:
            pass
        return result

    return slow


def pytest_configure() -> None:
    """Slow down what the fixture of pytest-benchmark times, in the benchmark with the planted name."""
    planted_name, share = planted()

    def patched(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(fixture: Any, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
            is_planted = fixture.fullname == planted_name
            return method(fixture, slowed(function, share) if is_planted else function, *args, **options)

        return timed

    if planted_name and share:
        for name in ("__call__", "pedantic"):
            setattr(BenchmarkFixture, name, patched(getattr(BenchmarkFixture, name)))
