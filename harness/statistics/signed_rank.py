"""The Wilcoxon signed-rank test and the Hodges-Lehmann interval that inverts it, exactly.

Everything is read from the Walsh averages (x_i + x_j) / 2, i ≤ j: the estimate is their median, the interval
lies between two of their order statistics, and the test counts how many of them are on either side of 0.

Ties and zeros. Without them a Walsh average is never exactly 0 and the counts are the classical rank sums.
With them, an average of exactly 0 counts against both sides. That is the test which the closed interval
inverts: the interval covers at least its level for every symmetric distribution, discrete ones too (Noether
1967), and it excludes 0 exactly when p ≤ 1 − level.

Infinities. +inf is a value above all others; the average of +inf and −inf could be anything, so it counts
against both sides as well, and not at all for the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed confidence interval; `level` is 0.95 for 95 %. It is unbounded if there are too few pairs."""

    low: float
    high: float
    level: float

    def excludes(self, value: float) -> bool:
        return value < self.low or self.high < value


@lru_cache(maxsize=64)
def null_cdf(n: int) -> Floats:
    """P(T ≤ t) for t = 0 … n(n+1)/2, where T sums the ranks 1 … n that a fair coin picks."""
    probability = np.ones(1)
    for rank in range(1, n + 1):
        tails = np.concatenate([probability, np.zeros(rank)])
        heads = np.concatenate([np.zeros(rank), probability])
        probability = (tails + heads) / 2  # halving is exact: no rounding up to 53 weights
    cdf: Floats = np.cumsum(probability)
    cdf.setflags(write=False)  # cached, hence shared
    return cdf


def smallest_reachable_p(n: int) -> float:
    """The two-sided p of n pairs that all point the same way; beyond 1,000 pairs, that of 1,000, so that it
    is never 0.
    """
    return min(1.0, 2.0 ** (1 - min(n, 1000)))


def walsh_averages(values: Floats) -> Floats:
    """(n,) → (n(n+1)/2,), sorted, NaN last; NaN marks the average of +inf and −inf."""
    i, j = _pairs(values.size)
    with np.errstate(invalid="ignore"):
        return np.sort(values[i] / 2 + values[j] / 2)


@lru_cache(maxsize=64)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """i ≤ j < n, as two arrays, which are cached and hence read-only."""
    i, j = np.triu_indices(n)
    i.setflags(write=False)
    j.setflags(write=False)
    return i, j


def hodges_lehmann(values: Floats) -> float:
    """The median of the Walsh averages (Hodges & Lehmann 1963, §3). NaN if none is known."""
    averages = walsh_averages(values)
    known = averages[~np.isnan(averages)]
    if not known.size:
        return float("nan")
    low, high = float(known[(known.size - 1) // 2]), float(known[known.size // 2])
    if low == high:
        return low
    middle = low / 2 + high / 2
    return 0.0 if np.isnan(middle) else middle


def signed_rank_interval(values: Floats, *, level: float) -> Interval:
    """The closed interval between the k-th smallest and k-th largest Walsh average (Hollander & Wolfe §3.3).

    It is (−inf, inf) if no order statistic reaches the level: 95 % needs 6 pairs, 90 % needs 5.
    """
    alpha = round(1 - level, 12)  # 1 − 0.95 is a little more than 0.05 in binary
    k = int(np.searchsorted(2 * null_cdf(values.size), alpha, side="right"))
    if k == 0:
        return Interval(-np.inf, np.inf, level)
    averages = walsh_averages(values)
    lowest = highest = averages
    if np.isnan(averages[-1]):
        lowest, highest = (np.sort(np.where(np.isnan(averages), end, averages)) for end in (-np.inf, np.inf))
    return Interval(float(lowest[k - 1]), float(highest[-k]), level)


def signed_rank_p(values: Floats) -> float:
    """Two-sided exact p of "symmetric about 0". It is at most α exactly if the interval of level 1 − α
    excludes 0.
    """
    averages = walsh_averages(values)
    not_above = averages.size - np.count_nonzero(averages > 0)
    not_below = averages.size - np.count_nonzero(averages < 0)
    return min(1.0, 2 * float(null_cdf(values.size)[min(not_above, not_below)]))
