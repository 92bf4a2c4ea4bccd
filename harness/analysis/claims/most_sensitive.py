"""How the form `most_sensitive` is settled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from harness.analysis.claims.decision import ArmsNeeded, Basis, Rule, Tests
from harness.analysis.claims.settlement import HERE, Settlement
from harness.analysis.member import Member
from harness.analysis.results import ALPHA, Numbers, SettledClaim
from harness.metrics import RATIO_UNIT, metric
from harness.statistics import Ranking, Rival, most_sensitive, safe_exp, worst_rise
from harness.study.arms import Combination, named_condition
from harness.study.claims.most_sensitive import MostSensitiveClaim
from harness.wording import count, interval_text, ratio_text


@dataclass(frozen=True, kw_only=True)
class AmongMostSensitive(Rule):
    """Of K factors, each a member, at least K − ⌈K / 3⌉ are significantly below `factor`, with Holm's
    correction over all others.

    Refuted if at least ⌈K / 3⌉ are significantly above it. The values of a factor are its worst log rises
    (`statistics.sensitivity`).
    """

    procedure: ClassVar[str] = "exact signed rank, Holm over the other factors"
    factor: str

    @staticmethod
    def top(factors: int) -> int:
        return math.ceil(factors / 3)

    def ranking(self, members: Sequence[Member], alpha: float = ALPHA) -> Ranking:
        rises = {member.arm: dict(member.pairs) for member in members}
        return most_sensitive(rises, self.factor, alpha=alpha)

    def decide(self, members: Sequence[Member], needed: ArmsNeeded) -> tuple[Tests, tuple[Tests, ...]]:
        """The p at which just enough factors are below, or above, and the tests against each of them."""
        rivals = self.ranking(members).rivals
        tests = tuple(_rival_tests(rivals.get(member.arm)) for member in members)
        below, above = sorted(t.confirm for t in tests), sorted(t.refute for t in tests)
        top = self.top(len(members))
        return Tests(below[len(members) - top - 1], above[top - 1]), tests


def _rival_tests(rival: Rival | None) -> Tests:
    """Whether another factor is below or above the claimed one, which has no tests itself."""
    estimate = rival.difference.estimate if rival else 0.0
    p = rival.p_adjusted if rival else 1.0
    return Tests(p if estimate > 0 else 1.0, p if estimate < 0 else 1.0)


class MostSensitiveSettlement(Settlement[MostSensitiveClaim]):
    """`AmongMostSensitive` decides, on the worst rise of each factor per seed."""

    @property
    def claimed(self) -> str:
        factors = len(self.claim.among)
        return f"among the {AmongMostSensitive.top(factors)} most sensitive of {factors}"

    @property
    def doubts(self) -> str:
        return self.evidence.doubts_about(arm for arms in self.arms.values() for arm in arms)

    @cached_property
    def arms(self) -> Mapping[str, tuple[Combination, Combination]]:
        """Factor → its arms at the default ÷ and × `by`."""
        compare, arms = self.loaded.study.compare, self.loaded.arms
        pairs = {factor: self.claim.factor_arms(factor, compare, arms) for factor in self.claim.among}
        return {factor: pair for factor, pair in pairs.items() if pair is not None}

    @cached_property
    def basis(self) -> Basis:
        record = metric(self.claim.metric or self.loaded.study.primary)
        members = self._members(record.name, named_condition(self.loaded.conditions, self.claim.at))
        rule = AmongMostSensitive(factor=self.claim.most_sensitive)
        return Basis(rule=rule, members=tuple(members.values()), open=self.why_open, alpha=self.alpha)

    def settle(self) -> SettledClaim:
        claim, record = self.claim, metric(self.claim.metric or self.loaded.study.primary)
        condition = named_condition(self.loaded.conditions, claim.at)
        members = {member.arm: member for member in self.basis.members}
        basis, rule = self.basis, AmongMostSensitive(factor=claim.most_sensitive)
        ranking = rule.ranking(basis.members, self.alpha)
        claimed = members[claim.most_sensitive]
        bounds = claimed.interval(self.level)
        effect, low, high = (safe_exp(x) for x in (claimed.centre, bounds.low, bounds.high))
        rises = {factor: member.centre for factor, member in members.items()}
        ranked = sorted(rises, key=lambda factor: -rises[factor])
        named = self.loaded.names.factor
        ratios = ", ".join(f"{named(factor)} {ratio_text(safe_exp(rises[factor]))}" for factor in ranked)
        return replace(
            self.unsettled,
            verdict=basis.verdict,
            effect=ratio_text(effect),
            interval=interval_text(low, high),
            n=claimed.n,
            sentence=f"{HERE} the worst ratio of the {record.label}{self.loaded.at(condition.names)} to its "
            f"value at the default, with the factor at its default ÷ {claim.by:g} and × {claim.by:g}, is: "
            f"{ratios} ({count(claimed.n, 'seed')}). {self._position(ranking)}.",
            numbers=Numbers(effect=effect, low=low, high=high, unit=RATIO_UNIT),
            basis=basis.plain(),
        )

    def _members(self, name: str, condition: Combination) -> dict[str, Member]:
        record, cells, baseline = metric(name), self.evidence.cells, self.loaded.baseline.name
        default = cells.pairs(record, baseline, condition)
        members = {}
        for factor, arms in self.arms.items():
            lower, higher = (cells.pairs(record, arm.name, condition) for arm in arms)
            members[factor] = Member(
                metric=f"worst rise of {record.name}",
                arm=factor,
                against=baseline,
                condition=condition.names,
                pairs=tuple(sorted(worst_rise(lower, higher, default).items())),
            )
        return members

    def _position(self, ranking: Ranking) -> str:
        if self.why_open:
            return self.why_open[0].upper() + self.why_open[1:]
        factors = len(self.claim.among)
        top = AmongMostSensitive.top(factors)
        return (
            f"Of the {factors - 1} other factors, {len(ranking.smaller)} are significantly less sensitive "
            f"than {self.loaded.names.factor(self.claim.most_sensitive)} "
            f"({factors - top} are needed to confirm), and "
            f"{len(ranking.larger)} are significantly more sensitive ({top} are needed to refute)"
        )
