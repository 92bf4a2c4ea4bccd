"""Claims against the data: confirmed, refuted, undecided or invalid (validity.md, "Claims")."""

from __future__ import annotations

import math

from harness.analysis.cells import IncomparableError
from harness.analysis.contrasts import Named, margin_of
from harness.analysis.evidence import Evidence, Finding, arm_of, condition_of
from harness.analysis.exact_claims import settle_formula, settle_holds
from harness.analysis.results import ClaimVerdict, Contrast, Numbers, SettledClaim
from harness.analysis.wording import count, exp, figure, interval, times, where, words
from harness.config import canonical_json
from harness.metrics import metric
from harness.statistics import Trend, equivalent, paired_estimate, trend
from harness.study.arms import Combination
from harness.study.claim import Claim, FormulaClaim, HoldsClaim, RatioClaim, TrendClaim
from harness.study.load import LoadedStudy

_HERE = "At this scale, on this device,"
_EXPLORATORY = "exploratory, so there is no verdict"


def named_contrasts(loaded: LoadedStudy) -> list[Named]:
    """Every contrast that a claim is about: each claim is a family of its own."""
    return [
        (
            claim.metric or loaded.study.primary,
            arm_of(loaded, claim.level).name,
            canonical_json(condition_of(loaded, claim.at).names),
        )
        for claim in loaded.study.claims.values()
        if isinstance(claim, RatioClaim)
    ]


def settle_claims(evidence: Evidence) -> tuple[SettledClaim, ...]:
    """Every claim of the study with its verdict, effect, interval and a sentence."""
    settled = []
    for name, claim in evidence.loaded.study.claims.items():
        finding = _settle(claim, evidence)
        settled.append(SettledClaim(id=name, source=claim.source, says=claim.says, **vars(finding)))
    return tuple(settled)


def _settle(claim: Claim, evidence: Evidence) -> Finding:
    try:
        if isinstance(claim, HoldsClaim):
            return settle_holds(claim, evidence)
        if isinstance(claim, FormulaClaim):
            return settle_formula(claim, evidence)
        arm = arm_of(evidence.loaded, claim.level)
        if arm.name in evidence.invalid:
            sentence = f"{arm.name} does not count: {evidence.invalid[arm.name]}."
            return Finding(verdict="invalid", claimed=_claimed(claim), sentence=sentence)
        return _ratio(claim, arm, evidence) if isinstance(claim, RatioClaim) else _trend(claim, arm, evidence)
    except IncomparableError as problem:
        return Finding(verdict="invalid", sentence=f"The data do not allow a comparison: {problem}.")


def _claimed(claim: RatioClaim | TrendClaim) -> str:
    if isinstance(claim, TrendClaim):
        return claim.trend
    low, high = _region(claim)
    return f"{claim.ratio:g} × (region {interval(low, high)})"


def _region(claim: RatioClaim) -> tuple[float, float]:
    return claim.ratio / claim.within, claim.ratio * claim.within


def _ratio(claim: RatioClaim, arm: Combination, evidence: Evidence) -> Finding:
    loaded = evidence.loaded
    record, condition = metric(claim.metric or loaded.study.primary), condition_of(loaded, claim.at)
    contrast = next(
        c
        for c in evidence.contrasts
        if (c.metric, c.arm, c.condition) == (record.name, arm.name, condition.names)
    )
    if contrast.verdict == "invalid":
        raise IncomparableError(contrast.reason)
    verdict: ClaimVerdict = "undecided"
    if not loaded.study.design.exploratory:
        verdict = _ratio_verdict(claim, contrast)
    measured = (
        f"{record.label} of {arm.name}{where(condition)} is {times(contrast.ratio)} the baseline's "
        f"(95 % interval {interval(contrast.low, contrast.high)}, {count(contrast.n, record.paired_over[:-1])})"
    )
    position = (
        _EXPLORATORY
        if loaded.study.design.exploratory
        else _position(claim, contrast, verdict) + _sign(claim, contrast)
    )
    return Finding(
        verdict=verdict, effect=times(contrast.ratio), interval=interval(contrast.low, contrast.high), claimed=_claimed(claim),
        n=contrast.n, sentence=f"{_HERE} {measured}: {position}.",
        numbers=Numbers(effect=contrast.ratio, low=contrast.low, high=contrast.high, claimed=claim.ratio),
    )  # fmt: skip


def _ratio_verdict(claim: RatioClaim, contrast: Contrast) -> ClaimVerdict:
    """Confirmed where the 90 % interval lies inside the region (two one-sided tests), refuted where the 95 % one lies outside."""
    low, high = _region(claim)
    if low <= contrast.low90 and contrast.high90 <= high:
        return "confirmed"
    return "refuted" if contrast.high < low or contrast.low > high else "undecided"


