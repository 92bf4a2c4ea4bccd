"""Contrasts of text scores: the difference of two corpus scores (the ratio of two perplexities) over the same
sentences (docs/validity.md, "Quality").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.results import Contrast
from harness.analysis.trial_table import IncomparableError, TrialTable
from harness.metrics import Metric
from harness.statistics import SentenceStatistics, compare_scores, safe_exp
from harness.statistics.signed_rank import Floats
from harness.study.arms import Combination


def score_contrast(
    table: TrialTable,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    empty: Contrast,
) -> Contrast:
    """`empty` filled with the difference or the ratio of the scores. `beyond` stays empty if no sentence
    differs.

    A ratio is estimated as a difference of logs, and the bounds of `beyond` are logs too. Raises
    IncomparableError if sentences are missing, signatures differ, or a score is not finite.
    """
    arm, other = (_on_scale(record, table.scores(record, side.name, condition)) for side in arms)
    to_effect = safe_exp if record.compared_by == "ratios" else float
    try:
        difference = compare_scores(arm, other)
    except ValueError as problem:
        raise IncomparableError(str(problem)) from None
    ci95, ci90 = difference.interval(0.95), difference.interval(0.90)
    margin = scale(record, empty.margin)
    bounds = () if difference.identical else (-margin, 0.0, margin)
    beyond = {bound: difference.p if bound == 0.0 else difference.beyond(bound) for bound in bounds}
    return replace(
        empty,
        n=difference.sentences,
        effect=to_effect(difference.estimate),
        low=to_effect(ci95.low),
        high=to_effect(ci95.high),
        low90=to_effect(ci90.low),
        high90=to_effect(ci90.high),
        p=difference.p,
        p_adjusted=difference.p,
        beyond=tuple(sorted(beyond.items())),
    )


def scale(record: Metric, margin: float) -> float:
    """A margin on the scale of a member's values: its logarithm for ratios, unchanged for differences."""
    return margin if record.compared_by == "differences" else math.log1p(margin)


def _on_scale(record: Metric, scores: Mapping[int, SentenceStatistics]) -> dict[int, SentenceStatistics]:
    if record.compared_by == "differences":
        return dict(scores)
    return {seed: replace(score, score=_Log(score=score.score)) for seed, score in scores.items()}


@dataclass(frozen=True, kw_only=True)
class _Log:
    """The logarithm of a score."""

    score: Callable[[Floats], Floats]

    def __call__(self, sums: Floats) -> Floats:
        logs: Floats = np.log(self.score(sums))
        return logs
