"""Claims on one metric of an arm against another: a ratio, a bound on it, a direction, no difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.claims.settle import Told, other_name, refused, settle, sides, unit_of, why_open
from harness.analysis.contrasts import COUNTED, LOST, estimated
from harness.analysis.results import ClaimVerdict, Contrast, Numbers
from harness.analysis.rules import ALPHA, Bound, Direction, Member, Region, Rule, Same
from harness.analysis.score_contrasts import scale, scored_member
from harness.analysis.trial_table import IncomparableError
from harness.metrics import Metric, metric
from harness.study.arms import Combination, named_condition
from harness.study.claim import (
    AtLeastClaim,
    AtMostClaim,
    DirectionClaim,
    MetricClaim,
    NoDifferenceClaim,
    RatioClaim,
)
from harness.wording import at_condition, effect_phrase, effect_text, interval_text

Words = Callable[[Told, ClaimVerdict], str]


def settle_comparison(claim: MetricClaim, evidence: Evidence) -> Finding:
    """The verdict on a claim about ratios or differences.

    Raises IncomparableError where the data allow none.
    """
    record = metric(claim.metric or evidence.loaded.study.primary)
    margin = evidence.loaded.study.margin(record)
    rule, claimed, position = _form(claim, record, margin)
    invalid = refused(claim, evidence, claimed)
    if invalid:
        return invalid
    told = [_told(claim, record, pair, evidence) for pair in sides(claim, evidence)]
    return settle(claim, rule, told, claimed, position, why_open(claim, evidence, told))


def member_of(found: Contrast, other: str) -> Member:
    """The contrast as what a rule is applied to. Raises IncomparableError for one that does not count."""
    if found.verdict == "invalid":
        raise IncomparableError(found.reason)
    if metric(found.metric).paired_over == "sentences":
        return scored_member(found, other)
    counted = found.reason == COUNTED
    pairs = found.pairs
    if counted:
        value = -math.inf if found.effect == 0 else math.log(found.effect)
        pairs = tuple((number, value) for number in range(1, found.n + 1))
    return Member(
        metric=found.metric,
        arm=found.arm,
        against=other,
        condition=found.condition,
        pairs=pairs,
        counted=counted,
        lost=found.reason == LOST,
        p_sign_flip=found.p_sign_flip,
    )


def _told(
    claim: MetricClaim, record: Metric, pair: tuple[Combination, Combination], evidence: Evidence
) -> Told:
    arm, other = pair
    condition = named_condition(evidence.loaded.conditions, claim.at)
    found = estimated(evidence.cells, record, pair, condition)
    member = member_of(found, other.name)
    # Kept short so that the sentence reads: who, what, against whom.
    bare = Told(
        member=member,
        label=evidence.loaded.label(arm.name),
        effect=effect_text(found.effect, record.compared_by),
        measured="",
        interval=COUNTED if member.counted else interval_text(found.low, found.high, record.compared_by),
        numbers=Numbers(effect=found.effect, low=found.low, high=found.high, claimed=_figure(claim, record)),
        lost=LOST if member.lost else "",
    )
    sure = COUNTED if member.counted else f"95 % interval {bare.interval}"
    measured = (
        f"{record.label} of {evidence.loaded.label(arm.name)}{at_condition(condition.names)} is {effect_phrase(found.effect, record.compared_by)} {other_name(other, evidence)} "
        f"({sure}, {unit_of(bare, record.paired_over)})"
    )
    return replace(bare, measured=measured)


def _figure(claim: MetricClaim, record: Metric) -> float | None:
    if isinstance(claim, RatioClaim):
        return claim.ratio
    if isinstance(claim, AtLeastClaim):
        return claim.at_least
    if isinstance(claim, AtMostClaim):
        return claim.at_most
    return record.neutral if isinstance(claim, NoDifferenceClaim) else None


def _form(claim: MetricClaim, record: Metric, margin: float) -> tuple[Rule, str, Words]:
    """The rule of a form, what it claims in words, and how it tells where the effect lies."""
    if isinstance(claim, RatioClaim):
        low, high = claim.region
        return (
            Region(low=low, high=high),
            f"{claim.ratio:g} × (region {interval_text(low, high)})",
            lambda told, verdict: _of_ratio(claim, told, verdict, scale(record, margin)),
        )
    if isinstance(claim, AtLeastClaim):
        bound = f"the claimed {claim.at_least:g} ×"
        return (
            Bound(side=1, ratio=claim.at_least),
            f"at least {claim.at_least:g} ×",
            _of_bound("at least", "below", bound),
        )
    if isinstance(claim, AtMostClaim):
        bound = f"the claimed {claim.at_most:g} ×"
        return (
            Bound(side=-1, ratio=claim.at_most),
            f"at most {claim.at_most:g} ×",
            _of_bound("at most", "above", bound),
        )
    own = scale(record, margin)
    if isinstance(claim, DirectionClaim):
        side = 1 if claim.direction in ("higher", _meaning_more(record)) else -1
        return Direction(side=side, margin=own), claim.direction, _of_direction(claim, record, margin)
    assert isinstance(claim, NoDifferenceClaim)
    claimed = f"no difference (margin {margin:.2g})" if margin else "no difference"
    return Same(margin=own), claimed, _of_same(margin)


def _meaning_more(record: Metric) -> str:
    """The word that means a larger value: `better` where more is better, `worse` where less is."""
    return "better" if record.better == "higher" else "worse"


def _of_ratio(claim: RatioClaim, told: Told, verdict: ClaimVerdict, margin: float) -> str:
    region = f"the region {interval_text(*claim.region)} of the claimed {claim.ratio:g} ×"
    numbers = told.numbers
    assert numbers.low is not None
    if verdict == "confirmed":
        place = f"inside {region}"
    elif verdict == "refuted":
        place = f"{'above' if numbers.low > claim.region[1] else 'below'} {region}"
    else:
        place = f"the interval crosses the border of {region}"
    return place + _sign(claim, told, margin)


def _sign(claim: RatioClaim, told: Told, margin: float) -> str:
    """The sub-claim of direction alone, which what is the same within the margin refutes."""
    if claim.ratio == 1.0:
        return ""
    tests = Direction(side=1 if claim.ratio > 1 else -1, margin=margin).tests(told.member)
    verdict = "confirmed" if tests.confirm <= ALPHA else "refuted" if tests.refute <= ALPHA else "undecided"
    direction = "more" if claim.ratio > 1 else "less"
    return f"; that it is {direction} than {'the baseline' if not claim.against else told.member.against}'s at all is {verdict}"


def _of_bound(holds: str, misses: str, bound: str) -> Words:
    words = {
        "confirmed": f"{holds} {bound}",
        "refuted": f"{misses} {bound}",
        "undecided": f"the interval includes {bound}",
    }
    return lambda _told, verdict: words[verdict]


def _of_direction(claim: DirectionClaim, record: Metric, margin: float) -> Words:
    opposite = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}[claim.direction]

    def words(told: Told, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"{claim.direction}, as claimed"
        if verdict == "refuted":
            same = told.member.same(scale(record, margin)) <= ALPHA
            return _alike(told, margin) if same else f"{opposite}, the opposite of what is claimed"
        return "the interval includes no difference" if _includes_none(told, record) else "not significant"

    return words


def _of_same(margin: float) -> Words:
    def words(told: Told, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return _alike(told, margin)
        if verdict == "refuted":
            return f"different by more than the margin of {margin:.2g}" if margin else "different"
        return "the interval crosses the border of the margin"

    return words


def _alike(told: Told, margin: float) -> str:
    if told.member.same(0.0) == 0.0:
        return "identical"
    return f"the same within the margin of {margin:.2g}"


def _includes_none(told: Told, record: Metric) -> bool:
    low, high = told.numbers.low, told.numbers.high
    return low is not None and high is not None and low <= record.neutral <= high
