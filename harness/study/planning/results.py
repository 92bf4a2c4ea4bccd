"""The results of a run's trials so far, as far as its next trials depend on them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.metrics import metric
from harness.trial.spec import TrialSpec


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """A trial that has finished: the session in which it ran, and one value per requested metric.

    The record of the metric says how samples become one value. Losses of a training that diverged are
    infinite.
    """

    spec_id: str
    session: int
    diverged: bool
    values: Mapping[str, float]


Results = Mapping[str, StoredResult]
"""Id of a trial → its result. Trials that have not finished are missing."""


class RunResults(dict[str, StoredResult]):
    """The results of a run. `lost` has the ids of its lost measurements and their rounds: a value of the
    round was measured, but this trial has no value that counts. `void` has the numbers of the rounds that
    were disturbed from outside, and `tuning` the trials of tuning in the order of the plan, as JSON.
    """

    def __init__(
        self,
        results: Mapping[str, StoredResult],
        *,
        lost: Mapping[str, int],
        void: frozenset[int] = frozenset(),
        tuning: Sequence[str] = (),
    ) -> None:
        super().__init__(results)
        self.lost, self.void, self._tuning = dict(lost), void, tuning

    @cached_property
    def tuning(self) -> tuple[TrialSpec, ...]:
        """The trials of tuning that were planned, in their order."""
        return tuple(map(TrialSpec.model_validate_json, self._tuning))


def lost_measurements(results: Results) -> Mapping[str, int]:
    """Id → round of the lost measurements. Results that were not read from a run have none."""
    return results.lost if isinstance(results, RunResults) else {}


def disturbed_rounds(results: Results) -> frozenset[int]:
    """The rounds that were disturbed from outside. Results that were not read from a run have none."""
    return results.void if isinstance(results, RunResults) else frozenset()


def asked_trials(results: Results) -> tuple[TrialSpec, ...]:
    """The trials of tuning that were planned. Results that were not read from a run have none."""
    return results.tuning if isinstance(results, RunResults) else ()


def result_values(
    measured: Mapping[str, float], metrics: Collection[str], *, diverged: bool
) -> dict[str, float]:
    """The values of a trial that decide something: what it measured of these metrics. The losses of a
    training that diverged are infinite, whatever its last samples were.
    """
    lost = {name: math.inf for name in metrics if diverged and metric(name).lost_by_divergence}
    return {**{name: value for name, value in measured.items() if name in metrics}, **lost}


def in_one_session(trials: tuple[TrialSpec, ...], results: Results) -> bool:
    """Whether all of these trials have finished, in the same session."""
    return all(trial.id in results for trial in trials) and len({results[t.id].session for t in trials}) == 1
