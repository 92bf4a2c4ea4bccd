"""Whether something outside of a trial disturbed it so much that its timings do not count.

Only causes outside of the trial's own processes count. An arm that slows itself down is its own result: it
may sleep, wait for its own files, or heat a GPU. A jump of the wall clock does not disturb, because
everything is timed by the monotonic clock. Nor does a stop of the fork server, which only waits while a
trial runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.telemetry.process_sampler import STOPPED_STATES, TelemetrySample
from harness.wording import count, format_seconds

MOST_TAKEN = 0.25
"""Other programs may take this share of the cores that a trial computes on. Two busy programs on a machine of
two cores take a third of the one core of a trial.
"""

MOST_THROTTLED = 0.05
"""A CPU quota may stop a trial for this share of its time."""

LONGEST_GAP_S = 0.5
"""Samples come every 0.1 s, so nobody watched the trial in a longer pause between two of them."""

MOST_LOST = 0.25
"""In such a pause, a trial may use less CPU time than at other times by this share."""

LEAST_LOST_S = 0.05
"""The kernel counts CPU time in steps of 0.01 s. Of a trial that used hardly any, nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a trial ran on: the cores of the machine, the CPU quota of its control group in cores (None means
    no limit), and the number of threads that the trial computes with.
    """

    cores: int
    threads: int
    cpu_quota: float | None = None


def disturbance(telemetry: Iterable[TelemetrySample], host: Host) -> str:
    """Everything that disturbed a trial, in words, or an empty text. The causes are:

    - other programs kept more cores of the host busy, on average, than the threads of the trial left free;
    - a signal such as SIGSTOP, or a debugger, stopped one of its processes;
    - the driver did not watch the trial for a time, because it was stopped itself or got no core, and the
      trial used less CPU time in that pause than at other times, so it was probably stopped too;
    - the machine was suspended;
    - other programs of the control group used up its CPU quota, so that the kernel stopped the trial;
    - the power supply of a GPU asked for a power brake.
    """
    samples = list(telemetry)
    causes = (_busy_host, _stopped, _unwatched, _suspended, _throttled, _power_brake)
    return "; ".join(sentence for cause in causes for sentence in cause(samples, host))


def _busy_host(samples: Sequence[TelemetrySample], host: Host) -> Iterator[str]:
    busy = _others(samples)
    free = max(0, host.cores - host.threads)
    if busy - free >= MOST_TAKEN * host.threads:
        yield f"other programs kept {busy:.1f} of {host.cores} cores busy"


def _others(samples: Sequence[TelemetrySample]) -> float:
    """How many cores other programs of the host kept busy, on average over the trial."""
    return _mean_cores((seconds, after.other_cpu_percent) for seconds, after in _spans(samples))


def _stopped(samples: Sequence[TelemetrySample], _: Host) -> Iterator[str]:
    """The trial is taken to be stopped from the first sample that shows it to the next one that does not."""
    stops, seconds = 0, 0.0
    for before, after in pairwise(samples):
        if before.state in STOPPED_STATES:
            seconds += after.t_seconds - before.t_seconds
            stops += after.state not in STOPPED_STATES
    if samples and samples[-1].state in STOPPED_STATES:
        stops += 1
    if stops:
        times = "" if stops == 1 else f" in {stops} stops"
        yield f"a signal or a debugger stopped the trial for {format_seconds(seconds)}{times}"


def _unwatched(samples: Sequence[TelemetrySample], _: Host) -> Iterator[str]:
    """A stopped process and one that sleeps look alike in a pause, so the pause is compared with the rest."""
    spans = list(_spans(samples))
    gaps = [(seconds, after) for seconds, after in spans if seconds >= LONGEST_GAP_S]
    watched = [(seconds, after) for seconds, after in spans if seconds < LONGEST_GAP_S]
    usual = min(1.0, _cores_used(watched)) if watched else 1.0
    lost = [(seconds, after) for seconds, after in gaps if _misses(usual, seconds, after)]
    if lost:
        seconds = sum(seconds for seconds, _ in lost)
        used = _cores_used(lost) * seconds
        yield (
            f"the driver was stopped or got no core for {format_seconds(seconds)}, and the trial used only "
            f"{format_seconds(used)} of CPU time meanwhile"
        )


def _misses(usual: float, seconds: float, after: TelemetrySample) -> bool:
    """Whether the trial used clearly less than its usual share of a core in the pause that `after` ends."""
    missing = usual - _cores_used([(seconds, after)])
    return missing > MOST_LOST * usual and missing * seconds >= LEAST_LOST_S


def _cores_used(spans: Iterable[tuple[float, TelemetrySample]]) -> float:
    """By the trial, on average."""
    return _mean_cores((seconds, after.cpu_percent) for seconds, after in spans)


def _spans(samples: Sequence[TelemetrySample]) -> Iterator[tuple[float, TelemetrySample]]:
    """The seconds between each two samples, and the second of them, which says what happened meanwhile."""
    for before, after in pairwise(samples):
        yield after.t_seconds - before.t_seconds, after


def _mean_cores(spans: Iterable[tuple[float, float | None]]) -> float:
    """The mean of percentages of a core over spans of seconds, in cores; 0 if none is known."""
    known = [(seconds, percent / 100) for seconds, percent in spans if percent is not None]
    total = sum(seconds for seconds, _ in known)
    return sum(seconds * cores for seconds, cores in known) / total if total > 0 else 0.0


def _suspended(samples: Sequence[TelemetrySample], _: Host) -> Iterator[str]:
    seconds = max((sample.suspended_seconds or 0.0 for sample in samples), default=0.0)
    if seconds > 0:
        yield f"the machine was suspended for {format_seconds(seconds)}"


def _throttled(samples: Sequence[TelemetrySample], host: Host) -> Iterator[str]:
    """A trial that uses up the quota by itself is its own result.

    The kernel adds the stopped time of all cores on which the group had work. If the group asks for n cores
    and is stopped for a share f of the time, the quota is (1 - f) n, and the sum is f n times the time.
    """
    if not samples or not samples[-1].throttled_seconds:
        return
    last = samples[-1]
    wall = last.t_seconds - samples[0].t_seconds
    if wall <= 0:
        return
    quota = host.cpu_quota or float(host.threads)
    ratio = (last.throttled_seconds or 0.0) / (wall * quota)
    share = ratio / (1 + ratio)
    used = ((last.cpu_seconds or 0.0) - (samples[0].cpu_seconds or 0.0)) / wall
    others = min(_others(samples), max(0.0, quota - used))
    if share >= MOST_THROTTLED and others >= MOST_TAKEN * min(host.threads, quota):
        yield (
            f"the CPU quota of {quota:.3g} cores stopped the trial for {share:.0%} of its time, in "
            f"{count(last.throttled_periods or 0, 'period')}, while other programs used {others:.1f} cores"
        )


def _power_brake(samples: Sequence[TelemetrySample], _: Host) -> Iterator[str]:
    if any("power brake" in (sample.gpu_throttling or ()) for sample in samples):
        yield "the power supply of the GPU asked for a lower clock"
