"""How the form `no_difference` is settled."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.claims.arms import ArmResult, MetricSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import Member
from harness.analysis.results import ClaimVerdict
from harness.study.claims.no_difference import NoDifferenceClaim


@dataclass(frozen=True, kw_only=True)
class Same(Rule):
    """Identical, or within the margin. Refuted if the 95 % interval lies outside the margin."""

    margin: float

    def tests(self, member: Member) -> Tests:
        return Tests(member.same(self.margin), member.outside(-self.margin, self.margin))


class NoDifferenceSettlement(MetricSettlement[NoDifferenceClaim]):
    """`Same` decides."""

    @property
    def figure(self) -> float:
        return self.record.neutral

    @property
    def claimed(self) -> str:
        return f"no difference (margin {self.margin:.2g})" if self.margin else "no difference"

    @property
    def rule(self) -> Same:
        return Same(margin=self.scaled_margin)

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return self.alike(result)
        if verdict == "undecided":
            return "the interval crosses the border of the margin"
        if self.margin:
            return f"the difference is larger than the margin of {self.margin:.2g}"
        return "the values differ"
