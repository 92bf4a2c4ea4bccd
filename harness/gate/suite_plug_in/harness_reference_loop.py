"""A plug-in of pytest that times a short loop beside every round of pytest-benchmark: `reference_seconds` in
the `extra_info` of each benchmark, one value per round.

The speed of a shared processor changes from second to second, and it changes the loop and the round beside it
alike. The time of a round divided by that of the loop scatters less. Nothing here imports the harness: the
Python that runs the suite may not have it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from pytest_benchmark.stats import Metadata

KEY = "reference_seconds"
NUMBERS, VALID_FOR = 30_000, 0.005
"""How long the loop is (1 to 3 ms), and for how many seconds its time counts for rounds that follow. So it
costs short rounds little.
"""


class ReferenceLoop:
    """The time of a loop, which is never older than `VALID_FOR`."""

    def __init__(self) -> None:
        self._seconds, self._ended = 0.0, float("-inf")

    def seconds(self) -> float:
        """Times the loop, if its last time is too old."""
        if time.perf_counter() - self._ended > VALID_FOR:
            collects = gc.isenabled()
            gc.disable()
            started = time.perf_counter()
            total = 0
            for number in range(NUMBERS):
                total += number * number
            self._ended = time.perf_counter()
            self._seconds = self._ended - started
            if collects:
                gc.enable()
        return self._seconds


def pytest_configure() -> None:
    """Time the loop whenever pytest-benchmark notes the time of a round."""
    loop = ReferenceLoop()
    noted: Callable[[Any, float], None] = Metadata.update

    @wraps(noted)
    def update(self: Any, duration: float) -> None:
        noted(self, duration)
        self.extra_info.setdefault(KEY, []).append(loop.seconds())

    setattr(Metadata, "update", update)  # noqa: B010  a checker of types forbids to assign to a method
