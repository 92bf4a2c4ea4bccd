"""How the form `ratio` is settled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.claims.arms import ArmResult, MetricSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.claims.direction import Direction
from harness.analysis.member import Member
from harness.analysis.results import ClaimVerdict
from harness.study.claims.ratio import RatioClaim
from harness.wording import interval_text


@dataclass(frozen=True, kw_only=True)
class Region(Rule):
    """The ratio lies between the two bounds.

    Confirmed if the 90 % interval lies inside them, refuted if the 95 % interval lies outside.
    """

    low: float
    high: float

    def tests(self, member: Member) -> Tests:
        low, high = math.log(self.low), math.log(self.high)
        return Tests(member.inside(low, high), member.outside(low, high))


class RatioSettlement(MetricSettlement[RatioClaim]):
    """`Region` decides. The sentence also says whether the direction alone is confirmed."""

    @property
    def figure(self) -> float:
        return self.claim.ratio

    @property
    def region(self) -> tuple[float, float]:
        return self.claim.region

    @property
    def claimed(self) -> str:
        return f"{self.claim.ratio:g} × (region {interval_text(*self.claim.region)})"

    @property
    def rule(self) -> Region:
        low, high = self.claim.region
        return Region(low=low, high=high)

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        region = f"the region {interval_text(*self.claim.region)} of the claimed {self.claim.ratio:g} ×"
        low = result.numbers.low
        if verdict == "confirmed":
            position = f"inside {region}"
        elif verdict == "refuted":
            position = f"{'above' if low is not None and low > self.claim.region[1] else 'below'} {region}"
        else:
            position = f"the interval crosses the border of {region}"
        return f"{position}{self._direction(result)}"

    def _direction(self, result: ArmResult) -> str:
        """The verdict on the direction alone, which equality within the margin refutes."""
        if self.claim.ratio == 1.0:
            return ""
        side, word = (1, "higher") if self.claim.ratio > 1 else (-1, "lower")
        verdict = Direction(side=side, margin=self.scaled_margin).tests(result.member).verdict(self.alpha)
        return f"; the direction ({word} than {self.other_label}) is {verdict}"
