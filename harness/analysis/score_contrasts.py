"""Scores of text: two arms by the differences of their corpus scores, of perplexities by their ratio, over
the same sentences (validity.md, third question).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from harness.analysis.results import Contrast
from harness.analysis.rules import Member
from harness.analysis.trial_table import Cells, IncomparableError
from harness.metrics import Metric, metric
from harness.statistics import SentenceStatistics, compare_scores, safe_exp
from harness.statistics.signed_rank import Floats
from harness.study.arms import Combination


def score_contrast(
    cells: Cells,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    empty: Contrast,
) -> Contrast:
    """`empty` with the difference of the scores, or their ratio. `beyond` is empty where no sentence differs.

    Ratios are differences of logs, on which the bounds of `beyond` are.

    Raises IncomparableError where sentences are lacking, signatures differ, or a score is not finite.
    """
    arm, other = (_on_scale(record, cells.scores(record, each.name, condition)) for each in arms)
    told = safe_exp if record.compared_by == "ratios" else float
    try:
        found = compare_scores(arm, other)
    except ValueError as problem:
        raise IncomparableError(str(problem)) from None
    ci95, ci90, margin = found.interval(0.95), found.interval(0.90), scale(record, empty.margin)
    bounds = () if found.identical else (-margin, 0.0, margin)
    beyond = {bound: found.p if bound == 0.0 else found.beyond(bound) for bound in bounds}
    return replace(
        empty,
        n=found.sentences,
        effect=told(found.estimate),
        low=told(ci95.low),
        high=told(ci95.high),
        low90=told(ci90.low),
        high90=told(ci90.high),
        p=found.p,
        p_adjusted=found.p,
        beyond=tuple(sorted(beyond.items())),
    )


def scale(record: Metric, margin: float) -> float:
    """A margin on the scale of a member's values: of ratios their logs, of differences itself."""
    return margin if record.compared_by == "differences" else math.log1p(margin)


def _on_scale(record: Metric, scores: Mapping[int, SentenceStatistics]) -> dict[int, SentenceStatistics]:
    if record.compared_by == "differences":
        return dict(scores)
    return {seed: replace(each, score=_Log(score=each.score)) for seed, each in scores.items()}


@dataclass(frozen=True, kw_only=True)
class _Log:
    """The log of a score."""

    score: Callable[[Floats], Floats]

    def __call__(self, sums: Floats) -> Floats:
        logs: Floats = np.log(self.score(sums))
        return logs


@dataclass(frozen=True, kw_only=True)
class ScoredMember(Member):
    """One arm against another by a score: `difference`, its intervals, and the two-sided p of each bound that
    matters.

    Of what is compared by ratios these are logs.

    What was resampled is not kept beside it: it lies in the store, with the `sentences`. `pairs` are none.
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


def scored_member(found: Contrast, other: str) -> ScoredMember:
    """The contrast of a score as what a rule is applied to."""
    read = float if metric(found.metric).compared_by == "differences" else _log
    return ScoredMember(
        metric=found.metric,
        arm=found.arm,
        against=other,
        condition=found.condition,
        pairs=(),
        sentences=found.n,
        difference=read(found.effect),
        low=read(found.low),
        high=read(found.high),
        low90=read(found.low90),
        high90=read(found.high90),
        beyond=found.beyond,
    )


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio else -math.inf
