"""How a claim on one metric of an arm against another arm is settled."""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

from harness.analysis.claims.arms import ArmResult, ComparisonSettlement, certainty
from harness.analysis.claims.member import contrast_member
from harness.analysis.contrasts import COUNTED, LOST, estimated, scale
from harness.analysis.results import Numbers
from harness.metrics import Metric, metric
from harness.study.arms import Combination, named_condition
from harness.study.claims.arms import MetricComparison
from harness.wording import at_condition, effect_phrase, effect_text, interval_text

MetricComparisonT = TypeVar("MetricComparisonT", bound=MetricComparison)


class MetricSettlement(ComparisonSettlement[MetricComparisonT]):
    """A claim on the ratio or the difference of a metric."""

    @property
    def figure(self) -> float | None:
        """The claimed effect, if the claim states one."""
        return None

    @cached_property
    def record(self) -> Metric:
        return metric(self.claim.metric or self.loaded.study.primary)

    @property
    def margin(self) -> float:
        return self.loaded.study.margin(self.record)

    @property
    def scaled_margin(self) -> float:
        """The margin on the scale of the values, which are logs if the metric is compared by ratios."""
        return scale(self.record, self.margin)

    def result(self, arm: Combination) -> ArmResult:
        record, condition = self.record, named_condition(self.loaded.conditions, self.claim.at)
        contrast = estimated(self.evidence.cells, record, (arm, self.other), condition)
        member, label = contrast_member(contrast, self.other.name), self.loaded.label(arm.name)
        interval = interval_text(contrast.low, contrast.high, record.compared_by)
        return ArmResult(
            member=member,
            label=label,
            effect=effect_text(contrast.effect, record.compared_by),
            interval=COUNTED if member.counted else interval,
            measured=f"{record.label} of {label}{at_condition(condition.names)} is "
            f"{effect_phrase(contrast.effect, record.compared_by)} {self.other_label}'s "
            f"({certainty(member, interval, record.paired_over)})",
            numbers=Numbers(
                effect=contrast.effect, low=contrast.low, high=contrast.high, claimed=self.figure
            ),
            lost=LOST if member.lost else "",
        )

    def alike(self, result: ArmResult) -> str:
        """How an arm is the same as the other."""
        if result.member.same(0.0) == 0.0:
            return "the values are identical"
        return f"the difference is within the margin of {self.margin:.2g}"