def _position(claim: RatioClaim, contrast: Contrast, verdict: ClaimVerdict) -> str:
    region = f"the region {interval(*_region(claim))} of the claimed {claim.ratio:g} ×"
    if verdict == "confirmed":
        return f"inside {region}"
    if verdict == "refuted":
        return f"{'above' if contrast.low > _region(claim)[1] else 'below'} {region}"
    return f"the interval crosses the border of {region}"


def _sign(claim: RatioClaim, contrast: Contrast) -> str:
    """The sub-claim of direction alone."""
    if claim.ratio == 1.0:
        return ""
    direction = "more" if claim.ratio > 1 else "less"
    if contrast.low <= 1 <= contrast.high:
        return f"; that it is {direction} than the baseline's at all is undecided"
    told = "confirmed" if (contrast.low > 1) == (claim.ratio > 1) else "refuted"
    return f"; that it is {direction} than the baseline's at all is {told}"


def _trend(claim: TrendClaim, arm: Combination, evidence: Evidence) -> Finding:
    loaded = evidence.loaded
    record, over = metric(claim.metric or loaded.study.primary), words(claim.over)
    rounds = _log_ratios_by_level(claim, arm, evidence)
    levels = sorted(next(iter(rounds.values())))
    if len(levels) < 2:
        return Finding(
            verdict="undecided", claimed=claim.trend, sentence=f"One level of {over} shows no trend."
        )
    if not all(math.isfinite(value) for cells in rounds.values() for value in cells.values()):
        raise IncomparableError(f"{record.label} is infinite somewhere, which has no slope")
    sign = 1.0 if claim.trend == "increasing" else -1.0
    found = trend(
        {key: {level: sign * value for level, value in cells.items()} for key, cells in rounds.items()}
    )
    doublings = math.log2(levels[-1] / levels[0])
    exploratory = loaded.study.design.exploratory
    verdict: ClaimVerdict = (
        "undecided" if exploratory else _trend_verdict(found, doublings, margin_of(loaded, record))
    )
    slope = found.slope
    low, high = sorted((exp(sign * slope.ci95.low), exp(sign * slope.ci95.high)))
    steps = ", ".join(
        f"{times(exp(paired_estimate({key: cells[level] for key, cells in rounds.items()}).estimate))} at {level:g}"
        for level in levels
    )
    told = _EXPLORATORY if exploratory else _trend_told(claim, found, verdict)
    growth = f"× {figure(exp(sign * slope.estimate))} a doubling"
    return Finding(
        verdict=verdict, effect=growth, interval=interval(low, high), claimed=claim.trend, n=slope.n,
        sentence=f"{_HERE} the ratio of {record.label}, {arm.name} to the baseline, is {steps} {over}; it changes by {growth} "
        f"(95 % interval {interval(low, high)}, {count(slope.n, record.paired_over[:-1])}): {told}.",
        numbers=Numbers(effect=exp(sign * slope.estimate), low=low, high=high),
    )  # fmt: skip


def _log_ratios_by_level(
    claim: TrendClaim, arm: Combination, evidence: Evidence
) -> dict[int, dict[float, float]]:
    """Replicate → level of the condition → mean log ratio over the conditions that share the level."""
    loaded = evidence.loaded
    record = metric(claim.metric or loaded.study.primary)
    by_level: dict[float, list[dict[int, float]]] = {}
    for condition in loaded.conditions:
        level = float(condition.names[claim.over])
        by_level.setdefault(level, []).append(evidence.cells.log_ratios(record, arm.name, condition))
    replicates = next(iter(by_level.values()))[0]
    return {
        key: {level: sum(pairs[key] for pairs in cells) / len(cells) for level, cells in by_level.items()}
        for key in replicates
    }


def _trend_verdict(found: Trend, doublings: float, margin: float) -> ClaimVerdict:
    """On slopes that the claim says are positive. As with contrasts, what is negligible is decided before its sign."""
    if margin > 0 and equivalent(found.slope, math.log1p(margin) / doublings):
        return "refuted"
    if found.slope.ci95.low > 0 and not _falls_somewhere(found):
        return "confirmed"
    return "refuted" if found.slope.ci95.high < 0 else "undecided"


def _falls_somewhere(found: Trend) -> bool:
    return any(step.change.ci95.high < 0 for step in found.steps)


def _trend_told(claim: TrendClaim, found: Trend, verdict: ClaimVerdict) -> str:
    if verdict == "confirmed":
        return f"it is {claim.trend}"
    if verdict == "refuted":
        opposite = "decreasing" if claim.trend == "increasing" else "increasing"
        return f"it is {opposite}" if found.slope.ci95.high < 0 else "it is flat within the margin"
    if found.slope.ci95.low > 0:
        return f"it is {claim.trend} as a whole, but not at every step"
    return "the interval of the slope includes no change"
