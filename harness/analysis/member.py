"""The values by which one arm is judged, and how far they lie beyond a bound: contrasts and claims both
decide by them.

Every answer is a two-sided exact p of the signed-rank test. It is at most α exactly where the interval of
level 1 − α lies on that side of the bound. As p-values, the answers for several arms can take Holm's
correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.analysis.results import Contrast
from harness.analysis.trial_table import IncomparableError
from harness.metrics import metric
from harness.statistics import FEWEST_MODELS, Interval, Replicates, replicates
from harness.wording import count

Values = tuple[tuple[int, float], ...]
"""(replicate, value) for each round or seed."""

COUNTED = "counted exactly"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One arm on one metric under one condition, against another arm unless `against` is empty.

    `pairs` holds log ratios, differences, slopes, or whatever the rule of the claim needs. `counted` marks a
    metric that repeats exactly, so that one value is all there is to know. `steps` holds the changes between
    the adjacent levels of a trend. `models` is the number of trained models whose rounds are in `pairs`
    (`harness.statistics.replicates`). `unknown` lists the replicates in which both sides are infinite: a tie
    for the direction, and anything for every other question. `p_sign_flip` is a diagnostic for pairs of
    seeds.
    """

    metric: str
    arm: str
    against: str
    condition: Mapping[str, str]
    pairs: Values
    counted: bool = False
    steps: tuple[Values, ...] = ()
    models: int = 1
    unknown: tuple[int, ...] = ()
    p_sign_flip: float | None = None

    @property
    def n(self) -> int:
        return len(self.pairs) if self.counted else self.samples.n

    @property
    def procedure(self) -> str:
        """How the member is tested, if not as its rule says."""
        return ""

    @cached_property
    def samples(self) -> Replicates:
        return replicates(dict(self.pairs), models=self.models, unknown=self.unknown)

    @property
    def centre(self) -> float:
        """The estimated effect, on the scale of the values."""
        return self.samples.estimate

    @property
    def lost(self) -> bool:
        """Whether both sides are infinite in every pair, so that the values show nothing."""
        return len(self.unknown) == len(self.pairs) > 0

    def interval(self, level: float, *, ties: bool = False) -> Interval:
        """The interval that agrees with the p of every bound. With `ties`, unknown pairs are ties, as they
        are for the direction.
        """
        if self.counted:
            return Interval(self.centre, self.centre, level)
        return self.samples.interval(level, ties=ties and not self.lost)

    def numbers(self, alpha: float) -> dict[str, float]:
        """n, the estimate, its intervals of the levels 1 − `alpha` and 1 − 2 `alpha`, and p."""
        interval, inner = self.interval(1 - alpha), self.interval(1 - 2 * alpha)
        t = interval if self.counted else self.samples.t_interval
        return {
            "n": self.n,
            "estimate": self.centre,
            "low": interval.low,
            "high": interval.high,
            "low90": inner.low,
            "high90": inner.high,
            "t_low": t.low,
            "t_high": t.high,
            "p": self.differs,
        }

    @property
    def differs(self) -> float:
        """Two-sided p of "no difference"."""
        return min(self.higher, self.lower)

    @property
    def higher(self) -> float:
        """Two-sided p of "no difference" if the centre is positive, else 1. Unknown pairs are ties."""
        return self._beyond(0.0, 1, ties=True)

    @property
    def lower(self) -> float:
        return self._beyond(0.0, -1, ties=True)

    def above(self, bound: float, *, closed: bool = False) -> float:
        """Two-sided p of "the centre is `bound`" if the centre is above it, else 1."""
        return self._beyond(bound, 1, closed=closed)

    def below(self, bound: float, *, closed: bool = False) -> float:
        return self._beyond(bound, -1, closed=closed)

    def _beyond(self, bound: float, side: int, *, closed: bool = False, ties: bool = False) -> float:
        if self.counted:
            value = side * (self.pairs[0][1] - bound)
            return 0.0 if value > 0 or (closed and value == 0) else 1.0
        beyond = self.samples.p_above if side > 0 else self.samples.p_below
        return beyond(bound, ties=ties)

    def inside(self, low: float, high: float) -> float:
        """p of two one-sided tests (Schuirmann 1987): at most 0.05 if the 90 % interval lies between the
        bounds.
        """
        return max(self.above(low), self.below(high)) / 2

    def outside(self, low: float, high: float) -> float:
        return min(self.below(low), self.above(high))

    def same(self, margin: float) -> float:
        """p of "identical, or within ± margin", on the scale of the pairs."""
        if self.identical:
            return 0.0
        return self.inside(-margin, margin) if margin > 0 else 1.0

    @property
    def identical(self) -> bool:
        """Whether no pair differs, and none is unknown."""
        return not self.unknown and all(value == 0.0 for _, value in self.pairs)


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

    @property
    def identical(self) -> bool:
        return not self.beyond

    def interval(self, level: float, *, ties: bool = False) -> Interval:  # noqa: ARG002  no text is infinite
        """The interval of the level at which the scores were compared: there is no other."""
        return Interval(self.low, self.high, level)

    def numbers(self, alpha: float) -> dict[str, float]:  # noqa: ARG002  scores have one level
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

    def _beyond(
        self,
        bound: float,
        side: int,
        *,
        closed: bool = False,
        ties: bool = False,  # noqa: ARG002  no text is infinite
    ) -> float:
        if self.open:
            return 1.0
        if self.identical:
            return 0.0 if side * (0.0 - bound) > 0 or (closed and bound == 0.0) else 1.0
        return dict(self.beyond)[bound] if side * (self.difference - bound) > 0 else 1.0


def replicates_text(n: int, noun: str, models: int = 1) -> str:
    """What an estimate rests on: `8 seeds`, `10 rounds of one model`, `10 rounds of each of 2 models`, or
    `6 models, by the means of their rounds`.
    """
    if noun != "round":
        return count(n, noun)
    if models == 1:
        return f"{count(n, noun)} of one model"
    if models < FEWEST_MODELS:
        return f"{count(n, noun)} of each of {models} models"
    return f"{count(n, 'model')}, by the means of their rounds"


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
        models=contrast.models,
        unknown=contrast.unknown,
        p_sign_flip=contrast.p_sign_flip,
    )


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio else -math.inf
