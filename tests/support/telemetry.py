"""Samples of telemetry with chosen fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from harness.telemetry.process_sampler import TelemetrySample


def samples_at(times: Iterable[float], **values: Callable[[float], Any]) -> list[TelemetrySample]:
    """Samples at these seconds. Each field in `values` is computed from the time, and what is not there is
    None or 0.
    """
    return [
        TelemetrySample(
            t_seconds=seconds,
            rss_bytes=0,
            cpu_percent=None,
            threads=1,
            load=0.0,
            swap_in_bytes=0,
            swap_out_bytes=0,
            cpu_mhz=None,
            **{name: value(seconds) for name, value in values.items()},
        )
        for seconds in times
    ]
