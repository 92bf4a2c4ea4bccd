"""A curve in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """At most `width` bars, each for the mean of equally many values, between the lowest and the highest one.
    A bar without a finite value is a space.
    """
    number = min(width, len(values))
    means = [_mean(values[_cut(i, number, values) : _cut(i + 1, number, values)]) for i in range(number)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(mean, low, high) for mean in means)


def _cut(index: int, number: int, values: Sequence[float]) -> int:
    return index * len(values) // number


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _bar(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return " "
    share = (mean - low) / (high - low) if high > low else 0.0
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]
