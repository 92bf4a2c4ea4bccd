"""The form `exponent`: a metric of an arm grows like a power of a condition."""

from __future__ import annotations

import operator
from typing import Self

from pydantic import Field, model_validator

from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import ArmsClaim
from harness.study.claims.base import check_numeric_condition, check_reason
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import Reason

WIDEST = 1.0


class ExponentClaim(ArmsClaim):
    """`metric` of the arm itself grows like `over` to the power of `exponent`, within ± `within`. The
    condition `over` has at least 3 numeric levels.

    The region must not contain 0, unless an exponent of 0 is claimed. A `within` above `WIDEST`, a factor of
    2 per doubling, needs a reason, `because`.
    """

    exponent: float = Field(allow_inf_nan=False)
    """The value grows like the condition to the power of this number."""

    over: str
    """The condition with which the value grows. It needs at least three numeric levels."""

    within: float = Field(gt=0.0, allow_inf_nan=False)
    """How far the measured exponent may be from the claimed one."""

    because: Reason | None = Field(default=None, exclude_if=operator.not_)
    """Why `within` is wider than usual."""

    metric: str | None = None
    """The metric that grows. Default: the primary metric."""

    @model_validator(mode="after")
    def _claims_a_change(self) -> Self:
        if self.exponent != 0.0 and self.within >= abs(self.exponent):
            raise ValueError(
                f"the region {self.region[0]:.3g} to {self.region[1]:.3g} of the claimed exponent "
                f"{self.exponent:g} contains 0, so that no change would confirm the claim; "
                f"use a `within` below {abs(self.exponent):g}"
            )
        return self

    @property
    def region(self) -> tuple[float, float]:
        return self.exponent - self.within, self.exponent + self.within

    @property
    def region_reason(self) -> str:
        return self.because or ""

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        name = path[-1]
        if self.within > WIDEST:
            check_reason(checker, path, self.within, WIDEST, self.because)
        self.check_arms(checker, path)
        check_numeric_condition(self, checker, path, self.over, "an exponent")
        record = checker.check_metric((*path, "metric"), self.metric or checker.study.primary, directed=False)
        if record.compared_by != "ratios" or record.paired_over == "sentences":
            checker.fail(
                (*path, "metric"),
                f"{name}: an exponent needs a metric that is always positive and has one value per round or "
                f"seed, and {record.name} is not one",
                value=True,
            )
        if not record.exact and self.is_decided_by(checker):
            checker.check_pairs(record.paired_over, self.family_size, str(name))
