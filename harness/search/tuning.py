"""Tuning by a search: the next candidate of every arm, chosen by a sampler from the results of its own."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState, create_trial

from harness.config import canonical_json
from harness.metrics import metric
from harness.search.distributions import distributions_at, params_of, suggested_point
from harness.search.methods import direction, sampler
from harness.study.levels import Scalar
from harness.study.loaded import LoadedStudy, Tried
from harness.study.planning.results import Results
from harness.study.planning.tuning import (
    candidate_at,
    own_point,
    tried_so_far,
    tuning_space,
    tuning_trials,
)
from harness.study.search import RandomDraws
from harness.study.space import Space
from harness.study.tune import TuneSearch
from harness.trial.spec import TrialSpec

MOST_REPEATS = 20
"""If a sampler asks so often what it has asked before, the point is drawn at random."""


def next_candidates(loaded: LoadedStudy, results: Results) -> tuple[TrialSpec, ...]:
    """The trials of the next candidate of each arm under each condition that has fewer than all, so that all
    of them are asked equally often. Empty if every one has all, or if a trial of an earlier one has failed.

    The choice depends only on the results, so that a search that was interrupted goes on as if it had not
    been.
    """
    tune = loaded.study.design.tune
    assert tune is not None
    assert tune.search is not None
    trials: list[TrialSpec] = []
    for arm in loaded.arms:
        for condition in loaded.conditions:
            tried = tried_so_far(loaded, tune, (arm, condition), results)
            if tried is None:
                return ()
            if len(tried) < tune.search.points:
                task = loaded.tasks[arm.name, condition.name]
                space = tuning_space(tune.search, task)
                point = _next_point(space, tune.search, tried, tune.by) if tried else own_point(space, task)
                trials += tuning_trials(tune, (arm, condition), candidate_at(space, point, task).task)
    return tuple(trials)


def _next_point(space: Space, search: TuneSearch, tried: list[Tried], by: str) -> dict[str, Scalar]:
    known = {canonical_json(dict(one.settings)) for one in tried}
    study = optuna.create_study(direction=direction(metric(by)))
    for one in tried:
        point = {name: one.settings[name] for name in space.parameters if name in one.settings}
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=one.median,
                params=params_of(space, point),
                distributions=distributions_at(space, point),
            )
        )
    for repeats in range(100 * MOST_REPEATS):
        way = search.sampler if repeats < MOST_REPEATS else RandomDraws()
        study.sampler = sampler(way, space, search.seed, len(tried) + 10_000 * repeats)
        trial = study.ask()
        point = suggested_point(space, trial)
        study.tell(trial, state=TrialState.FAIL)
        if canonical_json(space.settings(point)) not in known:
            return point
    raise AssertionError("a space with enough points has another one")
