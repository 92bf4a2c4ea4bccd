"""The form `ratio`: how many times as large a metric is as in another arm."""

from __future__ import annotations

import operator
from typing import Self

from pydantic import Field, model_validator

from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import MetricComparison
from harness.study.claims.base import MarkedRatio, check_reason
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import Reason

WIDEST_FACTOR = 2.0


class RatioClaim(MetricComparison):
    """`metric` of the arm is `ratio` times the other arm's, within a factor `within` (the figure comes from
    another machine).

    The region must lie on one side of 1, unless a ratio of 1 is claimed. A `within` above `WIDEST_FACTOR`
    needs a reason, `because`.
    """

    ratio: float = Field(gt=0.0, allow_inf_nan=False)
    """The value of the arm is this many times the other arm's."""

    within: float = Field(default=1.25, gt=1.0, allow_inf_nan=False)
    """The measured ratio may differ from the claimed one by this factor."""

    because: Reason | None = Field(default=None, exclude_if=operator.not_)
    """Why `within` is wider than usual."""

    @model_validator(mode="after")
    def _claims_a_difference(self) -> Self:
        low, high = self.region
        if self.ratio != 1.0 and low <= 1.0 <= high:
            largest = max(self.ratio, 1.0 / self.ratio)
            raise ValueError(
                f"the region {low:.3g} to {high:.3g} of the claimed {self.ratio:g} contains 1, so that no "
                f"difference would confirm the claim; use a `within` below {largest:.3g}"
            )
        return self

    @property
    def region(self) -> tuple[float, float]:
        return self.ratio / self.within, self.ratio * self.within

    @property
    def region_reason(self) -> str:
        return self.because or ""

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        if self.within > WIDEST_FACTOR:
            check_reason(checker, path, self.within, WIDEST_FACTOR, self.because)
        super().check(checker, path)

    def marked_ratio(self, primary: str) -> MarkedRatio | None:
        if self.against or (self.metric or primary) != primary:
            return None
        return MarkedRatio(self.ratio, *self.region, self.at)
