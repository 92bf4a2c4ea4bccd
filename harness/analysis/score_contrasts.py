"""Contrasts of text scores: the difference of two corpus scores (the ratio of two perplexities) over the same
sentences (docs/validity.md, "Quality").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from harness.analysis.results import Contrast
from harness.analysis.rules import Member
from harness.analysis.trial_table import IncomparableError, TrialTable
from harness.metrics import Metric, metric
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


@dataclass(frozen=True, kw_only=True)
class ScoredMember(Member):
    """One arm against another by a text score: the `difference`, its intervals, and the two-sided p at each
    bound that a rule needs.

    All of these are logs if the metric is compared by ratios. `pairs` is empty: the resampled sentences are
    in the store.
    """

    procedure: ClassVar[str] = "paired approximate randomisation, bootstrap over sentences"
    sentences: int
    difference: float
    low: float
    high: float
    low90: float
    high90: float
    beyond: tuple[tuple[float, float], ...]

    @property
    def n(self) -> int:
        return self.sentences

    def numbers(self) -> dict[str, float]:
        p = dict(self.beyond).get(0.0, 1.0)
        return {
            "n": self.n,
            "estimate": self.difference,
            "low": self.low,
            "high": self.high,
            "low90": self.low90,
            "high90": self.high90,
            "p": p,
        }

    def same(self, margin: float) -> float:
        return self.inside(-margin, margin) if self.beyond and margin > 0 else float(bool(self.beyond))

    def _beyond(self, bound: float, sign: float, *, closed: bool) -> float:
        if not self.beyond:
            return 0.0 if sign * (0.0 - bound) > 0 or (closed and bound == 0.0) else 1.0
        return dict(self.beyond)[bound] if sign * (self.difference - bound) > 0 else 1.0


def scored_member(contrast: Contrast, other: str) -> ScoredMember:
    """The member that a rule is applied to, from the contrast of a text score."""
    from_effect = float if metric(contrast.metric).compared_by == "differences" else _log
    return ScoredMember(
        metric=contrast.metric,
        arm=contrast.arm,
        against=other,
        condition=contrast.condition,
        pairs=(),
        sentences=contrast.n,
        difference=from_effect(contrast.effect),
        low=from_effect(contrast.low),
        high=from_effect(contrast.high),
        low90=from_effect(contrast.low90),
        high90=from_effect(contrast.high90),
        beyond=contrast.beyond,
    )


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio else -math.inf
