"""How long a plan takes, from the trials of earlier runs or else from operation counts."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from harness.experiment.workspace import Workspace
from harness.run.resources import guessed_seconds, shared_threads
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan
from harness.study.planning.side_by_side import trials_at_once
from harness.trial.spec import TrialSpec

SECONDS_PER_ROUND = 3.0

_Key = tuple[str, str, str, str, str]
"""Trials with equal keys take equally long: purpose, task, arm, condition and config."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The seconds for all trials of a plan, and where the figure comes from."""

    seconds: float
    source: str


def estimate(planned: Plan, loaded: LoadedStudy, workspace: Workspace, *, cores: int) -> Estimate:
    """The time that all trials of a plan take, if none of them has been run. `cores` is the number of trials
    that the machine can run side by side.
    """
    known = _earlier_seconds(loaded.study.study, workspace)
    seconds, guesses = 0.0, dict[_Key, float]()
    for batch in planned.batches:
        at_once = trials_at_once(loaded, batch, cores)
        for spec in batch.with_opening:
            key = _key(spec)
            earlier = known.get(key)
            if earlier is None and key not in guesses:
                threads = shared_threads(at_once) if at_once > 1 else None
                guesses[key] = guessed_seconds(spec, threads)
            seconds += (guesses[key] if earlier is None else earlier) / at_once
        if batch.purpose == "measure" and at_once == 1:
            seconds += SECONDS_PER_ROUND
    if not guesses:
        return Estimate(seconds=seconds, source="from earlier runs")
    return Estimate(
        seconds=seconds, source="estimated from operation counts on a CPU, within a factor of three"
    )


def _key(spec: TrialSpec) -> _Key:
    return spec.purpose, spec.task, spec.arm, spec.condition_key, spec.config_key


def _earlier_seconds(study: str, workspace: Workspace) -> dict[_Key, float]:
    """The median seconds of the finished trials of a study, over all of its runs."""
    if not workspace.has_store():
        return {}
    seconds: dict[_Key, list[float]] = defaultdict(list)
    with open_store(workspace.location) as store:
        for run in store.runs(study):
            for row in store.trials(run):
                if row.status == "finished" and row.seconds is not None:
                    seconds[_key(TrialSpec.model_validate_json(row.spec_json))].append(row.seconds)
    return {key: statistics.median(values) for key, values in seconds.items()}
