"""A clock that waits for the device, and the timing of repeated units of work in their steady state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from harness.config import Config


@dataclass(frozen=True, slots=True)
class Clock:
    """The monotonic time at which all work queued on `device` ("cpu", "cuda:0", "mps" …) is done."""

    device: str = "cpu"

    def now_ns(self) -> int:
        """Wait for the device, then return the nanoseconds since an arbitrary point."""
        if self.device != "cpu":
            import torch

            torch.accelerator.synchronize(torch.device(self.device))
        return time.perf_counter_ns()

    def seconds(self, since: int) -> float:
        """The seconds since a moment that `now_ns` returned."""
        return (self.now_ns() - since) / 1e9


class WarmUp(Config):
    """The rule that ends the warm-up of a repeated unit of work.

    Units run and are discarded until the last `window` of them differ by at most `tolerance` (slowest divided
    by fastest, minus 1). At least `at_least` and at most `at_most` of them run. If `at_most` is reached, the
    timing is recorded as not steady.
    """

    at_least: int = Field(default=1, ge=0)
    """The smallest number of units of warm-up."""

    at_most: int = Field(default=10, ge=0)
    """The largest number of units of warm-up. If it is reached, the timing is recorded as not steady."""

    window: int = Field(default=3, ge=2)
    """The number of last units that must agree with each other."""

    tolerance: float = Field(default=0.05, gt=0)
    """The largest relative difference between the last units: 0.05 is 5 %."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least}) must not be larger than at_most ({self.at_most})")
        return self

    def steady(self, seconds: list[float]) -> bool:
        """Whether the last `window` units differ by at most `tolerance` (slowest over fastest, minus 1).

        Fewer units than `window` are not steady, and neither is a NaN.
        """
        last = seconds[-self.window :]
        return len(last) == self.window and all(value <= min(last) * (1 + self.tolerance) for value in last)


@dataclass(frozen=True, slots=True)
class Span:
    """The time between two moments of `time.monotonic`, which all processes of a machine share."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of each counted unit, in order, and of each unit of the warm-up.

    `steady` says whether the last units of the warm-up agreed with each other or with the counted units, and
    `span` when the counted units ran.
    """

    seconds: tuple[float, ...]
    warm_up_seconds: tuple[float, ...]
    steady: bool
    span: Span


def time_units(
    unit: Callable[[], object], *, count: int, clock: Clock, warm_up: WarmUp | None = None
) -> Timing:
    """Run `unit`, a complete and fixed piece of work, until it is steady (see `WarmUp`), then `count` times.

    The device is synchronised before and after every unit. Raises ValueError if `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1 (got {count})")
    rule = warm_up or WarmUp()
    discarded: list[float] = []
    settled = False
    while len(discarded) < rule.at_least or not (settled or len(discarded) >= rule.at_most):
        discarded.append(_seconds(unit, clock))
        settled = rule.steady(discarded)
    begin = time.monotonic()
    counted = tuple(_seconds(unit, clock) for _ in range(count))
    span = Span(begin, time.monotonic())
    agreed = settled or (bool(discarded) and rule.steady([*discarded, *counted]))
    return Timing(seconds=counted, warm_up_seconds=tuple(discarded), steady=agreed, span=span)


def _seconds(unit: Callable[[], object], clock: Clock) -> float:
    start = clock.now_ns()
    unit()
    return clock.seconds(start)
