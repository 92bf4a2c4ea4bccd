"""The values by which a claim judges one arm, and how far they lie beyond a bound.

Every answer is a two-sided exact p of the signed-rank test. It is at most α exactly where the interval of
level 1 − α lies on that side of the bound. As p-values, the answers for several arms can take Holm's
correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.analysis.contrasts import COUNTED, LOST
from harness.analysis.results import Contrast
from harness.analysis.trial_table import IncomparableError
from harness.metrics import metric
from harness.statistics import PairedEstimate, paired_estimate

Values = tuple[tuple[int, float], ...]
"""(replicate, value) for each round or seed."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One arm on one metric under one condition, against another arm unless `against` is empty.

    `pairs` holds log ratios, differences, slopes, or whatever the rule of the claim needs. `counted` marks a
    metric that repeats exactly, so that one value is all there is to know. `steps` holds the changes between
    the adjacent levels of a trend. `lost` means that both sides are infinite in every pair: such ties show
    nothing about either arm. `p_sign_flip` is a diagnostic for pairs of seeds.
    """

    metric: str
    arm: str
    against: str
    condition: Mapping[str, str]
    pairs: Values
    counted: bool = False
    steps: tuple[Values, ...] = ()
    lost: bool = False
    p_sign_flip: float | None = None

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def procedure(self) -> str:
        """How the member is tested, if not as its rule says."""
        return ""

    @property
    def estimate(self) -> PairedEstimate:
        return paired_estimate(dict(enumerate(value for _, value in self.pairs)))

    @property
    def centre(self) -> float:
        """The estimated effect, on the scale of the values."""
        return self.estimate.estimate

    def numbers(self) -> dict[str, float]:
        """n, the estimate, its intervals and p, as the store keeps them."""
        estimate = self.estimate
        numbers = {
            "n": estimate.n,
            "estimate": estimate.estimate,
            "low": estimate.ci95.low,
            "high": estimate.ci95.high,
            "low90": estimate.ci90.low,
            "high90": estimate.ci90.high,
            "t_low": estimate.t95.low,
            "t_high": estimate.t95.high,
            "p": estimate.p,
        }
        if self.counted:  # a value that repeats exactly has no interval
            ends = ("low", "high", "low90", "high90", "t_low", "t_high")
            numbers |= dict.fromkeys(ends, estimate.estimate)
            numbers["p"] = 0.0 if estimate.estimate else 1.0
        return numbers

    def above(self, bound: float, *, closed: bool = False) -> float:
        """Two-sided p of "the centre is `bound`" if the centre is above it, else 1."""
        return self._beyond(bound, 1.0, closed=closed)

    def below(self, bound: float, *, closed: bool = False) -> float:
        return self._beyond(bound, -1.0, closed=closed)

    def _beyond(self, bound: float, sign: float, *, closed: bool) -> float:
        if self.lost:
            return 1.0
        if self.counted:
            value = sign * (self.pairs[0][1] - bound)
            return 0.0 if value > 0 or (closed and value == 0) else 1.0
        return p_positive([sign * (value - bound) for _, value in self.pairs])

    def inside(self, low: float, high: float) -> float:
        """p of two one-sided tests (Schuirmann 1987): at most 0.05 if the 90 % interval lies between the
        bounds.
        """
        return max(self.above(low), self.below(high)) / 2

    def outside(self, low: float, high: float) -> float:
        return min(self.below(low), self.above(high))

    def same(self, margin: float) -> float:
        """p of "identical, or within ± margin", on the scale of the pairs."""
        if all(value == 0.0 for _, value in self.pairs):
            return 1.0 if self.lost else 0.0
        return self.inside(-margin, margin) if margin > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class ScoredMember(Member):
    """One arm against another by a score of text: the `difference`, its intervals, and the two-sided p of
    each bound that matters. For a metric that is compared by ratios these are logs.

    `sentences` counts distinct texts. `open` says why they decide nothing, whatever the numbers are. The
    sentences are in the store, so `pairs` is empty.
    """

    sentences: int
    seeds: int = 1
    open: str = ""
    difference: float
    low: float
    high: float
    low90: float
    high90: float
    beyond: tuple[tuple[float, float], ...]

    @property
    def n(self) -> int:
        return self.sentences

    @property
    def centre(self) -> float:
        return self.difference

    @property
    def procedure(self) -> str:
        if self.seeds == 1:
            return "bootstrap over distinct texts, paired approximate randomisation"
        return "components of variance between seeds and between distinct texts"

    def numbers(self) -> dict[str, float]:
        return {
            "n": self.n,
            "estimate": self.difference,
            "low": self.low,
            "high": self.high,
            "low90": self.low90,
            "high90": self.high90,
            "p": dict(self.beyond).get(0.0, 1.0),
        }

    def same(self, margin: float) -> float:
        if self.open:
            return 1.0
        return self.inside(-margin, margin) if self.beyond and margin > 0 else float(bool(self.beyond))

    def _beyond(self, bound: float, sign: float, *, closed: bool) -> float:
        if self.open:
            return 1.0
        if not self.beyond:
            return 0.0 if sign * (0.0 - bound) > 0 or (closed and bound == 0.0) else 1.0
        return dict(self.beyond)[bound] if sign * (self.difference - bound) > 0 else 1.0


def p_positive(values: list[float]) -> float:
    """Two-sided p of "the centre is 0" if the centre of the values is positive, else 1."""
    estimate = paired_estimate(dict(enumerate(values)))
    return estimate.p if estimate.estimate > 0 else 1.0


def contrast_member(contrast: Contrast, other: str) -> Member:
    """The contrast with the arm `other` as a rule needs it. Raises IncomparableError if it is invalid."""
    if contrast.verdict == "invalid":
        raise IncomparableError(contrast.reason)
    record = metric(contrast.metric)
    if record.paired_over == "sentences":
        scaled = float if record.compared_by == "differences" else _log
        return ScoredMember(
            metric=contrast.metric,
            arm=contrast.arm,
            against=other,
            condition=contrast.condition,
            pairs=(),
            sentences=contrast.n,
            seeds=contrast.seeds,
            open=contrast.open,
            difference=scaled(contrast.effect),
            low=scaled(contrast.low),
            high=scaled(contrast.high),
            low90=scaled(contrast.low90),
            high90=scaled(contrast.high90),
            beyond=contrast.beyond,
        )
    counted, pairs = contrast.reason == COUNTED, contrast.pairs
    if counted:
        pairs = tuple((number, _log(contrast.effect)) for number in range(1, contrast.n + 1))
    return Member(
        metric=contrast.metric,
        arm=contrast.arm,
        against=other,
        condition=contrast.condition,
        pairs=pairs,
        counted=counted,
        lost=contrast.reason == LOST,
        p_sign_flip=contrast.p_sign_flip,
    )


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio else -math.inf
