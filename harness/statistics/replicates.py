"""Paired differences from one trained model or from several. Rounds of one model are replicates of each
other; rounds of several models are not, because each model may have an effect of its own.

One model: its pairs are the sample, and the result is about this model. Two to five models: each is a sample,
and a result must hold for each of them by its own rounds (an intersection-union test, Berger 1982), so the
largest p counts and the interval covers the intervals of all models. It is about these models. Six or more:
the means of the models are the sample, and the result is about models like these.

A pair whose value is `unknown`, because both sides are infinite, is a tie if only the direction counts.
Against any other bound it has the value that is least favourable. A pair that is lost (NaN) has the value
that is least favourable in every question.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from harness.statistics.paired import Pairs, as_values, t_interval
from harness.statistics.rank_sums import Floats
from harness.statistics.signed_rank import (
    Interval,
    hodges_lehmann,
    signed_rank_interval,
    signed_rank_p_above,
)

FEWEST_MODELS = 6
"""The fewest models whose means are a sample: below, the signed-rank test can never reject."""


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """Samples that must all agree. `tied` has 0 where a pair is unknown and NaN where it is lost; `lowest`
    has −∞ there, and `highest` +∞.
    """

    tied: tuple[Floats, ...]
    lowest: tuple[Floats, ...]
    highest: tuple[Floats, ...]

    @property
    def n(self) -> int:
        """The number of replicates in each sample."""
        return min(values.size for values in self.tied)

    @property
    def estimate(self) -> float:
        """The centre; of several samples, the centre of their centres."""
        return hodges_lehmann(np.array([hodges_lehmann(values) for values in self.tied]))

    def interval(self, level: float, *, ties: bool = False) -> Interval:
        """The interval that excludes a bound exactly where the p of that bound is at most 1 − level."""
        low, high = (self.tied, self.tied) if ties else (self.lowest, self.highest)
        lowest = [signed_rank_interval(values, level=level) for values in low]
        highest = lowest if high is low else [signed_rank_interval(values, level=level) for values in high]
        return Interval(min(one.low for one in lowest), max(one.high for one in highest), level)

    @property
    def t_interval(self) -> Interval:
        """Student's interval for the centre of the models, or of the pairs of one model. A diagnostic."""
        centres = self.tied[0] if len(self.tied) == 1 else [hodges_lehmann(v) for v in self.tied]
        return t_interval(dict(enumerate(map(float, centres))), level=0.95)

    @property
    def p(self) -> float:
        """Two-sided p of "no difference", where unknown pairs are ties."""
        return min(self.p_above(0.0, ties=True), self.p_below(0.0, ties=True))

    def p_above(self, bound: float, *, ties: bool = False) -> float:
        """Two-sided p of "the centre is `bound`" if the centre of every sample is above it, else 1."""
        return max(signed_rank_p_above(values - bound) for values in (self.tied if ties else self.lowest))

    def p_below(self, bound: float, *, ties: bool = False) -> float:
        return max(signed_rank_p_above(bound - values) for values in (self.tied if ties else self.highest))


def replicates(pairs: Pairs, *, models: int = 1, unknown: Collection[int] = ()) -> Replicates:
    """The samples in `pairs`, which maps the number of a pair, from 1, to its value. The rounds of several
    models are numbered in turn: 1, 2, 3 are round 1 of models 0, 1, 2.

    Raises ValueError if there are no pairs, if all are lost, or if models have different numbers of rounds.
    """
    as_values(pairs, allow_unknown=True)
    if len(pairs) % models:
        raise ValueError(f"{len(pairs)} pairs are not equally many rounds of {models} models")

    def samples(value_of_unknown: float, value_of_lost: float) -> tuple[Floats, ...]:
        by_model: dict[int, list[float]] = {}
        for number, value in sorted(pairs.items()):
            key = (number - 1) % models if models > 1 else 0
            known = value_of_lost if math.isnan(value) else value
            by_model.setdefault(key, []).append(value_of_unknown if number in unknown else known)
        groups = [np.array(values, dtype=np.float64) for values in by_model.values()]
        if len({group.size for group in groups}) > 1:
            raise ValueError("the models do not have equally many rounds")
        if models < FEWEST_MODELS:
            return tuple(groups)
        return (np.array([_mean(group, value_of_unknown) for group in groups]),)

    if not unknown and all(map(math.isfinite, pairs.values())):
        known = samples(0.0, math.nan)
        return Replicates(tied=known, lowest=known, highest=known)
    return Replicates(
        tied=samples(0.0, math.nan),
        lowest=samples(-math.inf, -math.inf),
        highest=samples(math.inf, math.inf),
    )


def _mean(values: Floats, otherwise: float) -> float:
    """The mean; of opposite infinities, which could be anything, `otherwise`. NaN if a pair is lost."""
    if np.isnan(values).any():
        return math.nan
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.mean(values))
    if math.isinf(mean) and np.isfinite(values).all():
        mean = float(np.sum(values / values.size))  # only the sum is too large for a float
    return otherwise if math.isnan(mean) else mean
