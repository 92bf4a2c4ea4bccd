"""The distribution of the signed-rank sum T, the sum of those of the ranks 1 … n that a fair coin picks, and
what a test or an interval reads from it.

Up to `EXACT_PAIRS` pairs all 2ⁿ cases are added up. Beyond, the saddlepoint approximation takes over. At
1,000 pairs its relative error is 5e-7 where p is 0.05, 8e-7 where it is 0.01, 1.7e-6 where it is 1e-4 and
7e-5 where it is 1e-100, and it falls with the square of the number of pairs. (That of a normal approximation
with correction for continuity is 6e-4, 4e-3, 3e-2 and more than 1.)

Ties need no correction: the test counts them against both sides (`harness.statistics.signed_rank`), and T is
the sum of the ranks without them, so that the test holds its level for every symmetric distribution.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.saddlepoint import Cumulants, lower_tail

Floats = NDArray[np.float64]

EXACT_PAIRS = 1000
LEAST_P = 2.0 ** (1 - EXACT_PAIRS)
"""No p is smaller, so that none is 0 and every p can be divided by."""


def is_exact(n: int) -> bool:
    """Whether p and intervals of n pairs are exact, not approximated."""
    return n <= EXACT_PAIRS


def largest_sum(n: int) -> int:
    """The largest value of T, which is also the number of Walsh averages of n values."""
    return n * (n + 1) // 2


@lru_cache(maxsize=16)
def lower_half(n: int) -> Floats:
    """P(T ≤ t) for t = 0 … n(n+1)/4, at most `EXACT_PAIRS` pairs: the other half is its mirror image.

    About n³ / 12 additions. The number of cases is rounded to 53 bits once it needs more.
    """
    cases = np.zeros(largest_sum(n) // 2 + 1)
    cases[0] = 1.0
    for rank in range(1, n + 1):
        end = min(cases.size, largest_sum(rank) + 1)
        cases[rank:end] += cases[: max(0, end - rank)].copy()
    cdf: Floats = np.cumsum(cases) * 2.0**-n
    cdf.setflags(write=False)  # cached, hence shared
    return cdf


def two_sided_p(n: int, t: int) -> float:
    """Twice P(T ≤ t), at most 1 and at least `smallest_reachable_p(n)`."""
    if t > largest_sum(n) // 2:
        return 1.0
    tail = float(lower_half(n)[t]) if is_exact(n) else _approximate_tail(n, t)
    return min(1.0, max(2 * tail, smallest_reachable_p(n)))


def smallest_reachable_p(n: int) -> float:
    """The two-sided p of n pairs that all point the same way. Beyond 1,000 pairs it is that of 1,000, so that
    it is never 0.
    """
    return min(1.0, 2.0 ** (1 - min(n, EXACT_PAIRS)))


@lru_cache(maxsize=256)
def rejecting_sums(n: int, alpha: float) -> int:
    """The number of sums 0, 1, 2 … whose two-sided p is at most `alpha`: 0 if n pairs can never reject.

    The interval of level 1 − alpha reaches from this many-th smallest Walsh average to that many-th largest.
    """
    return bisect_right(range(largest_sum(n) // 2 + 1), alpha, key=lambda t: two_sided_p(n, t))


def attained_size(n: int, alpha: float, *, sides: int = 2) -> float:
    """The largest size, at most `alpha`, that a test of n pairs attains on one side or on both; 0 if it can
    never reject.
    """
    sums = rejecting_sums(n, 2 * alpha / sides)
    return two_sided_p(n, sums - 1) * sides / 2 if sums else 0.0


def _approximate_tail(n: int, t: int) -> float:
    ranks = np.arange(1.0, n + 1)

    def cumulants(s: float) -> Cumulants:
        """Each rank adds or subtracts its half."""
        tilts = ranks * abs(s / 2)
        tangents, halves = np.tanh(tilts), np.exp(-2 * tilts)
        near = -np.log1p(-(np.minimum(tangents, 0.9) ** 2)) / 2  # ln cosh, without loss of digits near 0 …
        far = tilts + np.log1p(halves) - math.log(2)  # … and far from it
        return Cumulants(
            value=float(np.where(tilts < 1, near, far).sum()),
            slope=math.copysign(float((ranks * tangents).sum()) / 2, s),
            curvature=float((ranks**2 * halves / (1 + halves) ** 2).sum()),
        )

    return lower_tail(cumulants, t + 0.5 - largest_sum(n) / 2)
