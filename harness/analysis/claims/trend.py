"""How the form `trend` is settled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from harness.analysis.claims.arms import ArmResult, ComparisonSettlement, certainty
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.claims.direction import Direction
from harness.analysis.claims.slopes import numeric_levels, one_level, values_by_level
from harness.analysis.member import Member
from harness.analysis.results import ALPHA, ClaimAxis, ClaimVerdict, Numbers, SettledClaim
from harness.analysis.trial_table import IncomparableError
from harness.metrics import RATIO_UNIT, Metric, metric
from harness.statistics import paired_estimate, replicates, safe_exp, sign_flip_p, trend
from harness.study.arms import Combination
from harness.study.claims.trend import TrendClaim
from harness.wording import interval_text, number_text, ratio_text


@dataclass(frozen=True, kw_only=True)
class Slope(Rule):
    """The slope is positive (`side` 1) or negative (−1), and no step goes significantly the other way.

    `margin` is a slope: an effect that changes less over all levels is flat.
    """

    ties: ClassVar[bool] = True
    side: int
    margin: float

    def tests(self, member: Member) -> Tests:
        towards, away = Direction(side=self.side, margin=self.margin).tests(member)
        back = any(_goes_back(dict(step), self.side) for step in member.steps)
        return Tests(1.0 if back else towards, away)


def _goes_back(step: Mapping[int, float], side: int) -> bool:
    """Whether a step goes significantly against `side`. The rounds of all models count as one sample,
    which is strict: it prevents a confirmation more easily.
    """
    samples = replicates(step)
    return (samples.p_below(0.0) if side > 0 else samples.p_above(0.0)) <= ALPHA


class TrendSettlement(ComparisonSettlement[TrendClaim]):
    """`Slope` decides, on one slope of log ratios over log2 of the condition per round or seed."""

    @property
    def claimed(self) -> str:
        return self.claim.trend

    @cached_property
    def record(self) -> Metric:
        return metric(self.claim.metric or self.loaded.study.primary)

    @property
    def rule(self) -> Slope:
        levels = numeric_levels(self.loaded, self.claim.over)
        doublings = math.log2(levels[-1] / levels[0])
        margin = math.log1p(self.loaded.study.margin(self.record)) / doublings
        return Slope(side=1 if self.claim.trend == "increasing" else -1, margin=margin)

    @property
    def declared_reasons(self) -> tuple[str, ...]:
        reason = self.loaded.study.margin_reason(self.record)
        return (
            *super().declared_reasons,
            *((f"The margin is wider than usual: {reason}.",) if reason else ()),
        )

    def settle(self) -> SettledClaim:
        if reason := one_level(self.loaded, self.claim.over):
            return replace(self.unsettled, sentence=reason)
        return super().settle()

    def result(self, arm: Combination) -> ArmResult:
        record, label = self.record, self.loaded.label(arm.name)
        over = self.loaded.names.factor(self.claim.over)
        rounds = values_by_level(
            self.loaded,
            self.claim.over,
            lambda condition: self.evidence.cells.log_ratios(record, arm.name, self.other.name, condition),
        )
        if any(math.isinf(value) for cells in rounds.values() for value in cells.values()):
            raise IncomparableError(f"{record.label} is infinite under some condition, so it has no slope")
        slopes = trend(rounds)
        member = Member(
            metric=record.name,
            arm=arm.name,
            against=self.other.name,
            condition={},
            pairs=tuple(sorted(slopes.slopes.items())),
            steps=tuple(tuple(sorted(step.values.items())) for step in slopes.steps),
            models=self.evidence.cells.models(record),
            p_sign_flip=sign_flip_p(slopes.slopes) if record.paired_over == "seeds" else None,
        )
        bounds = member.interval(self.level, ties=True)
        growth, low, high = (safe_exp(x) for x in (member.centre, bounds.low, bounds.high))
        effect, interval = f"× {number_text(growth)} per doubling", interval_text(low, high)
        levels = sorted(next(iter(rounds.values())))
        ratios = (
            paired_estimate({key: row[level] for key, row in rounds.items()}).estimate for level in levels
        )
        steps = ", ".join(
            f"{ratio_text(safe_exp(ratio))} at {level:g}" for ratio, level in zip(ratios, levels, strict=True)
        )
        return ArmResult(
            member=member,
            label=label,
            effect=effect,
            interval=interval,
            measured=f"the ratio of {record.label}, {label} to {self.other_label}, is {steps} {over}; "
            f"it changes by {effect} ({certainty(member, interval, record.paired_over, self.level)})",
            numbers=Numbers(effect=growth, low=low, high=high, unit=RATIO_UNIT),
            axis=ClaimAxis(
                compared_by="ratios",
                quantity=f"{record.label} per doubling of {over}",
                margin=math.expm1(self.rule.margin),
            ),
        )

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        claimed, bounds = self.claim.trend, result.member.interval(self.level, ties=True)
        towards = self.rule.side * result.member.centre > 0 and bounds.excludes(0.0)
        if verdict == "confirmed":
            return f"it is {claimed}"
        if verdict == "refuted":
            opposite = "decreasing" if claimed == "increasing" else "increasing"
            away = bounds.excludes(0.0) and not towards
            return f"it is {opposite}" if away else "it is flat within the margin"
        if towards:
            return f"it is {claimed} overall, but not at every step"
        return "the interval of the slope includes zero"
