"""What has come out of a run's trials so far, as far as its next trials depend on it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics import metric
from harness.trial.spec import TrialSpec


@dataclass(frozen=True, kw_only=True)
class Result:
    """A trial that has finished: where it ran, and one value for each of the metrics that were asked for.

    `values` are reduced as the metric's record says; losses of a training that diverged are infinite.
    """

    spec_id: str
    session: int
    diverged: bool
    values: Mapping[str, float]


Results = Mapping[str, Result]
"""Content id of a trial → what came out. Trials that have not finished are not there."""


def result_values(
    samples: Mapping[str, Sequence[float]], metrics: Collection[str], *, diverged: bool
) -> dict[str, float]:
    """The one value of each of the metrics that a trial has, from their samples in the order of their steps.

    NaN among the samples stays NaN; a diverged training lost, whatever was last seen of it.
    """
    found = {name: metric(name).of_trial(values) for name, values in samples.items() if name in metrics}
    lost = {name: math.inf for name in metrics if diverged and metric(name).lost_by_divergence}
    return {**found, **lost}


def in_one_session(trials: tuple[TrialSpec, ...], results: Results) -> bool:
    """Whether all of them have finished, and in the same session."""
    return all(trial.id in results for trial in trials) and len({results[t.id].session for t in trials}) == 1
