"""Claims that an effect grows or falls with a condition."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.claims.settle import Told, refused, settle, sides, unit_of, why_open
from harness.analysis.results import ClaimVerdict, Numbers
from harness.analysis.rules import Member, Slope
from harness.analysis.trial_table import IncomparableError
from harness.metrics import Metric, metric
from harness.statistics import paired_estimate, safe_exp, sign_flip_p, trend
from harness.study.arms import Combination
from harness.study.claim import TrendClaim
from harness.wording import interval_text, number_text, ratio_text, words


def settle_trend(claim: TrendClaim, evidence: Evidence) -> Finding:
    """The verdict on the slope of log ratios over log2 of the condition.

    Raises IncomparableError where the data allow none.
    """
    invalid = refused(claim, evidence, claim.trend)
    if invalid:
        return invalid
    loaded = evidence.loaded
    levels = sorted(
        {float(where.names[claim.over]) for where in loaded.conditions if claim.over in where.names}
    )
    if len(levels) < 2:
        sentence = f"One level of {words(claim.over)} shows no trend."
        return Finding(verdict="undecided", claimed=claim.trend, sentence=sentence)
    record = metric(claim.metric or loaded.study.primary)
    doublings = math.log2(levels[-1] / levels[0])
    rule = Slope(
        side=1 if claim.trend == "increasing" else -1,
        margin=math.log1p(loaded.study.margin(record)) / doublings,
    )
    told = [_told(claim, record, pair, evidence) for pair in sides(claim, evidence)]

    def position(each: Told, verdict: ClaimVerdict) -> str:
        return _position(claim, rule, each, verdict)

    return settle(claim, rule, told, claim.trend, position, why_open(claim, evidence))


def _told(
    claim: TrendClaim, record: Metric, pair: tuple[Combination, Combination], evidence: Evidence
) -> Told:
    arm, other = pair
    rounds = _log_ratios_by_level(claim, record, pair, evidence)
    levels = sorted(next(iter(rounds.values())))
    if not all(math.isfinite(value) for cells in rounds.values() for value in cells.values()):
        raise IncomparableError(f"{record.label} is infinite somewhere, which has no slope")
    found = trend(rounds)
    member = Member(
        metric=record.name,
        arm=arm.name,
        against=other.name,
        condition={},
        pairs=tuple(sorted(found.slopes.items())),
        steps=tuple(tuple(sorted(step.values.items())) for step in found.steps),
        p_sign_flip=sign_flip_p(found.slopes) if record.paired_over == "seeds" else None,
    )
    low, high = safe_exp(found.slope.ci95.low), safe_exp(found.slope.ci95.high)
    growth = f"× {number_text(safe_exp(found.slope.estimate))} a doubling"
    bare = Told(
        member=member,
        label=evidence.loaded.label(arm.name),
        effect=growth,
        interval=interval_text(low, high),
        measured="",
        numbers=Numbers(effect=safe_exp(found.slope.estimate), low=low, high=high),
    )
    steps = ", ".join(
        f"{ratio_text(safe_exp(paired_estimate({key: cells[level] for key, cells in rounds.items()}).estimate))} at {level:g}"
        for level in levels
    )
    against = "the baseline" if other is evidence.loaded.baseline else evidence.loaded.label(other.name)
    measured = (
        f"the ratio of {record.label}, {bare.label} to {against}, is {steps} {words(claim.over)}; it changes by {growth} "
        f"(95 % interval {bare.interval}, {unit_of(bare, record.paired_over)})"
    )
    return replace(bare, measured=measured)


def _log_ratios_by_level(
    claim: TrendClaim, record: Metric, pair: tuple[Combination, Combination], evidence: Evidence
) -> dict[int, dict[float, float]]:
    """Replicate → level of the condition → mean log ratio over the conditions that share the level."""
    arm, other = pair
    by_level: dict[float, list[dict[int, float]]] = {}
    for condition in evidence.loaded.conditions:
        if claim.over not in condition.names:
            continue
        level = float(condition.names[claim.over])
        found = evidence.cells.log_ratios(record, arm.name, other.name, condition)
        by_level.setdefault(level, []).append(found)
    replicates = next(iter(by_level.values()))[0]
    return {
        key: {level: sum(pairs[key] for pairs in cells) / len(cells) for level, cells in by_level.items()}
        for key in replicates
    }


def _position(claim: TrendClaim, rule: Slope, told: Told, verdict: ClaimVerdict) -> str:
    slope = told.member.estimate
    towards = rule.side * slope.estimate > 0 and slope.ci95.excludes(0.0)
    if verdict == "confirmed":
        return f"it is {claim.trend}"
    if verdict == "refuted":
        opposite = "decreasing" if claim.trend == "increasing" else "increasing"
        return (
            f"it is {opposite}"
            if slope.ci95.excludes(0.0) and not towards
            else "it is flat within the margin"
        )
    if towards:
        return f"it is {claim.trend} as a whole, but not at every step"
    return "the interval of the slope includes no change"
