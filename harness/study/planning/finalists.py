"""Which arms are measured after tuning. They are chosen by tuning alone, never by what is measured."""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.schema import Tune
from harness.study.tuned import TunedArm


def required_arms(loaded: LoadedStudy) -> tuple[Combination, ...]:
    """The arms that are measured whatever tuning finds: the baseline, and every arm that a claim needs."""
    names = {loaded.baseline.name}
    for claim in loaded.study.claims.values():
        names.update(arm.name for arm in claim.required_arms(loaded.arms))
    return tuple(arm for arm in loaded.arms if arm.name in names)


def finalists(loaded: LoadedStudy, tune: Tune, tuned: Sequence[TunedArm]) -> tuple[Combination, ...]:
    """The arms that are measured, in the study's order: all of them, unless the study states a number.

    Besides the required arms these are the ones with the best medians in tuning. The first ones come first
    among equal arms, and before anything was tuned.
    """
    if tune.finalists is None:
        return loaded.arms
    required = {arm.name for arm in required_arms(loaded)}
    sign = 1.0 if metric(tune.by).better == "lower" else -1.0
    medians = {arm.arm: sign * arm.chosen.median for arm in tuned}
    others = [arm for arm in loaded.arms if arm.name not in required]
    others.sort(key=lambda arm: medians.get(arm.name, 0.0))
    measured = required | {arm.name for arm in others[: tune.finalists - len(required)]}
    return tuple(arm for arm in loaded.arms if arm.name in measured)
