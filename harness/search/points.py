"""The points of a search as the store knows them. What Optuna knows is a copy, for its samplers and its
dashboard.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.config import canonical_json
from harness.metrics import Metric
from harness.run.attempts import ATTEMPTS
from harness.store.rows import COUNTED_STATES, PlannedTrial, Run, TrialRow
from harness.store.store import Store
from harness.study.planning.results import Results
from harness.trial.outcome import STOPPED

PointState = Literal["complete", "diverged", "pruned", "failed", "open"]
"""`diverged` is complete, with the worst possible value. A `failed` point crashed, and an `open` one has not
come to its end.
"""


@dataclass(frozen=True, kw_only=True)
class SearchedPoint:
    """A point that was asked.

    `number` counts from 0 in the order in which points were asked. `names` are its values as texts. `values`
    has for each objective one value per seed that has finished, infinite where a training diverged. `seconds`
    are those of its trials, and `reason` says why it has failed or was pruned.
    """

    number: int
    names: Mapping[str, str]
    spec_ids: tuple[str, ...]
    state: PointState
    values: Mapping[str, tuple[float, ...]]
    seconds: float
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it has a value by which it can be ranked."""
        return self.state in ("complete", "diverged")

    def median(self, objective: Metric) -> float:
        """Its value of an objective: the median over the seeds, NaN if there is none."""
        values = self.values.get(objective.name, ())
        return statistics.median(values) if values else math.nan


def searched_points(
    store: Store, run: Run, objectives: Sequence[Metric], seeds: int
) -> tuple[SearchedPoint, ...]:
    """All points of a search, in the order in which they were asked."""
    results = store.results(run, {objective.name for objective in objectives})
    attempts: dict[str, list[TrialRow]] = {}
    for row in store.trials(run):
        attempts.setdefault(row.spec_id, []).append(row)
    trials: dict[str, list[PlannedTrial]] = {}
    for planned in store.planned(run):
        if planned.purpose == "search":
            trials.setdefault(canonical_json(planned.condition), []).append(planned)
    return tuple(
        _point(number, rows, attempts, (results, objectives, seeds))
        for number, rows in enumerate(trials.values())
    )


def _point(
    number: int,
    planned: Sequence[PlannedTrial],
    attempts: Mapping[str, Sequence[TrialRow]],
    measured: tuple[Results, Sequence[Metric], int],
) -> SearchedPoint:
    results, objectives, seeds = measured
    made = [row for trial in planned for row in attempts.get(trial.spec_id, ())]
    finished = [results[trial.spec_id] for trial in planned if trial.spec_id in results]
    values = {
        objective.name: tuple(_ranked(result.values.get(objective.name), objective) for result in finished)
        for objective in objectives
    }
    state, reason = _state(planned, attempts, seeds)
    if state == "complete" and any(math.isinf(value) for one in values.values() for value in one):
        state = "diverged"
    return SearchedPoint(
        number=number,
        names=planned[0].condition,
        spec_ids=tuple(trial.spec_id for trial in planned),
        state=state,
        values=values,
        seconds=sum(row.seconds or 0.0 for row in made),
        reason=reason,
    )


def _state(
    planned: Sequence[PlannedTrial], attempts: Mapping[str, Sequence[TrialRow]], seeds: int
) -> tuple[PointState, str]:
    for trial in planned:
        rows = attempts.get(trial.spec_id, ())
        if any(row.state in COUNTED_STATES for row in rows):
            continue
        if stopped := next((row for row in rows if STOPPED in row.notes), None):
            return "pruned", str(stopped.notes[STOPPED])
        broken = [row for row in rows if row.state in ("failed", "lost")]
        if any(row.state == "failed" for row in broken) or len(broken) >= ATTEMPTS:
            return "failed", broken[-1].failure
        return "open", ""
    return ("complete", "") if len(planned) >= seeds else ("open", "")


def _ranked(value: float | None, objective: Metric) -> float:
    """The value, or the worst possible one if it was not measured or is not a number."""
    if value is None or math.isnan(value):
        return math.inf if objective.better == "lower" else -math.inf
    return value


def worst_first(objective: Metric) -> float:
    """The sign with which a larger value of the objective is worse."""
    return 1.0 if objective.better == "lower" else -1.0


def is_better(value: float, other: float, objective: Metric) -> bool:
    """Whether a value of the objective is better than another one."""
    return worst_first(objective) * value < worst_first(objective) * other
