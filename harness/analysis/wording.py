"""How numbers are written in the sentences of verdicts."""

from __future__ import annotations

import math

from harness.metrics import Metric
from harness.study.arms import Combination


def figure(value: float) -> str:
    """Three digits that matter, more where a ratio is near 1: `2.33`, `1.004`, `12,300`."""
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    if 0.9 < value < 1.1:
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def times(value: float) -> str:
    return f"{figure(value)} ×"


def interval(low: float, high: float) -> str:
    """Of ratios: from 0 to infinity says nothing, and is told so."""
    if low <= 0 and high == math.inf:
        return "unbounded"
    return f"{figure(low)} to {figure(high)} ×"


def effect_text(record: Metric, effect: float) -> str:
    """`2.33 ×` of what is compared by ratios, `0.62 above` or `0.62 below` of scores: it goes before "the
    baseline's".
    """
    if record.compared_by == "ratios":
        return times(effect)
    return (
        f"{effect:.3g} above" if effect > 0 else f"{-effect:.3g} below" if effect < 0 else "no different from"
    )


def effect_alone(record: Metric, effect: float) -> str:
    """The same in a table: `2.33 ×`, `+0.62`."""
    return times(effect) if record.compared_by == "ratios" else signed(effect)


def signed(difference: float) -> str:
    """A difference of scores with its sign."""
    if math.isinf(difference):
        return figure(difference)
    return f"{difference:+.3g}" if difference else "0"


def interval_text(record: Metric, low: float, high: float) -> str:
    """The interval of an effect."""
    if record.compared_by == "ratios":
        return interval(low, high)
    return "unbounded" if math.isinf(low) and math.isinf(high) else f"{signed(low)} to {signed(high)}"


def where(condition: Combination | dict[str, str]) -> str:
    """` at new tokens 64`, or nothing where there is one condition only."""
    names = condition.names if isinstance(condition, Combination) else condition
    return " at " + ", ".join(f"{words(factor)} {level}" for factor, level in names.items()) if names else ""


def words(name: str) -> str:
    return name.replace("_", " ")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def exp(value: float) -> float:
    """e to the power, infinite where a float ends."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
