"""Which arms go on from tuning to be measured: chosen on tuning alone, never on what is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.metrics import metric
from harness.study.arms import Combination, named_arm
from harness.study.claim import Comparing, MostSensitiveClaim
from harness.study.loaded import LoadedStudy
from harness.study.schema import Tune
from harness.study.tuned import TunedArm


def kept_arms(loaded: LoadedStudy) -> tuple[Combination, ...]:
    """Those that are measured whatever tuning finds: the baseline, and every arm that a claim names."""
    named = {loaded.baseline.name, *(arm.name for arm in _named(loaded))}
    return tuple(arm for arm in loaded.arms if arm.name in named)


def finalists(loaded: LoadedStudy, tune: Tune, tuned: Sequence[TunedArm]) -> tuple[Combination, ...]:
    """The arms that are measured, in the study's order: all of them, unless the study says how many.

    Of the arms that are not kept anyway, the best by their own best median; of equal ones, and before
    anything was tuned, the first ones.
    """
    if tune.finalists is None:
        return loaded.arms
    kept = {arm.name for arm in kept_arms(loaded)}
    sign = 1.0 if metric(tune.by).better == "lower" else -1.0
    medians = {found.arm: sign * found.chosen.median for found in tuned}
    others = [arm for arm in loaded.arms if arm.name not in kept]
    others.sort(key=lambda arm: medians.get(arm.name, 0.0))
    chosen = kept | {arm.name for arm in others[: tune.finalists - len(kept)]}
    return tuple(arm for arm in loaded.arms if arm.name in chosen)


def _named(loaded: LoadedStudy) -> Iterator[Combination]:
    for claim in loaded.study.claims.values():
        if isinstance(claim, Comparing):
            for levels in (*claim.arms, claim.against):
                yield named_arm(loaded.arms, levels)
        elif isinstance(claim, MostSensitiveClaim):
            base = loaded.baseline.names
            yield from (arm for arm in loaded.arms if any(arm.names[f] != base[f] for f in claim.among))
