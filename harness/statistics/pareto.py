"""Which arms are worth having when several objectives count: the Pareto front, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.statistics.signed_rank import Interval

Objectives = Mapping[str, Literal["higher", "lower"]]
"""The name of each objective, and which direction is better."""


@dataclass(frozen=True, slots=True)
class Pareto:
    """The points that nothing dominates, and for every other point what dominates it."""

    front: tuple[str, ...]
    dominated: dict[str, tuple[str, ...]]


def pareto(points: Mapping[str, Mapping[str, Interval]], objectives: Objectives) -> Pareto:
    """The Pareto front of `points[name][objective]`; an exact value is an interval whose ends are equal.

    A point is dominated where another is better or equal at every objective and better at one, whatever the
    values are within their intervals: overlapping intervals never dominate. Raises ValueError where there is
    nothing to compare, a point has other objectives, or an interval is NaN or reversed.
    """
    if not points or not objectives:
        raise ValueError("a Pareto front needs points and objectives")
    oriented = {name: _oriented(name, point, objectives) for name, point in points.items()}
    dominated = {}
    for name, point in oriented.items():
        by = tuple(other for other, rival in oriented.items() if _dominates(rival, point))
        if by:
            dominated[name] = by
    return Pareto(front=tuple(name for name in points if name not in dominated), dominated=dominated)


def _oriented(name: str, point: Mapping[str, Interval], objectives: Objectives) -> list[tuple[float, float]]:
    """(worst, best) at each objective, higher being better."""
    if point.keys() != objectives.keys():
        raise ValueError(f"{name} has the objectives {sorted(point)}, not {sorted(objectives)}")
    ends = []
    for objective, better in objectives.items():
        low, high = point[objective].low, point[objective].high
        if math.isnan(low) or math.isnan(high) or low > high:
            raise ValueError(f"{objective} of {name} is no interval: {low} to {high}")
        ends.append((low, high) if better == "higher" else (-high, -low))
    return ends


def _dominates(rival: list[tuple[float, float]], point: list[tuple[float, float]]) -> bool:
    sides = [(worst, best) for (worst, _), (_, best) in zip(rival, point, strict=True)]
    return all(worst >= best for worst, best in sides) and any(worst > best for worst, best in sides)
