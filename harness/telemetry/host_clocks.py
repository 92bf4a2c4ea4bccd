"""What happened to the clocks of the host: a suspend, or a jump of the wall clock.

Timings use the monotonic clock, which neither goes on during a suspend nor jumps. A suspend disturbs a trial
all the same, and a jump is recorded, because the times of logs around it cannot be compared.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_JUMP_S = 0.1
"""Smaller changes between two looks are what remains of reading the clocks one after the other."""

_LEAST_SUSPEND_S = 0.01

_TIMEX_BYTES = 512  # more than the structure of any architecture
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The three clocks of Linux at one moment, in seconds.

    `monotonic` stands still while the machine is suspended, `since_boot` goes on, and `wall` can be set. A
    slow correction by NTP changes the speed of all three alike.
    """

    monotonic: float
    since_boot: float
    wall: float


def read_clocks() -> Clocks | None:
    """The clocks now, read within a millisecond if the process is not interrupted all the time. None on
    systems other than Linux, whose clocks differ.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        return None
    for _ in range(3):
        before = time.clock_gettime(clock)
        monotonic, wall = time.clock_gettime(time.CLOCK_MONOTONIC), time.time()
        after = time.clock_gettime(clock)
        if after - before < 0.001:
            break
    return Clocks(monotonic=monotonic, since_boot=(before + after) / 2, wall=wall)


class ClockWatch:
    """Compares the clocks with those of its first look. `read` gives the clocks."""

    def __init__(self, read: Callable[[], Clocks | None] = read_clocks) -> None:
        self._read = read
        self._first = self._last = read()
        self._jumped = 0.0

    def look(self) -> tuple[float | None, float | None]:
        """The seconds since the first look for which the machine was suspended, and by which the wall clock
        jumped (forwards, if positive). None if the clocks cannot be read.
        """
        now = self._read()
        if now is None or self._first is None or self._last is None:
            return None, None
        step = (now.wall - now.since_boot) - (self._last.wall - self._last.since_boot)
        if abs(step) >= LEAST_JUMP_S:
            self._jumped += step
        self._last = now
        suspended = (now.since_boot - now.monotonic) - (self._first.since_boot - self._first.monotonic)
        return suspended if suspended >= _LEAST_SUSPEND_S else 0.0, self._jumped


def wall_clock_is_synchronised() -> bool | None:
    """Whether a service keeps the wall clock right, as far as the kernel (of Linux) knows; None elsewhere."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    state = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # zeros: nothing is set
    return None if state < 0 else bool(state != _TIME_ERROR)
