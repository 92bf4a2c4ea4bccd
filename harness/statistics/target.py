"""The time that a curve takes to come down to a target; infinite if it never does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def time_to_target(
    times: Sequence[float], losses: Sequence[float], target: float, *, window: int = 1
) -> float:
    """The first of `times` (updates or seconds, positive and increasing) at which the mean of the last
    `window` losses is at most the target.

    inf if the training ends before that: its ratios rank above all others in `log_ratios`, with a tie if
    both arms miss. The mean looks back only, so nothing after that time counts, and a loss that is NaN or
    inf is a miss as long as it is in the window. Raises ValueError if a curve is empty or out of order, or
    if the numbers of times and losses differ.
    """
    if len(times) != len(losses) or not times:
        raise ValueError(
            f"a curve needs one loss per time, but it has {len(losses)} losses for {len(times)} times"
        )
    if math.isnan(target):
        raise ValueError("the target is NaN")
    if window < 1:
        raise ValueError(f"a window has at least one loss, but window is {window}")
    at = np.asarray(times, dtype=np.float64)
    if not (np.isfinite(at).all() and at[0] > 0 and (np.diff(at) > 0).all()):
        raise ValueError("the times of a curve must be positive, finite and increasing")
    if window > at.size:
        return math.inf
    means = np.lib.stride_tricks.sliding_window_view(np.asarray(losses, dtype=np.float64), window).mean(
        axis=1
    )
    reached = np.flatnonzero(means <= target)  # NaN is not at most the target
    return float(at[reached[0] + window - 1]) if reached.size else math.inf
