"""What claims name must exist, and the design must be able to decide them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

from harness.errors import StudyError
from harness.metrics import METRICS, Metric
from harness.statistics import largest_family
from harness.study.arms import Combination, arms, conditions, find_arm
from harness.study.checks.names import check_known, check_known_key, check_metric
from harness.study.claim import (
    Comparing,
    ComparingAt,
    DirectionClaim,
    DivergesClaim,
    FormulaClaim,
    HoldsClaim,
    MostSensitiveClaim,
    NoDifferenceClaim,
    ReachesClaim,
    TrendClaim,
)
from harness.study.claim_targets import alone_in_its_family, sensitivity_levels
from harness.study.reading.yaml_document import KeyPath, Located
from harness.study.schema import Level, Scalar, level_name
from harness.study.study import Study
from harness.tasks.base import Task

_EXPLORATORY = "`exploratory: true` for effects without verdicts"


def check_claims(study: Study, whole: Located, task: type[Task]) -> None:
    """Every claim, and the size of the families of contrasts.

    Raises StudyError at the first that is wrong.
    """
    for name in study.claims:
        _check_claim(study, whole, name, task)
    _check_size(study, whole)


def _check_size(study: Study, whole: Located) -> None:
    """No family of contrasts may be so large, for its pairs, that none of it could ever be significant."""
    record = METRICS[study.primary]
    if study.design.exploratory or record.exact:
        return
    named = sum(
        alone_in_its_family(claim) and (getattr(claim, "metric", None) or study.primary) == study.primary
        for claim in study.claims.values()
    )
    tune = study.design.tune
    measured = tune.finalists if tune and tune.finalists else len(arms(study))
    size = (measured - 1) * len(conditions(study)) - named
    unit = record.paired_over if record.paired_over == "rounds" else "seeds"
    pairs = study.design.pairs(record.paired_over)
    if largest_family(pairs) < size:
        enough = _enough(study, unit, size)
        raise StudyError(
            f"{pairs} {unit} can never decide {size} comparison{'s' if size > 1 else ''} of {study.primary}",
            at=whole.place(("design", unit), of_value=True),
            hint=f"use at least {enough}, or {_EXPLORATORY}",
        )


def _enough(study: Study, unit: Literal["rounds", "seeds"], family: int) -> int:
    """The fewest rounds, or seeds, whose pairs can reject in a family of that size."""
    fixed = study.design.model_copy(update={"until": None})
    sizes = (fixed.model_copy(update={unit: number}).pairs(unit) for number in itertools.count(1))
    return next(number for number, pairs in enumerate(sizes, start=1) if largest_family(pairs) >= family)


def _check_claim(study: Study, whole: Located, name: str, task: type[Task]) -> None:
    claim, path = study.claims[name], ("claims", name)
    not_included = "the study's invariants do not include"
    if isinstance(claim, HoldsClaim):
        check_known(claim.holds, study.invariants, not_included, whole, (*path, "holds"))
    elif isinstance(claim, FormulaClaim):
        check_metric(claim.metric, study, whole, (*path, "metric"), task, directed=False)
        check_metric(claim.formula, study, whole, (*path, "formula"), task, directed=False)
        if claim.formula == claim.metric:
            raise StudyError(
                f"{name} compares {claim.metric} with itself",
                at=whole.place((*path, "formula"), of_value=True),
            )
        check_known(claim.also_holds, (*study.invariants, None), not_included, whole, (*path, "also_holds"))
    elif isinstance(claim, MostSensitiveClaim):
        _check_sensitive(study, whole, claim, path, task)
    else:
        _check_comparison(study, whole, claim, path, task)


def _check_comparison(
    study: Study, whole: Located, claim: Comparing, path: tuple[str, str], task: type[Task]
) -> None:
    name, all_arms = path[1], arms(study)
    other = (
        _check_arm(study, whole, claim.against, (*path, "against"), all_arms)
        if claim.against
        else all_arms[0]
    )
    seen: set[str] = set()
    for place, levels in _named_arms(claim, path):
        arm = _check_arm(study, whole, levels, place, all_arms)
        if arm is other:
            against = "the baseline itself" if other is all_arms[0] else f"{other.name} on both sides"
            raise StudyError(f"{name} names {against}", at=whole.place(place))
        if arm.name in seen:
            raise StudyError(f"{name} names {arm.name} twice", at=whole.place(place))
        seen.add(arm.name)
    if isinstance(claim, TrendClaim):
        _check_trend(study, whole, claim, path)
    elif isinstance(claim, ComparingAt):
        _check_condition(study, whole, claim.at, path)
    record = _outcome(study, whole, claim, path, task)
    only = "differences, which have no ratio" if record.compared_by == "differences" else ""
    if not only and record.paired_over == "sentences":
        only = "resampled sentences, which decide no claim on a ratio"
    if only and not isinstance(claim, DirectionClaim | NoDifferenceClaim):
        raise StudyError(
            f"{path[1]}: {record.name} is compared by {only}",
            at=whole.place(path),
            hint="claim a `direction`, or `no_difference: true`",
        )
    _check_pairs(study, whole, claim, path, record)


def _named_arms(claim: Comparing, path: KeyPath) -> list[tuple[KeyPath, dict[str, Scalar]]]:
    """The arms of a claim, each with its place."""
    if claim.level is not None:
        return [((*path, "level"), claim.level)]
    key = "all_of" if claim.all_of is not None else "any_of"
    return [((*path, key, index), levels) for index, levels in enumerate(claim.arms)]


def _outcome(study: Study, whole: Located, claim: Comparing, path: KeyPath, task: type[Task]) -> Metric:
    """The record of what the claim compares; whatever comes of a training is a loss, whose pairs are seeds."""
    if isinstance(claim, DivergesClaim):
        check_known(
            "loss", task.metrics, f"nothing can diverge: task {study.task!r} produces no metric", whole, path
        )
        return METRICS["loss"]
    metric = getattr(claim, "metric", None) or study.primary
    check_metric(metric, study, whole, (*path, "metric"), task)
    if isinstance(claim, ReachesClaim) and not METRICS[metric].is_loss:
        at = whole.place((*path, "metric"), of_value=True)
        raise StudyError(f"{path[1]}: a target is one of a loss, {metric} is none", at=at)
    return METRICS[metric]


def _check_pairs(study: Study, whole: Located, claim: Comparing, path: KeyPath, record: Metric) -> None:
    """Enough pairs to decide the claim, which is a family of as many as `any_of` names."""
    family = len(claim.any_of or (None,))
    unit = record.paired_over if record.paired_over == "rounds" else "seeds"
    pairs = study.design.pairs(record.paired_over)
    if largest_family(pairs) < family and not study.design.exploratory and claim.exploratory is None:
        enough = _enough(study, unit, family)
        raise StudyError(
            f"{pairs} {unit} can never decide {path[1]}",
            at=whole.place(("design", unit), of_value=True),
            hint=f"use at least {enough}, or {_EXPLORATORY}",
        )


def _check_arm(
    study: Study, whole: Located, levels: Mapping[str, Scalar], path: KeyPath, all_arms: Sequence[Combination]
) -> Combination:
    _check_levels(levels, study.compare, "compared", whole, path)
    arm = find_arm(all_arms, levels)
    if arm is None:
        off = [
            factor for factor, level in levels.items() if level_name(level) != all_arms[0].names.get(factor)
        ]
        raise StudyError(
            f"no arm of {path[1]} departs from the baseline in {' and '.join(off)}",
            at=whole.place(path),
            hint=f"design.arms is {study.design.arms}; the arms are {', '.join(arm.name for arm in all_arms[:6])}"
            + (" …" if len(all_arms) > 6 else ""),
        )
    return arm


def _check_condition(study: Study, whole: Located, at: Mapping[str, Scalar], path: KeyPath) -> None:
    _check_levels(at, study.across, "varied across", whole, (*path, "at"))
    asked = {factor: level_name(level) for factor, level in at.items()}
    meant = [where for where in conditions(study) if asked.items() <= where.names.items()]
    if not meant:
        told = ", ".join(f"{factor}={level}" for factor, level in asked.items())
        raise StudyError(f"no condition of {path[1]} has {told}", at=whole.place((*path, "at")))
    for factor, levels in study.across.items():
        if len({where.names.get(factor) for where in meant}) > 1:
            names = ", ".join(level_name(level) for level in levels)
            raise StudyError(
                f"{path[1]} does not say at which {factor} it holds",
                at=whole.place(path),
                hint=f"`at: {{{factor}: …}}`, one of {names}",
            )


def _check_trend(study: Study, whole: Located, claim: TrendClaim, path: KeyPath) -> None:
    check_known(claim.over, study.across, "no factor is varied across by the name", whole, (*path, "over"))
    levels, at = study.across[claim.over], whole.place((*path, "over"), of_value=True)
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float) or level <= 0:
            raise StudyError(
                f"a trend over {claim.over} needs levels that are positive numbers, {level_name(level)!r} is not",
                at=at,
            )
    if len(levels) < 3 and not study.design.exploratory and claim.exploratory is None:
        raise StudyError(f"a trend over {claim.over} needs at least 3 levels, there are {len(levels)}", at=at)


def _check_sensitive(
    study: Study, whole: Located, claim: MostSensitiveClaim, path: tuple[str, str], task: type[Task]
) -> None:
    """Each factor has arms at its default ÷ r and × r; enough seeds for the comparisons that must all be
    significant.
    """
    record = METRICS[claim.metric or study.primary]
    check_metric(record.name, study, whole, (*path, "metric"), task)
    if not record.is_loss:
        at = whole.place((*path, "metric"), of_value=True)
        raise StudyError(f"{path[1]}: sensitivity is a rise of a loss, {record.name} is none", at=at)
    all_arms = arms(study)
    for index, factor in enumerate(claim.among):
        place = (*path, "among", index)
        check_known(factor, study.compare, "no factor is compared by the name", whole, place)
        if factor in claim.among[:index]:
            raise StudyError(f"factor {factor!r} is written twice", at=whole.place(place))
        found = sensitivity_levels(factor, study.compare[factor], claim.by)
        if found is None or any(find_arm(all_arms, {factor: level}) is None for level in found):
            raise StudyError(
                f"{path[1]} needs {factor} at its default, that divided by {claim.by:g} and that times {claim.by:g}",
                at=whole.place(place),
            )
    check_known(
        claim.most_sensitive, claim.among, "among the factors there is no", whole, (*path, "most_sensitive")
    )
    _check_condition(study, whole, claim.at, path)
    others, pairs = len(claim.among) - 1, study.design.seeds
    if largest_family(pairs) < others and not study.design.exploratory and claim.exploratory is None:
        enough = _enough(study, "seeds", others)
        raise StudyError(
            f"{pairs} seeds can never decide {path[1]}",
            at=whole.place(("design", "seeds"), of_value=True),
            hint=f"use at least {enough}, or {_EXPLORATORY}",
        )


def _check_levels(
    levels: Mapping[str, Scalar], factors: Mapping[str, list[Level]], verb: str, whole: Located, path: KeyPath
) -> None:
    for factor, level in levels.items():
        check_known_key(factor, factors, f"no factor is {verb} by the name", whole, (*path, factor))
        names = [level_name(known) for known in factors[factor]]
        check_known(level_name(level), names, f"{factor} has no level", whole, (*path, factor))
