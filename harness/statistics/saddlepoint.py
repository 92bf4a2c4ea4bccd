"""Tail probabilities of sums of independent whole numbers, where there are too many terms to add up all
cases.

The saddlepoint approximation of Lugannani & Rice (1980) with the correction for whole numbers of Daniels
(1987, §6). Its relative error is about as small far out in the tail as near the centre, which a normal
approximation with correction terms is not: with 1,000 pairs that one is wrong by a quarter at p = 1e-10.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

STEPS = 400
SMALL = 1e-3


class Cumulants(NamedTuple):
    """The cumulant generating function of a centred sum at some s, with its first two derivatives."""

    value: float
    slope: float
    curvature: float


def lower_tail(cumulants: Callable[[float], Cumulants], deviation: float) -> float:
    """P(X ≤ t) for a sum X of whole numbers whose distribution is symmetric about its mean, where `deviation`
    is t + ½ minus the mean. `cumulants(s)` are those of X minus its mean; the second derivative is largest at
    s = 0.

    The deviation must be above that of the smallest value. A probability below 1e-308 is 0.
    """
    if deviation > 0:
        return 1.0 - lower_tail(cumulants, -deviation)
    spread = math.sqrt(cumulants(0.0).curvature)
    if -deviation <= SMALL * spread:
        return _normal(deviation / spread)  # the correction is the difference of two infinite terms here
    s, at = _saddlepoint(cumulants, deviation)
    w = -math.sqrt(2 * (s * deviation - at.value))
    u = 2 * math.sinh(s / 2) * math.sqrt(at.curvature)
    density = math.exp(-w * w / 2) / math.sqrt(2 * math.pi)
    return max(0.0, _normal(w) + density * (1 / w - 1 / u))


def _saddlepoint(cumulants: Callable[[float], Cumulants], deviation: float) -> tuple[float, Cumulants]:
    """s with K′(s) = deviation < 0, and the cumulants there, by Newton's method from 0.

    K′ bends towards 0 on either side of 0, so no step goes too far.
    """
    s, at = 0.0, cumulants(0.0)
    for _ in range(STEPS):
        step = (deviation - at.slope) / at.curvature
        s += step
        at = cumulants(s)
        if abs(step) <= 1e-12 * abs(s):
            break
    return s, at


def _normal(z: float) -> float:
    """P(Z ≤ z) of a standard normal Z."""
    return math.erfc(-z / math.sqrt(2)) / 2
