"""The form `at_least`: a lower bound on the ratio of a metric to another arm's."""

from __future__ import annotations

from pydantic import Field

from harness.study.claims.arms import MetricComparison


class AtLeastClaim(MetricComparison):
    """`metric` of the arm is at least `at_least` times the other arm's."""

    at_least: float = Field(gt=0.0, allow_inf_nan=False)
    """The value of the arm is at least this many times the other arm's."""
