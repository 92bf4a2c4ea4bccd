"""The machine of a run: its calibration, and whatever disturbed it while trials were timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from harness.machine.calibration import Calibration
from harness.metrics import Metric
from harness.report.labels import metric_of
from harness.statistics import rounds_needed
from harness.store.rows import CalibrationRow
from harness.telemetry.process_sampler import STOPPED_STATES
from harness.wording import count, format_bytes, format_seconds

OTHER_CORES = 0.5
"""A trial is disturbed if other programs, of any container, keep this many cores busy."""
DISTURBED_TRIALS = 0.1
FREQUENCY_RANGE = 0.15
"""From the 5th to the 95th percentile of the trials, as a share of the higher one."""
SWAPPED_BYTES = 1 << 20
OTHER_GPU_BYTES = 1 << 30
"""The GPU driver itself holds several hundred megabytes that belong to no process."""


NOT_CALIBRATED = (
    "the machine was not calibrated before this run; "
    "`harness calibrate` measures its peak speeds and its scatter"
)


def calibrated(
    row: CalibrationRow | None, record: Metric, *, margin: float, rounds: int
) -> tuple[tuple[str, str], ...]:
    """(name, text) of each result of the calibration, with the number of rounds that the metric needs for its
    margin.
    """
    if row is None:
        return (("calibration", NOT_CALIBRATED),)
    calibration = Calibration.read(row.facts)
    limits = calibration.limits
    facts = [
        (
            "calibrated",
            row.made_at[:16].replace("T", " ") + " UTC" + (" (quick)" if calibration.quick else ""),
        ),
        ("calibrated device", f"{limits.device}, {count(limits.threads, 'thread')}"),
        *(
            (f"matrix product, {name}", f"{flops / 1e9:,.4g} GFLOP/s")
            for name, flops in limits.matmul.items()
            if flops
        ),
        (
            "memory",
            f"{limits.read_bandwidth / 1e9:,.3g} GB/s read, {limits.copy_bandwidth / 1e9:,.3g} GB/s copied",
        ),
        ("clock", f"smallest step {format_seconds(limits.timer_step_ns / 1e9)}"),
    ]
    scatter = calibration.scatter_of(record.name, record.margin_group)
    if scatter is not None:
        needed = rounds_needed(scatter.sigma, margin) if margin > 0 else None
        facts.append(
            (
                f"scatter of {metric_of(scatter.metric).label}",
                f"{scatter.sigma:.2%} between identical trials of a round",
            )
        )
        if needed is not None:
            facts.append(
                (
                    "rounds needed",
                    f"{needed:,} for a margin of {margin:.0%}; this study has {rounds:,}",
                )
            )
    return tuple(facts)


def disturbances(telemetry: pd.DataFrame) -> tuple[str, ...]:
    """One sentence per kind of disturbance. `telemetry` holds the stored observations of the
    measured trials.
    """
    if telemetry.empty:
        return ()
    others = pd.to_numeric(telemetry["other_cpu_percent"])
    stopped = telemetry["state"].isin(STOPPED_STATES)
    trials = telemetry.assign(other_cpu_percent=others, stopped=stopped).groupby("trial", sort=True)
    return tuple(
        note
        for notes in (
            _load(trials),
            _frequency(trials),
            _swapping(trials),
            _throttling(trials),
            _gpu_memory(trials),
            _stops(trials),
            _quota(trials),
            _clocks(trials),
        )
        for note in notes
    )


def _load(trials: Any) -> Iterator[str]:
    cores = pd.to_numeric(trials["cpu_percent"].median()) / 100
    # earlier versions recorded only the load, which is a mean over a minute
    by_load = trials["load"].median() - cores.fillna(1.0).clip(lower=1.0)
    other = (trials["other_cpu_percent"].median() / 100).fillna(by_load)
    disturbed = other >= OTHER_CORES
    if disturbed.mean() > DISTURBED_TRIALS:
        yield (
            f"other programs kept {other[disturbed].median():.1f} cores busy "
            f"during {_share(int(disturbed.sum()), len(other))}"
        )


def _frequency(trials: Any) -> Iterator[str]:
    clocks = trials["cpu_mhz"].median().dropna()
    if clocks.empty:
        return
    low, high = float(clocks.quantile(0.05)), float(clocks.quantile(0.95))
    if low < (1 - FREQUENCY_RANGE) * high:
        yield f"the CPU's frequency changed between trials, {low:,.0f} to {high:,.0f} MHz"


def _swapping(trials: Any) -> Iterator[str]:
    swapped = trials["swap_in_bytes"].max() + trials["swap_out_bytes"].max()
    disturbed = swapped >= SWAPPED_BYTES
    if disturbed.any():
        total, share = format_bytes(float(swapped.sum())), _share(int(disturbed.sum()), len(swapped))
        yield f"the system swapped {total} during {share}"


def _throttling(trials: Any) -> Iterator[str]:
    reasons = trials["gpu_throttling"].agg(
        lambda looks: {name for names in looks if isinstance(names, list | tuple) for name in names}
    )
    held = int((reasons.map(len) > 0).sum())
    if held:
        named = ", ".join(sorted(set().union(*reasons)))
        yield f"the GPU's clock was throttled ({named}) during {_share(held, len(reasons))}"


def _gpu_memory(trials: Any) -> Iterator[str]:
    process = pd.to_numeric(trials["gpu_process_bytes"].max())
    other = pd.to_numeric(trials["gpu_memory_bytes"].max()) - process
    # Inside a container the driver may not know the process. Then other processes cannot be recognised.
    disturbed = (process > 0) & (other >= OTHER_GPU_BYTES)
    if disturbed.any():
        most, share = format_bytes(float(other[disturbed].max())), _share(int(disturbed.sum()), len(process))
        yield f"other processes held {most} of the GPU's memory during {share}"


def _stops(trials: Any) -> Iterator[str]:
    stopped = trials["stopped"].any()
    if stopped.any():
        yield f"a signal or a debugger stopped {_share(int(stopped.sum()), len(stopped))}"


def _quota(trials: Any) -> Iterator[str]:
    """Also if the trials used up the quota themselves, which is their own result."""
    seconds = pd.to_numeric(trials["throttled_seconds"].max())
    throttled = seconds > 0
    if throttled.any():
        total, share = format_seconds(float(seconds.sum())), _share(int(throttled.sum()), len(throttled))
        yield f"a CPU quota stopped processes for {total}, summed over cores, during {share}"


def _clocks(trials: Any) -> Iterator[str]:
    suspended = pd.to_numeric(trials["suspended_seconds"].max())
    if (suspended > 0).any():
        yield f"the machine was suspended during {_share(int((suspended > 0).sum()), len(suspended))}"
    jumps = pd.to_numeric(trials["clock_jump_seconds"].last())
    jumped = jumps.abs() > 0
    if jumped.any():
        most, share = float(jumps[jumps.abs().idxmax()]), _share(int(jumped.sum()), len(jumped))
        by = f"{format_seconds(abs(most))} {'forwards' if most > 0 else 'back'}"
        yield f"the wall clock was set by up to {by} during {share}; timings do not use it"


def _share(number: int, total: int) -> str:
    return f"{number} of {total} measured trials"
