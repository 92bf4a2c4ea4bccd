"""The form `at_most`: an upper bound on the ratio of a metric to another arm's."""

from __future__ import annotations

from pydantic import Field

from harness.study.claims.arms import MetricComparison


class AtMostClaim(MetricComparison):
    """`metric` of the arm is at most `at_most` times the other arm's."""

    at_most: float = Field(gt=0.0, allow_inf_nan=False)
    """The value of the arm is at most this many times the other arm's."""
