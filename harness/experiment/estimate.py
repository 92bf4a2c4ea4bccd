"""How long a plan takes, from the trials of earlier runs or else from operation counts."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from harness.config import canonical_json
from harness.experiment.workspace import Workspace
from harness.run.resources import guessed_seconds
from harness.store.store import open_store
from harness.study.planning.plan import Plan
from harness.trial.spec import TrialSpec

SECONDS_PER_ROUND = 3.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The seconds for all trials of a plan, and where the figure comes from."""

    seconds: float
    source: str


def estimate(planned: Plan, study: str, workspace: Workspace) -> Estimate:
    """The time that all trials of a plan take, if none of them has been run."""
    known = _earlier_seconds(study, workspace)
    seconds, guessed = 0.0, 0
    for spec in planned.trials:
        earlier = known.get(_key(spec))
        guessed += earlier is None
        seconds += guessed_seconds(spec) if earlier is None else earlier
    seconds += SECONDS_PER_ROUND * len(planned.rounds)
    if not guessed:
        return Estimate(seconds=seconds, source="from earlier runs")
    return Estimate(
        seconds=seconds, source="estimated from operation counts on a CPU, within a factor of three"
    )


def _key(spec: TrialSpec) -> tuple[str, str, str, str, str]:
    return spec.purpose, spec.task, spec.arm, canonical_json(spec.condition), canonical_json(spec.config)


def _earlier_seconds(study: str, workspace: Workspace) -> dict[tuple[str, str, str, str, str], float]:
    """The median seconds of the finished trials of a study, over all of its runs."""
    if not workspace.has_store():
        return {}
    seconds: dict[tuple[str, str, str, str, str], list[float]] = defaultdict(list)
    with open_store(workspace.location) as store:
        for run in store.runs(study):
            for row in store.trials(run):
                if row.status == "finished" and row.seconds is not None:
                    seconds[_key(TrialSpec.model_validate_json(row.spec_json))].append(row.seconds)
    return {key: statistics.median(values) for key, values in seconds.items()}
