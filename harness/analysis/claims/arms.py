"""How a claim about one arm, or about all or any of several arms, is settled. It may be against another arm,
and on one metric.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from harness.analysis.claims.decision import ArmsNeeded, Basis, Rule
from harness.analysis.claims.settlement import HERE, Settlement
from harness.analysis.contrasts import LOST, effect_of, estimated, scale
from harness.analysis.member import COUNTED, Member, contrast_member, replicates_text
from harness.analysis.results import ClaimAxis, ClaimVerdict, Numbers, SettledClaim
from harness.analysis.validity.warnings import wanted_alike
from harness.metrics import REPLICATES, Metric, metric
from harness.study.arms import Combination, named_arm, named_condition
from harness.study.claims.arms import ArmsClaim, Comparison, MetricComparison
from harness.wording import (
    count,
    effect_phrase,
    effect_text,
    interval_text,
    level_text,
)

ArmsClaimT = TypeVar("ArmsClaimT", bound=ArmsClaim)
ComparisonT = TypeVar("ComparisonT", bound=Comparison)
MetricComparisonT = TypeVar("MetricComparisonT", bound=MetricComparison)


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What the data show about one arm of a claim. `measured` says it in words, without the verdict; `lost`
    says why the values show nothing.
    """

    member: Member
    label: str
    effect: str
    interval: str
    measured: str
    numbers: Numbers
    axis: ClaimAxis | None = None
    lost: str = ""


class ArmsSettlement(Settlement[ArmsClaimT]):
    """A claim about arms, each of which gives values that a rule judges."""

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """The rule that decides the claim."""

    @abstractmethod
    def result(self, arm: Combination) -> ArmResult:
        """What the data show about an arm of the claim. Raises IncomparableError if they show nothing."""

    @abstractmethod
    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        """Where the measured effect lies, in words."""

    @property
    def doubts(self) -> str:
        return self.evidence.doubts_about(self.claim.required_arms(self.loaded.arms))

    @cached_property
    def results(self) -> list[ArmResult]:
        """What the data show about each arm, with intervals of the level at which the arm is tested."""
        results = [self.result(named_arm(self.loaded.arms, levels)) for levels in self.claim.arm_levels]
        alphas = self.rule.member_alphas([r.member for r in results], self._needed, self.alpha)
        return [
            result
            if alpha == self.alpha
            else replace(self, alpha=alpha).result(named_arm(self.loaded.arms, levels))
            for result, alpha, levels in zip(results, alphas, self.claim.arm_levels, strict=True)
        ]

    @property
    def _needed(self) -> ArmsNeeded:
        return "any" if self.claim.any_of is not None else "all"

    @cached_property
    def basis(self) -> Basis:
        members = tuple(result.member for result in self.results)
        counted = all(member.counted for member in members)
        open_ = self.why_open if self.claim.exploratory is not None or not counted else ""
        return Basis(rule=self.rule, members=members, needed=self._needed, open=open_, alpha=self.alpha)

    def settle(self) -> SettledClaim:
        results, basis = self.results, self.basis
        open_, needed, members = basis.open, basis.needed, basis.members
        parts = [
            f"{result.measured}: {open_ or result.lost or self.position(result, verdict)}"
            for result, verdict in zip(results, basis.member_verdicts, strict=True)
        ]
        effect, interval, decisive = results[0].effect, results[0].interval, results[_deciding(basis)]
        if len(results) > 1:
            effect = ", ".join(f"{result.effect} ({result.label})" for result in results)
            interval = ", ".join(result.interval for result in results)
            verdicts = Counter(basis.member_verdicts)
            counts = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
            arms = count(len(results), "arm")
            scope = f"all {arms}" if needed == "all" else f"at least one of {arms}"
            parts[-1] += f". The claim must hold for {scope}: {counts}"
        return replace(
            self.unsettled,
            verdict=basis.verdict,
            effect=effect,
            interval=interval,
            n=min(member.n for member in members),
            sentence=f"{HERE} {'; '.join(parts)}.",
            numbers=decisive.numbers,
            axis=decisive.axis,
            decisive=decisive.label if len(results) > 1 else "",
            basis=basis.plain(),
        )


class ComparisonSettlement(ArmsSettlement[ComparisonT]):
    """A claim about arms against another arm."""

    @cached_property
    def other(self) -> Combination:
        return named_arm(self.loaded.arms, self.claim.against)

    @property
    def other_label(self) -> str:
        return "the baseline" if self.other is self.loaded.baseline else self.loaded.label(self.other.name)


