"""Values that have an order: a trend over the levels of a condition, drift over the rounds of a run, and the
time that a curve takes to come down to a target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from harness.statistics.kendall import order_p, rising_and_falling
from harness.statistics.paired import PairedEstimate, Pairs, as_values, differences, paired_estimate

Level = TypeVar("Level", bound=float)


@dataclass(frozen=True, slots=True)
class Step:
    """The change from one level of the condition to the next; `values` has the change of each round."""

    low: float
    high: float
    change: PairedEstimate
    values: dict[int, float]


@dataclass(frozen=True, slots=True)
class Trend:
    """How an effect grows with a condition: the slope per doubling (overall and per round) and the steps
    between adjacent levels.
    """

    slope: PairedEstimate
    slopes: dict[int, float]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """Rank correlation of n values with their order, and its two-sided p."""

    n: int
    tau: float
    p: float


def trend(rounds: Mapping[int, Mapping[Level, float]]) -> Trend:
    """The trend of `rounds[round][condition]` over log₂(condition): one least-squares slope per round, and
    their estimate.

    A round with a value that is NaN has an unknown slope. Raises ValueError unless every round has the same
    two or more positive levels, and no value is infinite.
    """
    levels = sorted(next(iter(rounds.values()), {}))
    if len(levels) < 2 or levels[0] <= 0:
        raise ValueError(f"a trend needs two or more positive levels, but the levels are {levels}")
    for key, values in rounds.items():
        if sorted(values) != levels:
            raise ValueError(f"round {key} has the levels {sorted(values)}, but other rounds have {levels}")
        if any(map(math.isinf, values.values())):
            raise ValueError(f"a slope needs finite values, but round {key} has others")
    columns = {level: {key: values[level] for key, values in rounds.items()} for level in levels}
    slopes = {key: _slope(values, levels) for key, values in rounds.items()}
    return Trend(
        slope=paired_estimate(slopes),
        slopes=slopes,
        steps=tuple(_step(low, high, columns) for low, high in pairwise(levels)),
    )


def _step(low: Level, high: Level, columns: Mapping[Level, Pairs]) -> Step:
    values = differences(columns[high], columns[low])
    return Step(low, high, paired_estimate(values), values)


def _slope(values: Mapping[Level, float], levels: list[Level]) -> float:
    x = np.log2(levels)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return float(np.sum(weights * np.array([values[level] for level in levels])))


def drift(values: Pairs) -> Drift:
    """Whether the values rise or fall in the order of execution, which is given by their keys.

    Kendall's tau (Mann 1945; Kendall 1938, §4) with its null distribution (`harness.statistics.kendall`). A
    tie counts against both directions.
    """
    ordered = as_values(dict(sorted(values.items())))
    n = ordered.size
    rising, falling = rising_and_falling(ordered)
    pairs = n * (n - 1) // 2
    tau = (rising - falling) / pairs if pairs else 0.0
    return Drift(n=n, tau=tau, p=order_p(n, pairs - max(rising, falling)))


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
