"""Whether a trial has reached one of its limits."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from harness.run.job import TrialLimits
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.causes import Cause
from harness.wording import format_bytes, format_seconds

MOST_EVENT_BYTES = 4 * 2**30
"""Bytes of events: 40 million samples."""

_SLOW_LOOK_S = 1.0

_IDLE_PERCENT = 1.0
"""A process that uses less of one core does nothing."""


class Reached(NamedTuple):
    """The limit that a trial has reached, with a sentence about it."""

    cause: Cause
    error: str


class LimitWatch:
    """Looks at a trial while it runs. `pid` is its first process; it writes the files `events` and `log`."""

    def __init__(self, limits: TrialLimits, *, pid: int, events: Path, log: Path) -> None:
        self._limits, self._pid, self._events, self._log = limits, pid, events, log
        self._begun = self._active = self._memory_due = time.monotonic()
        self._written = 0

    def reached(self, sample: TelemetrySample | None) -> Reached | None:
        """The limit that the trial has reached, if any. `sample` is the newest one of its processes."""
        return self._time() or self._output() or self._memory(sample) or self._idle(sample)

    def _time(self) -> Reached | None:
        limit = self._limits.seconds
        if time.monotonic() - self._begun < limit:
            return None
        return Reached(
            Cause.TIME_LIMIT, f"the trial took more than its time limit of {format_seconds(limit)}"
        )

    def _output(self) -> Reached | None:
        printed = (self._log, self._limits.output_bytes, "printed")
        for file, limit, verb in (printed, (self._events, MOST_EVENT_BYTES, "wrote")):
            if _size(file) > limit:
                return Reached(
                    Cause.OUTPUT_LIMIT, f"the trial {verb} more than its limit of {format_bytes(limit)}"
                )
        return None

    def _memory(self, sample: TelemetrySample | None) -> Reached | None:
        limit, now = self._limits.memory_bytes, time.monotonic()
        if sample is None or sample.rss_bytes <= limit or now < self._memory_due:
            return None
        self._memory_due = now + _SLOW_LOOK_S
        used = _shared_once(self._pid)
        if used is not None and used <= limit:
            return None
        return beyond_memory(limit, f"had {format_bytes(used or sample.rss_bytes)} of memory")

    def _idle(self, sample: TelemetrySample | None) -> Reached | None:
        now, written = time.monotonic(), _size(self._events)
        is_busy = sample is None or sample.cpu_percent is None or sample.cpu_percent >= _IDLE_PERCENT
        if written != self._written or is_busy:
            self._written, self._active = written, now
        if now - self._active < self._limits.idle_seconds:
            return None
        idle = format_seconds(self._limits.idle_seconds)
        return Reached(Cause.HANG, f"the trial hangs: for {idle} it wrote no result and used no processor")


def beyond_memory(limit: int, what: str) -> Reached:
    """The trial has reached its limit of memory. `what` says what it did."""
    return Reached(Cause.MEMORY_LIMIT, f"the trial {what}, more than its limit of {format_bytes(limit)}")


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0


def _shared_once(pid: int) -> int | None:
    """The memory of a process and its descendants, in which pages that they share count once. It is slow."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
    except (psutil.Error, AttributeError):
        return None
    return total
