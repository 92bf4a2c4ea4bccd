"""How the form `direction` is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.analysis.claims.arms import ArmResult, MetricSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import Member
from harness.analysis.results import ALPHA, ClaimVerdict
from harness.study.claims.direction import DirectionClaim

OPPOSITE = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


@dataclass(frozen=True, kw_only=True)
class Direction(Rule):
    """The log ratio, or the difference, is positive (`side` 1) or negative (−1), and larger than the margin.

    Values that are the same within the margin have no direction. A measured difference that is not larger
    than the margin confirms none either, however surely it is not zero.
    """

    ties: ClassVar[bool] = True
    side: int
    margin: float

    def tests(self, member: Member) -> Tests:
        same = member.same(self.margin)
        up, down = member.higher, member.lower
        towards, away = (up, down) if self.side > 0 else (down, up)
        confirm = towards if abs(member.centre) > self.margin else 1.0
        return Tests(1.0 if same <= ALPHA else confirm, min(away, same))


class DirectionSettlement(MetricSettlement[DirectionClaim]):
    """`Direction` decides."""

    @property
    def claimed(self) -> str:
        return self.claim.direction

    @property
    def rule(self) -> Direction:
        higher = "better" if self.record.better == "higher" else "worse"
        side = 1 if self.claim.direction in ("higher", higher) else -1
        return Direction(side=side, margin=self.scaled_margin)

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"{self.claim.direction}, as claimed"
        if verdict == "refuted":
            if result.member.same(self.scaled_margin) <= ALPHA:
                return self.alike(result)
            return f"{OPPOSITE[self.claim.direction]}, the opposite of the claim"
        low, high = result.numbers.low, result.numbers.high
        if low is not None and high is not None and low <= self.record.neutral <= high:
            return "the interval includes equal values"
        if abs(result.member.centre) <= self.scaled_margin:
            return f"the measured difference is not larger than the margin of {self.margin:.2g}"
        return "the difference is not significant"
