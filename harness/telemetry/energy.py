"""The energy of a span of a trial, from what its telemetry counted.

Counters are read ten times per second, so the energy up to a moment between two samples is interpolated.
Where a GPU has no counter, its power is integrated. Of many GPUs, the power is itself a mean over the last
second, so a short span says little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from harness.telemetry.process_sampler import TelemetrySample

LEAST_SECONDS = 1.0
"""The shortest span whose energy is taken from a counter: ten samples, and so an error of a few percent."""

LEAST_SECONDS_BY_POWER = 5.0
"""The shortest span over which the power of a GPU is integrated."""

LONGEST_GAP_S = 0.5
"""Nothing is interpolated between samples that are farther apart."""

BY_COUNTER = "NVML's energy counter of the GPU, with all that ran on it"
BY_POWER = "integral of the power that NVML reads of the GPU, with all that ran on it"
BY_RAPL = "RAPL's energy counters of the processor packages, with all that ran on them"

Points = Sequence[tuple[float, float]]
"""(seconds, value), in the order of time."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules, and how they were measured; or None, and why they are not known."""

    joules: float | None
    source: str


class _UnknownError(Exception):
    """The energy is not known. The message says why."""


def gpu_energy(
    samples: Sequence[TelemetrySample], begin: float, end: float, missing: str | None = None
) -> Energy:
    """The energy of the GPUs from `begin` to `end`, in the seconds of the samples. `missing` says why their
    readings are None.
    """
    counted = _points((sample.t_seconds, sample.gpu_energy_j) for sample in samples)
    power = _points((sample.t_seconds, sample.gpu_power_w) for sample in samples)
    try:
        if counted:
            _check_complete(counted, samples, missing)
            return Energy(_by_counter(counted, begin, end), BY_COUNTER)
        if power:
            return Energy(_by_power(power, begin, end), BY_POWER)
        return Energy(None, missing or "the GPU shows no energy and no power")
    except _UnknownError as error:
        return Energy(None, str(error))


def cpu_energy(
    samples: Sequence[TelemetrySample], begin: float, end: float, missing: str | None = None
) -> Energy:
    """The same of the processor packages."""
    counted = _points((sample.t_seconds, sample.cpu_energy_j) for sample in samples)
    if not counted:
        return Energy(None, missing or "the processor shows no energy")
    try:
        _check_complete(counted, samples, missing)
        return Energy(_by_counter(counted, begin, end), BY_RAPL)
    except _UnknownError as error:
        return Energy(None, str(error))


def _points(values: Iterable[tuple[float, float | None]]) -> Points:
    return [(seconds, value) for seconds, value in values if value is not None]


def _check_complete(points: Points, samples: Sequence[TelemetrySample], missing: str | None) -> None:
    if len(points) < len(samples):
        raise _UnknownError(missing or "some samples have no energy")


def _by_counter(points: Points, begin: float, end: float) -> float:
    _check_length(begin, end, LEAST_SECONDS)
    return _positive(_at(points, end) - _at(points, begin))


def _by_power(points: Points, begin: float, end: float) -> float:
    _check_length(begin, end, LEAST_SECONDS_BY_POWER)
    parts = ((after - before) * (one + two) / 2 for (before, one), (after, two) in pairwise(points))
    joules = list(zip((seconds for seconds, _ in points), accumulate(parts, initial=0.0), strict=True))
    gaps = [after - before for (before, _), (after, _) in pairwise(points) if before < end and after > begin]
    if max(gaps, default=0.0) > LONGEST_GAP_S:
        raise _UnknownError(f"the power of the GPU was not read for more than {LONGEST_GAP_S:g} s")
    return _positive(_at(joules, end) - _at(joules, begin))


def _at(points: Points, seconds: float) -> float:
    """The value at a time between two points, or shortly after the last one."""
    after = min(max(bisect_left(points, (seconds,)), 1), len(points) - 1)
    if after < 1:
        raise _UnknownError("there is only one sample")
    (first, low), (second, high) = points[after - 1 : after + 1]
    if seconds in (first, second):
        return low if seconds == first else high
    if second - first > LONGEST_GAP_S or not first <= seconds <= second + LONGEST_GAP_S / 2:
        raise _UnknownError("there is no sample near the beginning or the end of the work")
    return low + (high - low) * (seconds - first) / (second - first)


def _check_length(begin: float, end: float, least: float) -> None:
    if end - begin < least:
        raise _UnknownError(f"it took less than {least:g} s, the shortest time over which energy is measured")


def _positive(joules: float) -> float:
    if not joules > 0:
        raise _UnknownError("the energy counter did not move")
    return joules
