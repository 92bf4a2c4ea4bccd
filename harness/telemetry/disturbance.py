"""Whether something outside of a trial disturbed it so much that its timings do not count."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from harness.telemetry.process_sampler import TelemetrySample

MOST_TAKEN = 0.25
"""Other programs may take this share of the cores that a trial computes on. Two busy programs on a machine of
two cores take a third of the one core of a trial.
"""


def disturbance(telemetry: Iterable[TelemetrySample], *, threads: int, host_cores: int) -> str:
    """What disturbed a trial, in words, or an empty text.

    Only causes outside of the trial's own processes count: an arm that slows itself down is its own result.
    These are other programs that kept more cores of the host busy than the `threads` of the trial left free,
    on average over the trial, and a power brake, which the power supply of a GPU asks for.
    """
    samples = list(telemetry)
    others = [s.other_cpu_percent for s in samples if s.other_cpu_percent is not None]
    busy = fmean(others) / 100 if others else 0.0
    free = max(0, host_cores - threads)
    if busy - free >= MOST_TAKEN * threads:
        return f"other programs kept {busy:.1f} of {host_cores} cores busy"
    if any("power brake" in (sample.gpu_throttling or ()) for sample in samples):
        return "the power supply of the GPU asked for a lower clock"
    return ""
