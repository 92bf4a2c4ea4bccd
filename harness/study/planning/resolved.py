"""A study as its results make it: the settings that tuning chose, the arms that went on, the rounds that were
wanted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from harness.study.arms import named_condition
from harness.study.loaded import LoadedStudy
from harness.study.planning.finalists import finalists
from harness.study.planning.results import Results
from harness.study.planning.stopping import rounds_wanted
from harness.study.planning.tuning import tuned_arms, tuning_grid
from harness.study.schema import Scalar, Tune
from harness.study.study import Study


def is_open(loaded: LoadedStudy) -> bool:
    """Whether the study's tuning has not come to its end, so that nobody can know what is to be measured."""
    return loaded.study.design.tune is not None and not loaded.tuned


def deciding_metrics(study: Study) -> set[str]:
    """What `resolve` must know of each trial: the metrics that tuning and the rounds that end early go by."""
    tune, until = study.design.tune, study.design.until
    return {*([tune.by] if tune else []), *([study.primary] if until else [])}


def resolve(loaded: LoadedStudy, results: Results) -> LoadedStudy:
    """The study of a fixed design that was run, or is to be run, as far as the results tell: what reports and
    verdicts are about.

    Only trials of tuning choose settings and arms, and only the widths of intervals choose how many rounds
    there are. A study that leaves nothing open is its own resolution.
    """
    tune, until = loaded.study.design.tune, loaded.study.design.until
    if tune is not None:
        loaded = _tuned(loaded, tune, results)
    if until is not None:
        rounds = loaded.study.design.fewest_rounds if is_open(loaded) else rounds_wanted(loaded, results)
        design = loaded.study.design.model_copy(update={"rounds": rounds})
        loaded = replace(loaded, study=loaded.study.model_copy(update={"design": design}))
    return loaded


def _tuned(loaded: LoadedStudy, tune: Tune, results: Results) -> LoadedStudy:
    found = tuned_arms(loaded, tune, results)
    going_on = {arm.name for arm in finalists(loaded, tune, found)}
    arms = tuple(arm for arm in loaded.arms if arm.name in going_on)
    tasks = {
        (arm.name, condition.name): loaded.tasks[arm.name, condition.name]
        for arm in arms
        for condition in loaded.conditions
    }
    for chosen in found:
        condition = next(each for each in loaded.conditions if each.names == chosen.condition)
        place = chosen.arm, condition.name
        if place in tasks:
            grid = tuning_grid(tune, tasks[place])
            tasks[place] = next(each.task for each in grid if each.settings == chosen.chosen.settings)
    tuned = tuple(replace(each, measured=each.arm in going_on) for each in found)
    return _with_targets(replace(loaded, arms=arms, tasks=tasks, tuned=tuned))


def _with_targets(loaded: LoadedStudy) -> LoadedStudy:
    """The study with the targets that its claims take from tuning."""

    def baseline_best(at: Mapping[str, Scalar]) -> float:
        condition = named_condition(loaded.conditions, at).names
        tuned = (
            arm for arm in loaded.tuned if arm.arm == loaded.baseline.name and arm.condition == condition
        )
        return next((arm.chosen.median for arm in tuned), math.nan)

    claims = {name: claim.after_tuning(baseline_best) for name, claim in loaded.study.claims.items()}
    return replace(loaded, study=loaded.study.model_copy(update={"claims": claims}))
