"""The Wilcoxon signed-rank test and the Hodges-Lehmann interval that inverts it: exactly up to 1,000 pairs,
and beyond by a saddlepoint approximation of the null distribution (`harness.statistics.rank_sums`). The
estimate and the ends of the interval are exact order statistics for any number of pairs.

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

import numpy as np

from harness.statistics.rank_sums import Floats, is_exact, largest_sum, rejecting_sums, two_sided_p
from harness.statistics.walsh import WalshAverages


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed confidence interval; `level` is 0.95 for 95 %. It is unbounded if there are too few pairs."""

    low: float
    high: float
    level: float

    def excludes(self, value: float) -> bool:
        return value < self.low or self.high < value


def signed_rank_procedure(pairs: int) -> str:
    """How p and intervals of so many pairs are computed, for plans and reports."""
    return "exact signed rank" if is_exact(pairs) else "signed rank by a saddlepoint approximation"


def hodges_lehmann(values: Floats) -> float:
    """The median of the Walsh averages (Hodges & Lehmann 1963, §3). NaN if none is known."""
    return WalshAverages.of_values(values).median()


def signed_rank_interval(values: Floats, *, level: float) -> Interval:
    """The closed interval between the k-th smallest and k-th largest Walsh average (Hollander & Wolfe §3.3).

    It is (−inf, inf) if no order statistic reaches the level: 95 % needs 6 pairs, 90 % needs 5.
    """
    alpha = round(1 - level, 12)  # 1 − 0.95 is a little more than 0.05 in binary
    k = rejecting_sums(values.size, alpha)
    if k == 0:
        return Interval(-np.inf, np.inf, level)
    averages = WalshAverages.of_values(values)
    return Interval(averages.smallest(k), averages.largest(k), level)


def signed_rank_p(values: Floats) -> float:
    """Two-sided p of "symmetric about 0". It is at most α exactly if the interval of level 1 − α excludes
    0.
    """
    return _p(values.size, max(WalshAverages.of_values(values).above_and_below_zero()))


def signed_rank_p_above(values: Floats) -> float:
    """The same p if the centre is above 0, else 1."""
    above, _ = WalshAverages.of_values(values).above_and_below_zero()
    return _p(values.size, above)


def _p(n: int, averages: int) -> float:
    """Two-sided p if so many Walsh averages are on one side; 1 if they are not most of them."""
    return two_sided_p(n, largest_sum(n) - averages)
