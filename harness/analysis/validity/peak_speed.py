"""Trials that appear to be faster than the machine can multiply.

On a device that works asynchronously, the clock was stopped before the work was finished. On a CPU that
cannot happen, so the peak itself was measured too low, for example beside other programs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from harness.analysis.frames import RunFrames
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.wording import count, number_text

SHARE_OF_PEAK, MOST = "mfu", 1.05
"""A trial may reach this share of the ceiling: another product may be slightly faster."""


def faster_than_peak(frames: RunFrames, arm: str) -> Iterator[str]:
    """Trials of the arm on an asynchronous device that exceed the ceiling."""
    beyond = _beyond(frames, arm, asynchronous=True)
    if len(beyond):
        worst = beyond.sort_values("value", kind="stable").iloc[-1]
        yield (
            f"exceeds the machine's peak matmul speed ({number_text(float(worst['value']))} of the peak in "
            f"round {int(worst['round'])}, seed {int(worst['seed'])}), so the clock was stopped before the "
            "work was finished"
        )


def low_peak_warnings(loaded: LoadedStudy, frames: RunFrames) -> Iterator[str]:
    """Arms with trials on a CPU that exceed the ceiling. This invalidates nothing."""
    for arm in loaded.arms:
        beyond = _beyond(frames, arm.name, asynchronous=False)
        if len(beyond):
            most = number_text(float(beyond["value"].max()))
            yield (
                f"arm {loaded.label(arm.name)}: {count(len(beyond), 'trial')} reached up to {most} of the "
                "peak matmul speed; on a CPU the peak was measured too low, so values of mfu are too high"
            )


def _beyond(frames: RunFrames, arm: str, *, asynchronous: bool) -> pd.DataFrame:
    """The measured trials of an arm with more than `MOST` of the ceiling. The column `value` is the share."""
    measured = frames.measured
    values = measured[(measured["arm"] == arm) & (measured["metric"] == SHARE_OF_PEAK)]
    if values.empty:
        return values
    trials = {trial.id: trial for trial in frames.trials}
    ceilings = _ceilings(frames)
    chosen = [trials[number] for number in values["trial"].tolist()]
    shares = values["value"] * [_correction(trial.notes, ceilings) for trial in chosen]
    on_such_device = np.array([_asynchronous(trial) is asynchronous for trial in chosen], dtype=bool)
    return values.assign(value=shares)[on_such_device & (shares > MOST)]


def _ceilings(frames: RunFrames) -> dict[str, float]:
    """The fastest matrix product of each precision, over all trials of the run and the calibration."""
    fastest: dict[str, float] = defaultdict(float, frames.calibrated_flops)
    for trial in frames.trials:
        for precision, flops in trial.notes.get("peak_flops", {}).items():
            fastest[precision] = max(fastest[precision], flops)
    return fastest


def _correction(notes: Mapping[str, dict[str, float]], ceilings: Mapping[str, float]) -> float:
    """The peak that the trial measured itself, as a share of the ceiling in its precisions.

    It is 1 for a trial of an earlier version, which did not note its peak.
    """
    peaks = notes.get("peak_flops", {})
    return max(peaks.values()) / max(ceilings[precision] for precision in peaks) if peaks else 1.0


def _asynchronous(trial: TrialRow) -> bool:
    """Whether the trial ran on a device that works asynchronously. A trial of an earlier version did not note
    its device, but only trials on a CPU had a reason why no GPU was read.
    """
    device = trial.notes.get("device")
    return trial.nvml_reason is None if device is None else device != "cpu"
