"""What a search has found so far, computed from its points alone: the best ones, how the best grew with the
budget, and how much of it was left when it was measured again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.metrics import Metric
from harness.search.points import SearchedPoint, is_better, searched_points, worst_first
from harness.statistics import Interval, pareto
from harness.store.rows import Run
from harness.store.store import Store
from harness.study.load_search import BEST
from harness.study.search import StudySearch
from harness.study.space import Space


@dataclass(frozen=True, kw_only=True)
class EarlierProof:
    """What an earlier proof of the same search said, about another point."""

    run: str
    date: str
    verdicts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SearchFindings:
    """The points of a search and what follows from them. `points` are in the order in which they were asked;
    the first one is the arm with which the search began.
    """

    run: Run
    search: StudySearch
    space: Space
    objectives: tuple[Metric, ...]
    points: tuple[SearchedPoint, ...]
    earlier_proofs: tuple[EarlierProof, ...] = field(default=())

    @property
    def begin(self) -> SearchedPoint:
        """The arm with which the search began."""
        return self.points[0]

    @property
    def ranked(self) -> tuple[SearchedPoint, ...]:
        """The points with finite values, the best of the first objective first."""
        objective = self.objectives[0]
        usable = [point for point in self.points if point.state == "complete"]
        return tuple(
            sorted(usable, key=lambda point: (worst_first(objective) * point.median(objective), point.number))
        )

    @property
    def front(self) -> tuple[SearchedPoint, ...]:
        """The points that no other point dominates in all objectives, by their medians."""
        return front(self.points, self.objectives)

    @property
    def best(self) -> dict[str, SearchedPoint]:
        """The points that must be proven, by the names of their levels: the best one, or of several
        objectives some of the Pareto front. The arm with which the search began is never one of them. It is
        empty if no other point has a value.
        """
        if len(self.objectives) == 1:
            others = [point for point in self.ranked if point.number != 0]
            return {BEST: others[0]} if others else {}
        chosen = finalists(self.front, self.objectives, self.search.finalists)
        return {f"{BEST}_{rank}": point for rank, point in enumerate(chosen, start=1)}

    def best_so_far(self) -> tuple[float, ...]:
        """For each number of points that were asked, the best value of the first objective until then."""
        objective, best, curve = self.objectives[0], math.nan, list[float]()
        for point in self.points:
            value = point.median(objective) if point.counts else math.nan
            if not math.isnan(value) and (math.isnan(best) or is_better(value, best, objective)):
                best = value
            curve.append(best)
        return tuple(curve)

    def expected_best(self) -> tuple[float, ...]:
        """The expected best value of n points that are drawn from these without replacement, for n from 1 on:
        what a smaller budget would have found if the order of the points meant nothing (Dodge et al. 2019,
        "Show your work", section 3, who draw with replacement).

        Points that diverged count as the worst finite value. Points without a value are left out.
        """
        objective = self.objectives[0]
        values = [point.median(objective) for point in self.points if point.counts]
        return expected_best([worst_first(objective) * value for value in values], worst_first(objective))


def expected_best(costs: Sequence[float], sign: float = 1.0) -> tuple[float, ...]:
    """The expected smallest of n of these costs, drawn without replacement, for n = 1 to all; `sign` turns
    them back into values. An infinite cost counts as the largest finite one.
    """
    finite = [cost for cost in costs if math.isfinite(cost)]
    if not finite:
        return ()
    ordered = sorted(min(cost, max(finite)) for cost in costs)
    total, curve = len(ordered), []
    for draws in range(1, total + 1):
        # The smallest is the cost at `rank` if the other draws − 1 come from the total − rank − 1 after it.
        share, expected = draws / total, 0.0
        for rank in range(total - draws + 1):
            expected += share * ordered[rank]
            share *= (total - rank - draws) / (total - rank - 1) if rank < total - 1 else 0.0
        curve.append(sign * expected)
    return tuple(curve)


def front(points: Sequence[SearchedPoint], objectives: Sequence[Metric]) -> tuple[SearchedPoint, ...]:
    """The points with finite values that no other one dominates, by their medians."""
    usable = {str(point.number): point for point in points if point.state == "complete"}
    if not usable:
        return ()
    medians = {
        name: {
            objective.name: Interval(point.median(objective), point.median(objective), level=1.0)
            for objective in objectives
        }
        for name, point in usable.items()
    }
    better = {
        objective.name: "lower" if objective.better == "lower" else "higher" for objective in objectives
    }
    return tuple(usable[name] for name in pareto(medians, better).front)  # type: ignore[arg-type]


def finalists(
    points: Sequence[SearchedPoint], objectives: Sequence[Metric], most: int
) -> list[SearchedPoint]:
    """The best point of each objective, then the others in the order in which they were asked, without the
    first one.
    """
    others = [point for point in points if point.number != 0]
    chosen: dict[int, SearchedPoint] = {}
    for objective in objectives:
        best = min(others, key=lambda point: worst_first(objective) * point.median(objective), default=None)
        if best is not None:
            chosen.setdefault(best.number, best)
    for point in others:
        chosen.setdefault(point.number, point)
    return list(chosen.values())[:most]


def search_findings(
    store: Store,
    run: Run,
    search: tuple[StudySearch, Space, tuple[Metric, ...]],
    earlier_proofs: Sequence[EarlierProof] = (),
) -> SearchFindings:
    """The findings of a search that the store has."""
    declared, space, objectives = search
    return SearchFindings(
        run=run,
        search=declared,
        space=space,
        objectives=objectives,
        points=searched_points(store, run, objectives, declared.seeds),
        earlier_proofs=tuple(earlier_proofs),
    )
