"""Pure statistics: paired estimates with exact intervals, corrections, the size of a design, trend and drift."""

from harness.statistics.bootstrap import Bootstrapped, bootstrap, bootstrap_over_seeds, paired_bootstrap
from harness.statistics.corpus import SentenceStatistics, ratio_of_sums
from harness.statistics.design import (
    MINIMUM_ROUNDS,
    holm,
    largest_family,
    rounds_needed,
    smallest_detectable,
)
from harness.statistics.divergence import McNemar, mcnemar
from harness.statistics.order import Drift, Step, Trend, drift, trend
from harness.statistics.paired import (
    PairedEstimate,
    Pairs,
    differences,
    equivalence_p,
    equivalent,
    log_ratios,
    paired_estimate,
    safe_exp,
    sign_flip_p,
    t_interval,
)
from harness.statistics.pareto import Pareto, pareto
from harness.statistics.randomisation import Randomisation, approximate_randomisation
from harness.statistics.scores import ScoreDifference, compare_scores
from harness.statistics.sensitivity import Ranking, Rival, most_sensitive, worst_rise
from harness.statistics.sequential import enough
from harness.statistics.signed_rank import Interval, conditional_p, smallest_reachable_p
from harness.statistics.steady import steady
from harness.statistics.target import time_to_target

__all__ = [
    "MINIMUM_ROUNDS",
    "Bootstrapped",
    "Drift",
    "Interval",
    "McNemar",
    "PairedEstimate",
    "Pairs",
    "Pareto",
    "Randomisation",
    "Ranking",
    "Rival",
    "ScoreDifference",
    "SentenceStatistics",
    "Step",
    "Trend",
    "approximate_randomisation",
    "bootstrap",
    "bootstrap_over_seeds",
    "compare_scores",
    "conditional_p",
    "differences",
    "drift",
    "enough",
    "equivalence_p",
    "equivalent",
    "holm",
    "largest_family",
    "log_ratios",
    "mcnemar",
    "most_sensitive",
    "paired_bootstrap",
    "paired_estimate",
    "pareto",
    "ratio_of_sums",
    "rounds_needed",
    "safe_exp",
    "sign_flip_p",
    "smallest_detectable",
    "smallest_reachable_p",
    "steady",
    "t_interval",
    "time_to_target",
    "trend",
    "worst_rise",
]
