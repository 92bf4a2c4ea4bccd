"""The Pareto front of arms that are compared by several objectives, with intervals."""

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
    """The points that no other point dominates, and for every other point the points that dominate it."""

    front: tuple[str, ...]
    dominated: dict[str, tuple[str, ...]]


def pareto(points: Mapping[str, Mapping[str, Interval]], objectives: Objectives) -> Pareto:
    """The Pareto front of `points[name][objective]`; an exact value is an interval whose ends are equal.

    A point is dominated if another point is better or equal in every objective and better in one, for all
    values within their intervals. So overlapping intervals never dominate. Raises ValueError if there is
    nothing to compare, if a point has other objectives, or if an interval is NaN or reversed.
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
    """(worst, best) for each objective, turned so that higher is better."""
    if point.keys() != objectives.keys():
        raise ValueError(f"{name} has the objectives {sorted(point)}, but they must be {sorted(objectives)}")
    ends = []
    for objective, better in objectives.items():
        low, high = point[objective].low, point[objective].high
        if math.isnan(low) or math.isnan(high) or low > high:
            raise ValueError(f"{objective} of {name} is not an interval: {low} to {high}")
        ends.append((low, high) if better == "higher" else (-high, -low))
    return ends


def _dominates(rival: list[tuple[float, float]], point: list[tuple[float, float]]) -> bool:
    sides = [(worst, best) for (worst, _), (_, best) in zip(rival, point, strict=True)]
    return all(worst >= best for worst, best in sides) and any(worst > best for worst, best in sides)
