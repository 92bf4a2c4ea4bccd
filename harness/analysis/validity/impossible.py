"""Trials that computed faster than their machine can: too fast to have been timed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.frames import RunFrames, trial_values
from harness.wording import number_text

SHARE_OF_PEAK, MOST = "mfu", 1.05
"""Of the fastest product that the trial itself has seen, which some later one may beat by a little."""


def impossibly_fast(frames: RunFrames, arm: str) -> Iterator[str]:
    """Why the arm does not count: a launch was timed for the work that it only started, on a device that
    works on its own.
    """
    samples = frames.samples
    own = samples[
        (samples["purpose"] == "measure") & (samples["arm"] == arm) & (samples["metric"] == SHARE_OF_PEAK)
    ]
    values = trial_values(own)
    beyond = values[values["value"] > MOST]
    if len(beyond):
        worst = beyond.sort_values("value", kind="stable").iloc[-1]
        yield (
            "faster than the machine can multiply: work was not finished when the clock stopped "
            f"({number_text(float(worst['value']))} of its peak in round {int(worst['round'])}, seed {int(worst['seed'])})"
        )
