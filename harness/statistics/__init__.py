"""Pure statistics: paired estimates with exact intervals, corrections, the size of a design, trend and drift."""

from harness.statistics.design import (
    MINIMUM_ROUNDS,
    holm,
    largest_family,
    rounds_needed,
    smallest_detectable,
)
from harness.statistics.order import Drift, Step, Trend, drift, trend
from harness.statistics.paired import (
    PairedEstimate,
    Pairs,
    differences,
    equivalent,
    log_ratios,
    paired_estimate,
    sign_flip_p,
    t_interval,
)
from harness.statistics.sequential import enough
from harness.statistics.signed_rank import Interval, conditional_p, smallest_reachable_p

__all__ = [
    "MINIMUM_ROUNDS",
    "Drift",
    "Interval",
    "PairedEstimate",
    "Pairs",
    "Step",
    "Trend",
    "conditional_p",
    "differences",
    "drift",
    "enough",
    "equivalent",
    "holm",
    "largest_family",
    "log_ratios",
    "paired_estimate",
    "rounds_needed",
    "sign_flip_p",
    "smallest_detectable",
    "smallest_reachable_p",
    "t_interval",
    "trend",
]
