"""Claims that a factor is among the most sensitive ones."""

from __future__ import annotations

from harness.analysis.claims.decision import Basis
from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.claims.settle import HERE
from harness.analysis.results import Numbers
from harness.analysis.rules import AmongMostSensitive, Member
from harness.metrics import metric
from harness.statistics import safe_exp, worst_rise
from harness.study.arms import named_arm, named_condition
from harness.study.claim import MostSensitiveClaim
from harness.study.claim_targets import sensitivity_levels
from harness.wording import at_condition, count, interval_text, ratio_text, words


def settle_most_sensitive(claim: MostSensitiveClaim, evidence: Evidence) -> Finding:
    """Each factor's worst rise a seed, the claimed one against each other by signed ranks.

    Raises IncomparableError.
    """
    loaded = evidence.loaded
    record, condition = (
        metric(claim.metric or loaded.study.primary),
        named_condition(loaded.conditions, claim.at),
    )
    rule = AmongMostSensitive(factor=claim.most_sensitive)
    top = rule.top(len(claim.among))
    claimed = f"among the {top} most sensitive of {len(claim.among)}"
    doubts = [
        arm
        for arm in evidence.invalid
        if any(arm == name for names in _arms(claim, evidence).values() for name in names)
    ]
    if doubts:
        sentence = "; ".join(f"{arm} does not count: {evidence.invalid[arm]}" for arm in doubts)
        return Finding(verdict="invalid", claimed=claimed, sentence=f"{sentence}.")
    default = evidence.cells.pairs(record, loaded.baseline.name, condition)
    members = []
    for factor, names in _arms(claim, evidence).items():
        lower, higher = (evidence.cells.pairs(record, name, condition) for name in names)
        rises = worst_rise(lower, higher, default)
        members.append(
            Member(
                metric=f"worst rise of {record.name}",
                arm=factor,
                against=loaded.baseline.name,
                condition=condition.names,
                pairs=tuple(sorted(rises.items())),
            )
        )
    open_ = "exploratory, so there is no verdict" if loaded.study.design.exploratory else ""
    if claim.exploratory is not None:
        open_ = f"exploratory ({claim.exploratory}), so there is no verdict"
    basis = Basis(rule=rule, members=tuple(members), open=open_)
    verdict = basis.decide().verdict
    own = next(member for member in members if member.arm == claim.most_sensitive).estimate
    effect, low, high = (safe_exp(value) for value in (own.estimate, own.ci95.low, own.ci95.high))
    smaller, larger = rule.rivals(basis.members)
    ranking = sorted(members, key=lambda member: -member.estimate.estimate)
    told = ", ".join(
        f"{words(member.arm)} {ratio_text(safe_exp(member.estimate.estimate))}" for member in ranking
    )
    return Finding(
        verdict=verdict,
        effect=ratio_text(effect),
        interval=interval_text(low, high),
        claimed=claimed,
        n=own.n,
        sentence=f"{HERE} the worst {record.label}{at_condition(condition.names)} at the default ÷ {claim.by:g} and × {claim.by:g}, over "
        f"the default's, is {told} ({count(own.n, 'seed')}): {open_ or _position(claim, top, smaller, larger)}.",
        numbers=Numbers(effect=effect, low=low, high=high),
        basis=basis.plain(),
    )


def _arms(claim: MostSensitiveClaim, evidence: Evidence) -> dict[str, tuple[str, str]]:
    """Factor → its arms at ÷ r and × r."""
    found = {}
    for factor in claim.among:
        levels = sensitivity_levels(factor, evidence.loaded.study.compare[factor], claim.by)
        assert levels is not None
        low, high = (named_arm(evidence.loaded.arms, {factor: level}).name for level in levels)
        found[factor] = (low, high)
    return found


def _position(claim: MostSensitiveClaim, top: int, smaller: int, larger: int) -> str:
    others = len(claim.among) - 1
    return (
        f"{smaller} of {others} others are significantly less sensitive than {words(claim.most_sensitive)} "
        f"({len(claim.among) - top} are needed), {larger} significantly more ({top} refute)"
    )
