"""How the form `value` is settled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from harness.analysis.claims.arms import ArmResult, ArmsSettlement, certainty
from harness.analysis.claims.bounds import bound_position, bound_text, tests_of_bound
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import COUNTED, Member
from harness.analysis.results import ClaimVerdict, Numbers
from harness.analysis.trial_table import IncomparableError
from harness.metrics import Metric, metric
from harness.statistics import safe_exp
from harness.study.arms import Combination, named_condition
from harness.study.claims.value import ValueClaim
from harness.wording import UNBOUNDED


@dataclass(frozen=True, kw_only=True)
class ValueBound(Rule):
    """The centre of an arm's own values is at least (`side` 1) or at most (−1) `bound`, on the scale of the
    values.

    Confirmed if the whole 95 % interval is, refuted if the whole interval is beyond it.
    """

    side: int
    bound: float

    def tests(self, member: Member) -> Tests:
        return tests_of_bound(member, self.side, self.bound)


class ValueSettlement(ArmsSettlement[ValueClaim]):
    """`ValueBound` decides, on one value per seed: its log, if the metric is compared by ratios. A metric
    that is exact needs no interval.
    """

    @cached_property
    def record(self) -> Metric:
        return metric(self.claim.metric or self.loaded.study.primary)

    @property
    def takes_logs(self) -> bool:
        return self.record.compared_by == "ratios" and not self.record.exact

    @property
    def figure(self) -> str:
        return self.record.format(self.claim.value.figure)

    @property
    def claimed(self) -> str:
        return bound_text(self.claim.value.side, self.figure)

    @property
    def rule(self) -> ValueBound:
        figure = self.claim.value.figure
        return ValueBound(side=self.claim.value.side, bound=math.log(figure) if self.takes_logs else figure)

    def result(self, arm: Combination) -> ArmResult:
        record, condition = self.record, named_condition(self.loaded.conditions, self.claim.at)
        member, label = self._member(arm, condition), self.loaded.label(arm.name)
        bounds, scaled = member.interval(self.level), safe_exp if self.takes_logs else float
        value, low, high = (scaled(x) for x in (member.centre, bounds.low, bounds.high))
        unbounded = math.isinf(bounds.low) and math.isinf(bounds.high)
        interval = UNBOUNDED if unbounded else f"{record.format(low)} to {record.format(high)}"
        return ArmResult(
            member=member,
            label=label,
            effect=record.format(value),
            interval=COUNTED if member.counted else interval,
            measured=f"{record.label} of {label}{self.loaded.at(condition.names)} is {record.format(value)} "
            f"({certainty(member, interval, 'seeds', self.level)})",
            numbers=Numbers(
                effect=value, low=low, high=high, claimed=self.claim.value.figure, unit=record.unit
            ),
        )

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        return bound_position(self.claim.value.side, self.figure, verdict)

    def _member(self, arm: Combination, condition: Combination) -> Member:
        trials = self.evidence.cells.trials(self.record, arm.name, condition)
        if self.takes_logs and min(trials.values()) <= 0:
            raise IncomparableError(
                f"{self.record.label} of {arm.name} is zero or less, which has no logarithm"
            )
        if self.record.exact and len(set(trials.values())) > 1:
            raise IncomparableError(
                f"{self.record.label} of {arm.name} is counted, but differs between trials"
            )
        values: dict[int, list[float]] = {}
        for index, ((_, seed), value) in enumerate(trials.items(), start=1):
            replicate = index if self.record.exact else seed
            values.setdefault(replicate, []).append(math.log(value) if self.takes_logs else value)
        return Member(
            metric=self.record.name,
            arm=arm.name,
            against="",
            condition=condition.names,
            pairs=tuple((replicate, fmean(row)) for replicate, row in sorted(values.items())),
            counted=self.record.exact,
        )
