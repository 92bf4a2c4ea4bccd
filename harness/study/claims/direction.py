"""The form `direction`: on which side of another arm a metric lies."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.study.claims.arms import MetricComparison


class DirectionClaim(MetricComparison):
    """`metric` of the arm is better, worse, higher or lower than the other arm's, by more than the margin."""

    needs_ratio: ClassVar[bool] = False
    needs_margin: ClassVar[bool] = True

    direction: Literal["better", "worse", "higher", "lower"]
    """In which direction the arm differs from the other arm, by more than the margin."""
