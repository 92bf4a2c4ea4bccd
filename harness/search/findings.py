"""What a search has found so far, computed from its points alone: the best ones, and how the best grew with
the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.metrics import Metric, metric
from harness.search.earlier_proofs import EarlierProof, earlier_proofs
from harness.search.points import SearchedPoint, is_better, searched_points, worst_first
from harness.store.rows import Chain, Run
from harness.store.store import Store
from harness.study.loaded import Study
from harness.study.proof_study import BEST, FACTOR
from harness.study.search import StudySearch
from harness.study.space import Space

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class SearchFindings:
    """The points of a search and what follows from them. `points` are in the order in which they were asked;
    the first one is the arm with which the search began. `chain` are the digests of what its attempts
    recorded.
    """

    run: Run
    search: StudySearch
    space: Space
    objectives: tuple[Metric, ...]
    points: tuple[SearchedPoint, ...]
    earlier_proofs: tuple[EarlierProof, ...] = ()
    chain: Chain = field(default_factory=Chain)

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

    def best_so_far(self, objective: Metric) -> tuple[float, ...]:
        """For each number of points that were asked, the best value of the objective until then. It is NaN
        until a point has a value.
        """
        best, curve = math.nan, list[float]()
        for point in self.points:
            value = point.median(objective) if point.counts else math.nan
            if not math.isnan(value) and (math.isnan(best) or is_better(value, best, objective)):
                best = value
            curve.append(best)
        return tuple(curve)

    def expected_best(self, objective: Metric) -> tuple[float, ...]:
        """The expected best value of n points that are drawn from these without replacement, for n from 1 on:
        what a smaller budget would have found if the order of the points meant nothing (Dodge et al. 2019,
        "Show your work", section 3, who draw with replacement).

        Points that diverged count as the worst finite value. Points without a value are left out.
        """
        values = [point.median(objective) for point in self.points if point.counts]
        return expected_best([worst_first(objective) * value for value in values], worst_first(objective))

    def frame(self) -> pd.DataFrame:
        """One row per point in the order in which they were asked: its number, its state, a column for each
        parameter and for each objective (the median over the seeds), its seconds, and the reason why it
        failed or was pruned. A parameter that does not exist at a point has no value there.
        """
        import pandas as pd

        rows = list[dict[str, Any]]()
        for point in self.points:
            read = self.space.read(point.names)
            rows.append(
                {
                    "point": point.number,
                    "state": point.state,
                    **{name: read.get(name) for name in self.space.parameters},
                    **{objective.name: point.median(objective) for objective in self.objectives},
                    "seconds": point.seconds,
                    "reason": point.reason,
                }
            )
        integers = {name: "Int64" for name, kind in self.space.kinds.items() if kind == "int"}
        return pd.DataFrame(rows).astype(integers)


def expected_best(costs: Sequence[float], sign: float = 1.0) -> tuple[float, ...]:
    """The expected smallest of n of these costs, drawn without replacement, for n = 1 to all; `sign` turns
    them back into values. An infinite cost counts as the largest finite one.
    """
    import numpy as np

    finite = [cost for cost in costs if math.isfinite(cost)]
    if not finite:
        return ()
    ordered = np.sort(np.minimum(costs, max(finite)))
    total, curve = len(ordered), list[float]()
    for draws in range(1, total + 1):
        # The smallest is the cost at `rank` if the other draws − 1 come from the total − rank − 1 after it.
        ranks = np.arange(total - draws)
        shares = np.cumprod(np.concatenate(([draws / total], (total - ranks - draws) / (total - ranks - 1))))
        curve.append(sign * float(shares @ ordered[: len(shares)]))
    return tuple(curve)


def front(points: Sequence[SearchedPoint], objectives: Sequence[Metric]) -> tuple[SearchedPoint, ...]:
    """The points with finite values that no other one dominates, by their medians, in the given order."""

    def costs(point: SearchedPoint) -> tuple[float, ...]:
        return tuple(worst_first(objective) * point.median(objective) for objective in objectives)

    best: dict[int, tuple[float, ...]] = {}
    # Whatever dominates a point comes before it in this order, and is kept or dominated by one that is.
    for point in sorted((one for one in points if one.state == "complete"), key=costs):
        mine = costs(point)
        if not any(_dominates(other, mine) for other in best.values()):
            best[point.number] = mine
    return tuple(point for point in points if point.number in best)


def _dominates(costs: tuple[float, ...], others: tuple[float, ...]) -> bool:
    return costs != others and all(one <= other for one, other in zip(costs, others, strict=True))


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
    store: Store, run: Run, search: tuple[StudySearch, Space, tuple[Metric, ...]]
) -> SearchFindings:
    """The findings of a search that the store has."""
    declared, space, objectives = search
    return SearchFindings(
        run=run,
        search=declared,
        space=space,
        objectives=objectives,
        points=searched_points(store, run, objectives, declared.seeds),
    )


def proven_findings(store: Store, run: Run, proof: Run, judgement: int | None = None) -> SearchFindings:
    """The findings of a search for the report of its `proof`, from the store alone: with the chain of the
    search, and the earlier proofs as they were judged up to a `judgement`, or up to now.
    """
    study, proven = Study.model_validate_json(run.study_json), Study.model_validate_json(proof.study_json)
    assert study.search is not None
    # How many points are proven does not change what a search measures, so it may have changed since then.
    search = study.search.model_copy(update={"finalists": len(proven.compare[FACTOR]) - 1})
    objectives = tuple(map(metric, search.objectives(study.primary)))
    findings = search_findings(store, run, (search, Space.recorded(search.space), objectives))
    return replace(findings, chain=store.chain(run), earlier_proofs=earlier_proofs(store, proof, judgement))
