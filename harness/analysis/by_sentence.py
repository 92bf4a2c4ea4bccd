"""Scores of text: two arms by the differences of their corpus scores over the same sentences (validity.md, third question)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from harness.analysis.cells import Cells, IncomparableError
from harness.analysis.results import Contrast
from harness.analysis.rules import Member
from harness.metrics import Metric
from harness.statistics import compare_scores
from harness.study.arms import Combination


def score_contrast(
    cells: Cells,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    empty: Contrast,
) -> Contrast:
    """`empty` with the difference of the scores. `beyond` is empty where no sentence differs.

    Raises IncomparableError where sentences are lacking, signatures differ, or a score is not finite.
    """
    arm, other = (cells.scores(record, each.name, condition) for each in arms)
    try:
        found = compare_scores(arm, other)
    except ValueError as problem:
        raise IncomparableError(str(problem)) from None
    ci95, ci90, margin = found.interval(0.95), found.interval(0.90), empty.margin
    bounds = () if found.identical else (-margin, 0.0, margin)
    beyond = {bound: found.p if bound == 0.0 else found.beyond(bound) for bound in bounds}
    return replace(
        empty, n=found.sentences, effect=found.estimate, low=ci95.low, high=ci95.high, low90=ci90.low, high90=ci90.high,
        p=found.p, p_adjusted=found.p, beyond=tuple(sorted(beyond.items())),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoredMember(Member):
    """One arm against another by a score: `difference`, its intervals, and the two-sided p of each bound that matters.

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
            "n": self.n, "estimate": self.difference, "low": self.low, "high": self.high, "low90": self.low90,
            "high90": self.high90, "p": p,
        }  # fmt: skip

    def same(self, margin: float) -> float:
        return self.inside(-margin, margin) if self.beyond and margin > 0 else float(bool(self.beyond))

    def _beyond(self, bound: float, sign: float, *, closed: bool) -> float:
        if not self.beyond:
            return 0.0 if sign * (0.0 - bound) > 0 or (closed and bound == 0.0) else 1.0
        return dict(self.beyond)[bound] if sign * (self.difference - bound) > 0 else 1.0


def scored_member(found: Contrast, other: str) -> ScoredMember:
    """The contrast of a score as what a rule is applied to."""
    return ScoredMember(
        metric=found.metric, arm=found.arm, against=other, condition=found.condition, pairs=(), sentences=found.n,
        difference=found.effect, low=found.low, high=found.high, low90=found.low90, high90=found.high90, beyond=found.beyond,
    )  # fmt: skip
