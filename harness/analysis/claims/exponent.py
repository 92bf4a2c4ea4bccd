"""How the form `exponent` is settled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from harness.analysis.claims.arms import ArmResult, ArmsSettlement, certainty
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.claims.slopes import one_level, values_by_level
from harness.analysis.member import COUNTED, Member
from harness.analysis.results import ClaimVerdict, Numbers, SettledClaim
from harness.analysis.trial_table import IncomparableError
from harness.metrics import Metric, metric
from harness.statistics import trend
from harness.study.arms import Combination
from harness.study.claims.exponent import ExponentClaim
from harness.wording import UNBOUNDED, number_text


@dataclass(frozen=True, kw_only=True)
class SlopeRegion(Rule):
    """The slope lies between the two bounds.

    Confirmed if the 90 % interval lies inside them, refuted if the 95 % interval lies outside.
    """

    low: float
    high: float

    def tests(self, member: Member) -> Tests:
        return Tests(member.inside(self.low, self.high), member.outside(self.low, self.high))


class ExponentSettlement(ArmsSettlement[ExponentClaim]):
    """`SlopeRegion` decides, on one slope of the log of the metric over the log of the condition per round or
    seed. A metric that is exact needs only one slope.
    """

    @cached_property
    def record(self) -> Metric:
        return metric(self.claim.metric or self.loaded.study.primary)

    @property
    def region(self) -> str:
        low, high = self.claim.region
        return f"the region {low:g} to {high:g} of the claimed exponent {self.claim.exponent:g}"

    @property
    def claimed(self) -> str:
        return f"exponent {self.claim.exponent:g} ± {self.claim.within:g}"

    @property
    def rule(self) -> SlopeRegion:
        low, high = self.claim.region
        return SlopeRegion(low=low, high=high)

    def settle(self) -> SettledClaim:
        if reason := one_level(self.loaded, self.claim.over):
            return replace(self.unsettled, sentence=reason)
        return super().settle()

    def result(self, arm: Combination) -> ArmResult:
        record, cells = self.record, self.evidence.cells
        if record.paired_over == "rounds" and not record.exact:
            cells.check_sessions(record, arm.name)
        values = values_by_level(self.loaded, self.claim.over, lambda condition: self._logs(arm, condition))
        slopes = trend(values).slopes
        member = Member(
            metric=record.name,
            arm=arm.name,
            against="",
            condition={},
            pairs=tuple(sorted(slopes.items())),
            counted=record.exact,
            models=cells.models(record),
        )
        slope, bounds = member.centre, member.interval(self.level)
        low, high = bounds.low, bounds.high
        interval = f"{number_text(low)} to {number_text(high)}" if low > -math.inf else UNBOUNDED
        return ArmResult(
            member=member,
            label=self.loaded.label(arm.name),
            effect=f"exponent {number_text(slope)}",
            interval=COUNTED if member.counted else interval,
            measured=f"{record.label} of {self.loaded.label(arm.name)} grows like "
            f"{self.loaded.names.factor(self.claim.over)} to the power of {number_text(slope)} "
            f"({certainty(member, interval, record.paired_over, self.level)})",
            numbers=Numbers(effect=slope, low=low, high=high, claimed=self.claim.exponent),
        )

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"inside {self.region}"
        if verdict == "undecided":
            return f"the interval crosses the border of {self.region}"
        return f"{'above' if result.member.centre > self.claim.exponent else 'below'} {self.region}"

    def _logs(self, arm: Combination, condition: Combination) -> dict[int, float]:
        """Replicate → log2 of the metric."""
        values = self.evidence.cells.pairs(self.record, arm.name, condition)
        if self.record.exact and len(set(values.values())) > 1:
            raise IncomparableError(
                f"{self.record.label} of {arm.name} is counted, but differs between trials"
            )
        if not all(0 < value < math.inf for value in values.values() if not math.isnan(value)):
            raise IncomparableError(f"{self.record.label} of {arm.name} is not always positive and finite")
        return {replicate: math.log2(value) for replicate, value in values.items()}
