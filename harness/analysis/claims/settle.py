"""From the decision on a claim's arms to its finding: one arm, or all or any of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analysis.claims.decision import Basis, Decision
from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.results import ClaimVerdict, Numbers
from harness.analysis.rules import Member, Rule
from harness.study.arms import Combination, named_arm
from harness.study.claim import Comparing
from harness.wording import count

HERE = "At this scale, on this device,"


@dataclass(frozen=True, kw_only=True)
class Told:
    """One arm of a claim in words: the arm's label, the effect and its interval, and what was measured,
    without the verdict.

    `lost` says why the pairs of a lost member say nothing.
    """

    member: Member
    label: str
    effect: str
    interval: str
    measured: str
    numbers: Numbers
    lost: str = ""


Position = Callable[[Told, ClaimVerdict], str]
"""Where the measured effect lies, in words."""


def sides(claim: Comparing, evidence: Evidence) -> list[tuple[Combination, Combination]]:
    """(arm, the other) for each arm of the claim."""
    loaded = evidence.loaded
    other = named_arm(loaded.arms, claim.against) if claim.against else loaded.baseline
    return [(named_arm(loaded.arms, levels), other) for levels in claim.arms]


def refused(claim: Comparing, evidence: Evidence, claimed: str) -> Finding | None:
    """The finding `invalid` where an arm of the claim does not count; None where each does."""
    names = dict.fromkeys(arm.name for pair in sides(claim, evidence) for arm in pair)
    reasons = [
        f"{evidence.loaded.label(name)} does not count: {evidence.invalid[name]}"
        for name in names
        if name in evidence.invalid
    ]
    if not reasons:
        return None
    return Finding(verdict="invalid", claimed=claimed, sentence=f"{'; '.join(reasons)}.")


def why_open(claim: Comparing, evidence: Evidence, told: Sequence[Told] = ()) -> str:
    """Why there will be no verdict whatever the data: what was declared beforehand, or a design of too few
    pairs.
    """
    if claim.exploratory is not None:
        return f"exploratory ({claim.exploratory}), so there is no verdict"
    if evidence.loaded.study.design.exploratory and not (told and all(each.member.counted for each in told)):
        return "exploratory, so there is no verdict"
    return ""


def other_name(other: Combination, evidence: Evidence) -> str:
    return (
        "the baseline's"
        if other is evidence.loaded.baseline
        else f"that of {evidence.loaded.label(other.name)}"
    )


def unit_of(told: Told, paired_over: str) -> str:
    return count(told.member.n, "trial" if told.member.counted else paired_over[:-1])


def settle(
    claim: Comparing, rule: Rule, told: Sequence[Told], claimed: str, position: Position, open_: str
) -> Finding:
    """Decide, and say so. The claim's numbers are those of the arm that the verdict hangs on."""
    of: Literal["all", "any"] = "any" if claim.any_of is not None else "all"
    basis = Basis(rule=rule, members=tuple(each.member for each in told), of=of, open=open_)
    decision = basis.decide()
    chosen = told[_deciding(decision, of)]
    effects, intervals = chosen.effect, chosen.interval
    if len(told) > 1:
        effects = ", ".join(f"{each.effect} ({each.label})" for each in told)
        intervals = ", ".join(each.interval for each in told)
    parts = [
        f"{each.measured}: {open_ or each.lost or position(each, verdict)}"
        for each, (verdict, _) in zip(told, decision.members, strict=True)
    ]
    tail = "" if len(told) == 1 else f". Claimed of {of} of {count(len(told), 'arm')}: {_counts(decision)}"
    return Finding(
        verdict=decision.verdict,
        effect=effects,
        interval=intervals,
        claimed=claimed,
        n=min(each.member.n for each in told),
        sentence=f"{HERE} {'; '.join(parts)}{tail}.",
        numbers=chosen.numbers,
        basis=basis.plain(),
    )


def _deciding(decision: Decision, of: str) -> int:
    """Of all arms the one furthest from confirming, of any the nearest."""
    confirm = [tests.confirm for _, tests in decision.members]
    return confirm.index(max(confirm) if of == "all" else min(confirm))


def _counts(decision: Decision) -> str:
    verdicts = [verdict for verdict, _ in decision.members]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
