"""Tail probabilities from a characteristic function: an independent reference for sums of many terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def tails_by_inversion(
    characteristic: Callable[[Floats], Floats], deviations: Sequence[float], sd: float
) -> list[float]:
    """P(X ≤ t) of a symmetric sum of whole numbers for some t, where each deviation is t + ½ minus its mean
    and `characteristic` is the (real) characteristic function of X minus its mean.

    Gil-Pelaez' formula for whole numbers by the midpoint rule, which is precise to about 1e-16 here, because
    the function is nearly that of a normal distribution. `sd` is the standard deviation.
    """
    nodes, end = 400, min(math.pi, 9.0 / sd)
    at = (np.arange(nodes) + 0.5) * end / nodes
    weights = characteristic(at) / np.sin(at / 2) * end / nodes / (2 * math.pi)
    return [0.5 + float((weights * np.sin(deviation * at)).sum()) for deviation in deviations]
