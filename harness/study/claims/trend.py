"""The form `trend`: the effect of an arm grows or falls with a condition."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.metrics import Metric
from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import Comparison, check_has_ratio
from harness.study.claims.base import check_numeric_condition
from harness.study.reading.yaml_document import KeyPath


class TrendClaim(Comparison):
    """The arm's ratio to the other arm grows (or falls) with log2 of the condition `over`, which has at least
    3 numeric levels.
    """

    needs_margin: ClassVar[bool] = True

    trend: Literal["increasing", "decreasing"]
    """Whether the ratio to the other arm grows or falls."""

    over: str
    """The condition with which the ratio changes. It needs at least three numeric levels."""

    metric: str | None = None
    """The metric that is compared. Default: the primary metric."""

    def check_condition(self, checker: StudyChecker, path: KeyPath) -> None:
        check_numeric_condition(self, checker, path, self.over, "a trend")

    def check_metric(self, checker: StudyChecker, path: KeyPath) -> Metric:
        record = checker.check_metric((*path, "metric"), self.metric or checker.study.primary)
        check_has_ratio(checker, path, record)
        return record
