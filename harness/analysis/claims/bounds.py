"""How a claim that a ratio is at least or at most a figure is settled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from harness.analysis.claims.arms import ArmResult, MetricComparisonT, MetricSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import Member
from harness.analysis.results import ClaimVerdict


@dataclass(frozen=True, kw_only=True)
class Bound(Rule):
    """The ratio is at least (`side` 1) or at most (−1) `ratio`.

    Confirmed if the whole 95 % interval is, refuted if the whole interval is beyond it.
    """

    side: int
    ratio: float

    def tests(self, member: Member) -> Tests:
        return tests_of_bound(member, self.side, math.log(self.ratio))


def tests_of_bound(member: Member, side: int, bound: float) -> Tests:
    """The tests of "above the bound" (`side` 1) or "below the bound" (−1), on the scale of the values."""
    if side > 0:
        return Tests(member.above(bound, closed=True), member.below(bound))
    return Tests(member.below(bound, closed=True), member.above(bound))


def bound_text(side: int, figure: str) -> str:
    return f"at {'least' if side > 0 else 'most'} {figure}"


def bound_position(side: int, figure: str, verdict: ClaimVerdict) -> str:
    """Where the interval lies, in words."""
    if verdict == "confirmed":
        return f"this is {bound_text(side, f'the claimed {figure}')}"
    if verdict == "refuted":
        return f"this is {'below' if side > 0 else 'above'} the claimed {figure}"
    return f"the interval includes the claimed {figure}"


class BoundSettlement(MetricSettlement[MetricComparisonT]):
    """A claim with a bound on a ratio."""

    side: ClassVar[int]
    """1 for a lower bound, −1 for an upper one."""

    @property
    def figure(self) -> float:
        """The claimed ratio, which is the field with the name of the form."""
        return getattr(self.claim, self.claim.form())  # type: ignore[no-any-return]

    @property
    def claimed(self) -> str:
        return bound_text(self.side, f"{self.figure:g} ×")

    @property
    def rule(self) -> Bound:
        return Bound(side=self.side, ratio=self.figure)

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        return bound_position(self.side, f"{self.figure:g} ×", verdict)
