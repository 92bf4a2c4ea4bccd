"""Pure statistics: paired estimates with exact intervals, corrections, designs, trend and drift."""

from harness.statistics.corpus import SentenceStatistics, ratio_of_sums
from harness.statistics.design import (
    MINIMUM_ROUNDS,
    MOST_VOID,
    holm,
    holm_levels,
    largest_family,
    narrow_enough,
    rounds_needed,
    rounds_with_losses,
    rounds_with_voids,
    smallest_detectable,
)
from harness.statistics.order import Drift, Step, Trend, drift, time_to_target, trend
from harness.statistics.paired import (
    McNemar,
    PairedEstimate,
    Pairs,
    both_infinite,
    differences,
    log_ratios,
    mcnemar,
    paired_estimate,
    safe_exp,
    sign_flip_p,
    t_interval,
)
from harness.statistics.pareto import Pareto, pareto
from harness.statistics.rank_sums import smallest_reachable_p
from harness.statistics.replicates import FEWEST_MODELS, Replicates, replicates
from harness.statistics.scores import (
    FEWEST_SEEDS,
    FEWEST_TEXTS,
    Randomisation,
    ScoreDifference,
    approximate_randomisation,
    bootstrap_interval,
    compare_scores,
)
from harness.statistics.sensitivity import Ranking, Rival, most_sensitive, worst_rise
from harness.statistics.signed_rank import Interval, signed_rank_procedure

__all__ = [
    "FEWEST_MODELS",
    "FEWEST_SEEDS",
    "FEWEST_TEXTS",
    "MINIMUM_ROUNDS",
    "MOST_VOID",
    "Drift",
    "Interval",
    "McNemar",
    "PairedEstimate",
    "Pairs",
    "Pareto",
    "Randomisation",
    "Ranking",
    "Replicates",
    "Rival",
    "ScoreDifference",
    "SentenceStatistics",
    "Step",
    "Trend",
    "approximate_randomisation",
    "bootstrap_interval",
    "both_infinite",
    "compare_scores",
    "differences",
    "drift",
    "holm",
    "holm_levels",
    "largest_family",
    "log_ratios",
    "mcnemar",
    "most_sensitive",
    "narrow_enough",
    "paired_estimate",
    "pareto",
    "ratio_of_sums",
    "replicates",
    "rounds_needed",
    "rounds_with_losses",
    "rounds_with_voids",
    "safe_exp",
    "sign_flip_p",
    "signed_rank_procedure",
    "smallest_detectable",
    "smallest_reachable_p",
    "t_interval",
    "time_to_target",
    "trend",
    "worst_rise",
]