class MetricSettlement(ComparisonSettlement[MetricComparisonT]):
    """A claim on the ratio or the difference of a metric."""

    @property
    def figure(self) -> float | None:
        """The claimed effect, if the claim states one."""
        return None

    @property
    def region(self) -> tuple[float, float] | None:
        """The effects that confirm the claimed one, if the claim states a region."""
        return None

    @cached_property
    def record(self) -> Metric:
        return metric(self.claim.metric or self.loaded.study.primary)

    @property
    def margin(self) -> float:
        return self.loaded.study.margin(self.record)

    @property
    def declared_reasons(self) -> tuple[str, ...]:
        reason = self.loaded.study.margin_reason(self.record) if self.claim.needs_margin else ""
        margin = (f"The margin of {self.margin:.2g} is wider than usual: {reason}.",) if reason else ()
        return (*super().declared_reasons, *margin)

    @property
    def scaled_margin(self) -> float:
        """The margin on the scale of the values, which are logs if the metric is compared by ratios."""
        return scale(self.record, self.margin)

    def result(self, arm: Combination) -> ArmResult:
        record, condition = self.record, named_condition(self.loaded.conditions, self.claim.at)
        contrast = estimated(self.evidence.cells, record, (arm, self.other), condition, alpha=self.alpha)
        member, label = contrast_member(contrast, self.other.name), self.loaded.label(arm.name)
        bounds = member.interval(self.level, ties=self.rule.ties)
        low, high = (effect_of(record, bound) for bound in (bounds.low, bounds.high))
        interval = interval_text(low, high, record.compared_by)
        return ArmResult(
            member=member,
            label=label,
            effect=effect_text(contrast.effect, record.compared_by),
            interval=COUNTED if member.counted else interval,
            measured=f"{record.label} of {label}{self.loaded.at(condition.names)} is "
            f"{effect_phrase(contrast.effect, record.compared_by)} {self.other_label}'s "
            f"({certainty(member, interval, record.paired_over, self.level)}"
            f"{f'; {contrast.diverged}' if contrast.diverged else ''}{self._outputs(arm, condition)})",
            numbers=Numbers(
                effect=contrast.effect, low=low, high=high, claimed=self.figure, unit=record.effect_unit
            ),
            axis=ClaimAxis(
                compared_by=record.compared_by,
                quantity=record.label,
                margin=self.margin,
                region=self.region,
            ),
            lost=contrast.open or (LOST if member.lost else ""),
        )

    def _outputs(self, arm: Combination, condition: Combination) -> str:
        """That the arms gave different outputs, if the claim is on a cost and no invariant says whether they
        may.
        """
        if self.record.paired_over != "rounds":
            return ""
        arms = (arm, self.other)
        if all(side is self.loaded.baseline or self._is_covered(side.name) for side in arms):
            return ""
        names = (arm.name, self.other.name)
        differ, compared = self.evidence.cells.differing_outputs(self.record, names, condition)
        trials = count(compared, "trial")
        return (
            f"; the outputs differ in {differ:,} of {trials}, and no invariant says whether they may"
            if differ
            else ""
        )

    def _is_covered(self, arm: str) -> bool:
        """Whether an invariant of the study demands the baseline's outputs of the arm."""
        return any(wanted_alike(self.loaded, arm, name) for name in self.loaded.study.invariants)

    def alike(self, result: ArmResult) -> str:
        """How an arm is the same as the other."""
        if result.member.same(0.0) == 0.0:
            return "the values are identical"
        return f"the difference is within the margin of {self.margin:.2g}"


def certainty(member: Member, interval: str, paired_over: str, level: float) -> str:
    """`95 % interval 1.9 to 2.1 ×, 10 rounds of one model`, or how often the value was counted."""
    if member.counted:
        return f"{COUNTED}, {count(member.n, 'trial')}"
    sample = replicates_text(member.n, REPLICATES[paired_over], member.models)
    return f"{level_text(level)} interval {interval}, {sample}"


def _deciding(basis: Basis) -> int:
    """The index of the arm that the verdict depends on: if all are needed, the one that confirms least."""
    confirm = [tests.confirm for tests in basis.member_tests]
    return confirm.index(max(confirm) if basis.needed == "all" else min(confirm))
