"""What claims name must exist, and the design must be able to decide them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.metrics import METRICS, Metric
from harness.study.arms import find_arm
from harness.study.checks.checker import StudyChecker
from harness.study.claim import (
    Claim,
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
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import Scalar, level_name


def check_claims(checker: StudyChecker, claims: Mapping[str, Claim]) -> None:
    """Every claim, and the size of the families of contrasts.

    Raises StudyError at the first that is wrong.
    """
    for name, claim in claims.items():
        _check_claim(checker, name, claim)
    _check_size(checker, claims)


def _check_size(checker: StudyChecker, claims: Mapping[str, Claim]) -> None:
    """No family of contrasts may be so large, for its pairs, that none of it could ever be significant."""
    study = checker.study
    record = METRICS[study.primary]
    if study.design.exploratory or record.exact:
        return
    named = sum(
        alone_in_its_family(claim) and (getattr(claim, "metric", None) or study.primary) == study.primary
        for claim in claims.values()
    )
    tune = study.design.tune
    measured = tune.finalists if tune and tune.finalists else len(checker.arms)
    size = (measured - 1) * len(checker.conditions) - named
    checker.check_pairs(record, size, f"{size} comparison{'s' if size > 1 else ''} of {study.primary}")


def _check_claim(checker: StudyChecker, name: str, claim: Claim) -> None:
    path, invariants = ("claims", name), checker.study.invariants
    not_included = "the study's invariants do not include"
    if isinstance(claim, HoldsClaim):
        checker.check_known((*path, "holds"), claim.holds, invariants, not_included)
    elif isinstance(claim, FormulaClaim):
        checker.check_metric((*path, "metric"), claim.metric, directed=False)
        checker.check_metric((*path, "formula"), claim.formula, directed=False)
        if claim.formula == claim.metric:
            checker.fail((*path, "formula"), f"{name} compares {claim.metric} with itself", value=True)
        checker.check_known((*path, "also_holds"), claim.also_holds, (*invariants, None), not_included)
    elif isinstance(claim, MostSensitiveClaim):
        _check_sensitive(checker, claim, path)
    else:
        _check_comparison(checker, claim, path)


def _check_comparison(checker: StudyChecker, claim: Comparing, path: tuple[str, str]) -> None:
    name, baseline = path[1], checker.arms[0]
    other = checker.arm((*path, "against"), claim.against) if claim.against else baseline
    seen: set[str] = set()
    for inner, levels in _named_arms(claim, path):
        arm = checker.arm(inner, levels)
        if arm is other:
            against = "the baseline itself" if other is baseline else f"{other.name} on both sides"
            checker.fail(inner, f"{name} names {against}")
        if arm.name in seen:
            checker.fail(inner, f"{name} names {arm.name} twice")
        seen.add(arm.name)
    if isinstance(claim, TrendClaim):
        _check_trend(checker, claim, path)
    elif isinstance(claim, ComparingAt):
        checker.check_condition(path, claim.at)
    record = _outcome(checker, claim, path)
    only = "differences, which have no ratio" if record.compared_by == "differences" else ""
    if not only and record.paired_over == "sentences":
        only = "resampled sentences, which decide no claim on a ratio"
    if only and not isinstance(claim, DirectionClaim | NoDifferenceClaim):
        checker.fail(
            path,
            f"{name}: {record.name} is compared by {only}",
            hint="claim a `direction`, or `no_difference: true`",
        )
    _check_pairs(checker, claim, record, len(claim.any_of or (None,)), name)


def _named_arms(claim: Comparing, path: KeyPath) -> list[tuple[KeyPath, dict[str, Scalar]]]:
    """The arms of a claim, each with its path."""
    if claim.level is not None:
        return [((*path, "level"), claim.level)]
    key = "all_of" if claim.all_of is not None else "any_of"
    return [((*path, key, index), levels) for index, levels in enumerate(claim.arms)]


def _outcome(checker: StudyChecker, claim: Comparing, path: tuple[str, str]) -> Metric:
    """The record of what the claim compares; whatever comes of a training is a loss, whose pairs are seeds."""
    if isinstance(claim, DivergesClaim):
        problem = f"nothing can diverge: task {checker.study.task!r} does not produce the metric"
        checker.check_known(path, "loss", checker.task.metrics, problem)
        return METRICS["loss"]
    metric = getattr(claim, "metric", None) or checker.study.primary
    record = checker.check_metric((*path, "metric"), metric)
    if isinstance(claim, ReachesClaim) and not record.is_loss:
        message = f"{path[1]}: a target is one of a loss, {metric} is none"
        checker.fail((*path, "metric"), message, value=True)
    return record


def _check_pairs(
    checker: StudyChecker, claim: Comparing | MostSensitiveClaim, record: Metric, family: int, name: str
) -> None:
    """Enough pairs to decide a claim that is a family of so many comparisons."""
    if not checker.study.design.exploratory and claim.exploratory is None:
        checker.check_pairs(record, family, name)


def _check_trend(checker: StudyChecker, claim: TrendClaim, path: KeyPath) -> None:
    across, path = checker.study.across, (*path, "over")
    checker.check_known(path, claim.over, across, "`across` has no factor")
    levels = across[claim.over]
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float) or level <= 0:
            checker.fail(
                path,
                f"a trend over {claim.over} needs levels that are positive numbers, "
                f"{level_name(level)!r} is not",
                value=True,
            )
    if len(levels) < 3 and not checker.study.design.exploratory and claim.exploratory is None:
        message = f"a trend over {claim.over} needs at least 3 levels, there are {len(levels)}"
        checker.fail(path, message, value=True)


def _check_sensitive(checker: StudyChecker, claim: MostSensitiveClaim, path: tuple[str, str]) -> None:
    """Each factor has arms at its default ÷ r and × r; enough seeds for the comparisons that must all be
    significant.
    """
    name, compare = path[1], checker.study.compare
    record = checker.check_metric((*path, "metric"), claim.metric or checker.study.primary)
    if not record.is_loss:
        message = f"{name}: sensitivity is a rise of a loss, {record.name} is none"
        checker.fail((*path, "metric"), message, value=True)
    for index, factor in enumerate(claim.among):
        inner = (*path, "among", index)
        checker.check_known(inner, factor, compare, "`compare` has no factor")
        if factor in claim.among[:index]:
            checker.fail(inner, f"factor {factor!r} is written twice")
        levels = sensitivity_levels(factor, compare[factor], claim.by)
        if levels is None or any(find_arm(checker.arms, {factor: level}) is None for level in levels):
            checker.fail(
                inner,
                f"{name} needs {factor} at its default, that divided by {claim.by:g} "
                f"and that times {claim.by:g}",
            )
    problem = "among the factors there is no"
    checker.check_known((*path, "most_sensitive"), claim.most_sensitive, claim.among, problem)
    checker.check_condition(path, claim.at)
    _check_pairs(checker, claim, record, len(claim.among) - 1, name)
