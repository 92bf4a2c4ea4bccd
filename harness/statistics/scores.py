"""Comparison of two arms by a corpus score: the difference, its p and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.statistics.bootstrap import FEWEST_SEEDS, percentiles, resampled_scores, tail_of
from harness.statistics.corpus import SentenceStatistics, check_comparable
from harness.statistics.paired import check_same_pairs
from harness.statistics.randomisation import RESAMPLES, approximate_randomisation
from harness.statistics.signed_rank import Floats, Interval


@dataclass(frozen=True, slots=True, eq=False)
class ScoreDifference:
    """arm − baseline, the two-sided p of "no difference", and the difference on each resample, sorted.

    `identical` means that no sentence of any seed differs. With two to five seeds nothing is bounded.
    """

    seeds: int
    sentences: int
    estimate: float
    p: float
    identical: bool
    draws: Floats

    def interval(self, level: float) -> Interval:
        """The percentile interval, widened if there are few seeds (see `tail_of`)."""
        if not self._bounded:
            return Interval(-math.inf, math.inf, level)
        return percentiles(self.draws, tail_of(level, self.seeds), level)

    def beyond(self, bound: float) -> float:
        """Two-sided p of "the difference is `bound`": at most α if the interval of level 1 − α excludes
        it.
        """
        if self.identical:
            return 1.0 if bound == 0.0 else 0.0
        if not self._bounded:
            return 1.0
        below = int(np.searchsorted(self.draws, bound, side="right"))
        above = len(self.draws) - int(np.searchsorted(self.draws, bound, side="left"))
        share = (1 + min(below, above)) / (1 + len(self.draws))
        return _two_sided(share, self.seeds)

    @property
    def _bounded(self) -> bool:
        return self.seeds == 1 or self.seeds >= FEWEST_SEEDS


def compare_scores(
    arm: Mapping[int, SentenceStatistics],
    baseline: Mapping[int, SentenceStatistics],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ScoreDifference:
    """Compare two arms, each given as training seed → statistics.

    With one seed, the result is about that checkpoint: p by paired approximate randomisation, bounds by the
    paired bootstrap over sentences (Koehn 2004). With several seeds, it is about the method: seeds and
    sentences are crossed, because every seed is scored on every sentence, so each resample draws both, with
    the two arms of a seed together (Owen 2007, "The pigeonhole bootstrap").

    Raises ValueError if signatures differ, a seed lacks an arm, or a score is not finite.
    """
    check_same_pairs(arm, baseline)
    if not arm:
        raise ValueError("there are no seeds to compare")
    systems = [*arm.values(), *(baseline[key] for key in arm)]
    check_comparable(systems)
    n = len(arm)
    per_seed = [arm[key].corpus_score - baseline[key].corpus_score for key in arm]
    identical = all(np.array_equal(arm[key].values, baseline[key].values) for key in arm)
    sides = [
        np.stack([resampled_scores(side[key], resamples, seed) for key in arm], axis=1)
        for side in (arm, baseline)
    ]
    differences = sides[0] - sides[1]  # (resamples, seeds)
    if n > 1:
        drawn = np.random.default_rng([seed, 1]).integers(n, size=differences.shape)
        differences = np.take_along_axis(differences, drawn, axis=1)
    compared = ScoreDifference(
        seeds=n,
        sentences=systems[0].sentences,
        estimate=sum(per_seed) / n,
        p=1.0,
        identical=identical,
        draws=np.sort(differences.mean(axis=1)),
    )
    if identical:
        return compared
    if n == 1:
        [key] = arm
        p = approximate_randomisation(arm[key], baseline[key], resamples=resamples, seed=seed).p
    else:
        p = compared.beyond(0.0)
    return ScoreDifference(n, compared.sentences, compared.estimate, p, identical=False, draws=compared.draws)


def _two_sided(share: float, seeds: int) -> float:
    """The p that belongs to a share of resamples in the tail; the inverse of `tail_of`."""
    if seeds == 1:
        return min(1.0, 2 * share)
    from scipy.special import ndtri, stdtr

    t = -float(ndtri(min(share, 0.5))) / math.sqrt(seeds / (seeds - 1))
    return min(1.0, 2 * float(stdtr(seeds - 1, -t)))
