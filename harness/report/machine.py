"""What is known of the machine that a run was measured on: its calibration, and what else went on while
trials were timed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from harness.machine.calibration import Calibration
from harness.metrics import Metric
from harness.statistics import rounds_needed
from harness.store.rows import CalibrationRow
from harness.wording import format_bytes, format_seconds

OTHER_CORES = 0.5
"""Load beyond the trial's own from which a trial counts as disturbed. A load is the mean of a minute."""
DISTURBED_TRIALS = 0.1
FREQUENCY_RANGE = 0.15
"""Between the 5th and the 95th percentile of the trials, as a share of the higher."""
SWAPPED_BYTES = 1 << 20
OTHER_GPU_BYTES = 1 << 30
"""The driver itself holds several hundred megabytes that belong to no process."""


NOT_CALIBRATED = (
    "not calibrated before this was run; `harness calibrate` measures what it can do and how much it scatters"
)


def calibrated(
    row: CalibrationRow | None, record: Metric, *, margin: float, rounds: int
) -> tuple[tuple[str, str], ...]:
    """(name, text) of each thing that calibration found; the rounds that the metric needs for the margin at
    its scatter.
    """
    if row is None:
        return (("calibration", NOT_CALIBRATED),)
    found = Calibration.read(row.facts)
    limits = found.limits
    facts = [
        ("calibrated", row.made_at[:16].replace("T", " ") + " UTC" + (", quickly" if found.quick else "")),
        ("ceilings of", f"{limits.device}, {limits.threads} thread{'s' if limits.threads > 1 else ''}"),
        *(
            (f"matrix product, {name}", f"{flops / 1e9:,.4g} GFLOP/s")
            for name, flops in limits.matmul.items()
            if flops
        ),
        (
            "memory",
            f"{limits.read_bandwidth / 1e9:,.3g} GB/s read, {limits.copy_bandwidth / 1e9:,.3g} GB/s copied",
        ),
        ("clock", f"steps of {format_seconds(limits.timer_step_ns / 1e9)}"),
    ]
    scatter = found.scatter_of(record.name, record.margin_group)
    if scatter is not None:
        needed = rounds_needed(scatter.sigma, margin) if margin > 0 else None
        facts.append(
            (
                f"scatter of {scatter.metric.replace('_', ' ')}",
                f"{scatter.sigma:.2%} between equal trials of a round",
            )
        )
        if needed is not None:
            facts.append(
                (
                    "rounds for that scatter",
                    f"{needed:,} for a margin of {margin:.0%}; this study has {rounds:,}",
                )
            )
    return tuple(facts)


def disturbances(telemetry: pd.DataFrame) -> tuple[str, ...]:
    """One sentence for each kind of noise seen; `telemetry` holds the looks at measured trials, a row each,
    as they are stored.
    """
    if telemetry.empty:
        return ()
    trials = telemetry.groupby("trial", sort=True)
    return tuple(
        note
        for found in (
            _load(trials),
            _frequency(trials),
            _swapping(trials),
            _throttling(trials),
            _gpu_memory(trials),
        )
        for note in found
    )


def _load(trials: Any) -> Iterator[str]:
    own = (trials["cpu_percent"].median() / 100).fillna(1.0).clip(lower=1.0)
    other = trials["load"].median() - own
    disturbed = other >= OTHER_CORES
    if disturbed.mean() > DISTURBED_TRIALS:
        yield (
            f"other programs kept {other[disturbed].median():.1f} cores busy "
            f"during {_of(int(disturbed.sum()), len(other))}"
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
        yield f"the system swapped {format_bytes(float(swapped.sum()))} during {_of(int(disturbed.sum()), len(swapped))}"


def _throttling(trials: Any) -> Iterator[str]:
    reasons = trials["gpu_throttling"].agg(
        lambda looks: {name for names in looks if isinstance(names, list | tuple) for name in names}
    )
    held = int((reasons.map(len) > 0).sum())
    if held:
        named = ", ".join(sorted(set().union(*reasons)))
        yield f"the GPU's clock was held down ({named}) during {_of(held, len(reasons))}"


def _gpu_memory(trials: Any) -> Iterator[str]:
    own = pd.to_numeric(trials["gpu_process_bytes"].max())
    other = pd.to_numeric(trials["gpu_memory_bytes"].max()) - own
    # Inside a container the driver may not know the process; then nothing can be told apart.
    disturbed = (own > 0) & (other >= OTHER_GPU_BYTES)
    if disturbed.any():
        most = format_bytes(float(other[disturbed].max()))
        yield f"other processes held {most} of the GPU's memory during {_of(int(disturbed.sum()), len(own))}"


def _of(number: int, total: int) -> str:
    return f"{number} of {total} measured trials"
