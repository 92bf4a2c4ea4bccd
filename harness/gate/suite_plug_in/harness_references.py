"""A plug-in of pytest that times two references beside every round of pytest-benchmark: a loop, and a walk
through memory in an order that no cache foresees. `reference_loop_seconds` and `reference_memory_seconds` in
the `extra_info` of each benchmark have one value per round.

The speed of a shared processor and of its memory changes from second to second, and it changes the references
and the round beside them alike. Nothing here imports the harness: the Python that runs the suite may not have
it.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from pytest_benchmark.stats import Metadata

KEYS = ("reference_loop_seconds", "reference_memory_seconds")
NUMBERS, STEPS, OBJECTS = 20_000, 10_000, 100_000
"""How long the loop and the walk are (each about 1 ms), and among how many objects (4 MB) the walk goes."""

VALID_FOR = 0.005
"""For how many seconds a time counts for rounds that follow. So the references cost short rounds little."""


class Seconds(NamedTuple):
    loop: float
    memory: float


class References:
    """The times of the loop and of the walk, which are never older than `VALID_FOR`."""

    def __init__(self) -> None:
        self._seconds, self._ended = Seconds(0.0, 0.0), float("-inf")
        self._objects = list(range(OBJECTS))
        random.Random(0).shuffle(self._objects)
        self._at = 0

    def seconds(self) -> Seconds:
        """Times both, if their last times are too old."""
        if time.perf_counter() - self._ended > VALID_FOR:
            collects = gc.isenabled()
            gc.disable()
            started = time.perf_counter()
            total = 0
            for number in range(NUMBERS):
                total += number * number
            between = time.perf_counter()
            objects, at = self._objects, self._at
            for _ in range(STEPS):
                at = objects[at]
            self._ended = time.perf_counter()
            self._at = at
            self._seconds = Seconds(between - started, self._ended - between)
            if collects:
                gc.enable()
        return self._seconds


def pytest_configure() -> None:
    """Time the references whenever pytest-benchmark notes the time of a round."""
    references = References()
    noted: Callable[[Any, float], None] = Metadata.update

    @wraps(noted)
    def update(self: Any, duration: float) -> None:
        noted(self, duration)
        for key, seconds in zip(KEYS, references.seconds(), strict=True):
            self.extra_info.setdefault(key, []).append(seconds)

    setattr(Metadata, "update", update)  # noqa: B010  a checker of types forbids to assign to a method
