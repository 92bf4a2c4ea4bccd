"""The form `no_difference`: a metric is the same in two arms."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.study.claims.arms import MetricComparison


class NoDifferenceClaim(MetricComparison):
    """`metric` of the arm equals the other arm's, within the margin that the study declares for it."""

    needs_ratio: ClassVar[bool] = False
    needs_margin: ClassVar[bool] = True

    no_difference: Literal[True]
    """States that the arm equals the other arm within the margin of the metric."""
