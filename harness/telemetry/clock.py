"""A device-synchronised clock, and timing of repeated units of work in their steady state."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from harness.config import Config


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic time at which everything queued on `device` ("cpu", "cuda:0", "mps" …) has been done."""

    device: str = "cpu"

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary point; waits for the device first."""
        if self.device != "cpu":
            import torch

            torch.accelerator.synchronize(torch.device(self.device))
        return time.perf_counter_ns()


class WarmUp(Config):
    """When a repeated unit of work counts as steady.

    Units run, and are thrown away, until the last `window` of them differ by at most `tolerance` (slowest
    over fastest, less 1); at least `at_least` and at most `at_most` run. Reaching `at_most` is recorded, not
    repaired.
    """

    at_least: int = Field(default=1, ge=0)
    at_most: int = Field(default=10, ge=0)
    window: int = Field(default=3, ge=2)
    tolerance: float = Field(default=0.05, gt=0)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError(f"at_least is {self.at_least}, more than at_most, {self.at_most}")
        return self

    def steady(self, seconds: list[float]) -> bool:
        """Whether the last `window` units differ by at most `tolerance`: the slowest over the fastest, less 1.

        Fewer units than the window are not steady, nor is NaN.
        """
        last = seconds[-self.window :]
        return len(last) == self.window and all(value <= min(last) * (1 + self.tolerance) for value in last)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each unit that counts, in order, and of each that was thrown away before them.

    `steady` is whether the last of those agreed, or did so with the units that count.
    """

    seconds: tuple[float, ...]
    warm_up_seconds: tuple[float, ...]
    steady: bool

    @property
    def median_seconds(self) -> float:
        """One fresh process is one sample: this is its value."""
        return statistics.median(self.seconds)


def time_units(
    unit: Callable[[], object], *, count: int, clock: Clock, warm_up: WarmUp | None = None
) -> Timing:
    """Run `unit`, a complete and fixed piece of work, until steady (see `WarmUp`) and then `count` times.

    The device is synchronised before and after every unit. Raises ValueError where `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"needs at least one unit to time, not {count}")
    rule = warm_up or WarmUp()
    thrown_away: list[float] = []
    settled = False
    while len(thrown_away) < rule.at_least or not (settled or len(thrown_away) >= rule.at_most):
        thrown_away.append(_seconds(unit, clock))
        settled = rule.steady(thrown_away)
    counted = tuple(_seconds(unit, clock) for _ in range(count))
    agreed = settled or (bool(thrown_away) and rule.steady([*thrown_away, *counted]))
    return Timing(seconds=counted, warm_up_seconds=tuple(thrown_away), steady=agreed)


def _seconds(unit: Callable[[], object], clock: Clock) -> float:
    start = clock.now_ns()
    unit()
    return (clock.now_ns() - start) / 1e9
