"""Corpus scores by resampling sentences: the interval of a score, and the comparison of two arms by the
difference, its p and its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.corpus import SentenceStatistics, check_comparable, drawn_counts
from harness.statistics.paired import check_same_pairs
from harness.statistics.signed_rank import Floats, Interval

FEWEST_SEEDS = 6
RESAMPLES = 10_000


def bootstrap_interval(
    system: SentenceStatistics, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The percentile interval of a corpus score over resampled sentences (Efron & Tibshirani 1993, §13.3)."""
    return percentiles(resampled_scores(system, resamples, seed), tail_of(level, 1), level)


def tail_of(level: float, seeds: int) -> float:
    """The share of resamples outside of the interval on each side.

    With few seeds a plain percentile interval is too short (it covers 0.86 instead of 0.95 with 5 seeds, if
    only seeds vary). So its quantiles are widened, as Student's quantiles are wider than normal ones
    (Hesterberg 2015, §3.3).
    """
    if seeds == 1:
        return (1 - level) / 2
    from scipy.special import ndtr, stdtrit  # takes half a second, which most commands do not need

    return float(ndtr(-math.sqrt(seeds / (seeds - 1)) * float(stdtrit(seeds - 1, (1 + level) / 2))))


def resampled_scores(system: SentenceStatistics, resamples: int, seed: int) -> Floats:
    """(resamples,): the corpus scores of one output. Equal seeds draw the same sentences, so outputs can be
    paired.
    """
    counts = _counts(system.sentences, resamples, seed)
    chunks = [counts[start : start + 1000] @ system.values for start in range(0, resamples, 1000)]
    return system.score(np.concatenate(chunks))


@lru_cache(maxsize=2)
def _counts(sentences: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """(resamples, sentences). Cached, because every score of every arm is resampled in the same way."""
    chunks = drawn_counts(sentences, resamples, np.random.default_rng(seed))
    return np.concatenate([chunk.astype(np.float32) for chunk in chunks])


def percentiles(values: Floats, tail: float, level: float) -> Interval:
    """The interval between two quantiles."""
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), level)


@dataclass(frozen=True, slots=True)
class Randomisation:
    """The difference arm − baseline of the corpus scores, its two-sided p, and whether all sentences are
    equal.
    """

    sentences: int
    difference: float
    p: float
    identical: bool


def approximate_randomisation(
    arm: SentenceStatistics, baseline: SentenceStatistics, *, resamples: int = RESAMPLES, seed: int = 0
) -> Randomisation:
    """Exchange the two outputs of each sentence by a fair coin, and count the differences that are at least
    as large as the observed one.

    Riezler & Maxwell 2005, §4; p = (1 + count) / (1 + resamples) is a valid test (Phipson & Smyth 2010).
    Equal differences count, so that identical outputs have p = 1; sacrebleu counts only larger ones. The
    result is about these two outputs, not about the methods that made them. Raises ValueError if signatures
    differ or a score is not finite.
    """
    check_comparable((arm, baseline))
    exchanged = arm.values - baseline.values
    total = arm.values.sum(axis=0) + baseline.values.sum(axis=0)
    difference = arm.corpus_score - baseline.corpus_score
    if not exchanged.any():
        return Randomisation(arm.sentences, 0.0, 1.0, identical=True)
    rounding = 1e-11 * (
        abs(arm.corpus_score) + abs(baseline.corpus_score)
    )  # differences that are equal except for rounding count as equal
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, resamples, 1000):
        rows = min(1000, resamples - start)
        heads = rng.integers(2, size=(rows, arm.sentences), dtype=np.int8).astype(np.float64)
        one = baseline.values.sum(axis=0) + heads @ exchanged  # (rows, k)
        differences = np.abs(arm.score(one) - arm.score(total - one))
        extreme += int(np.count_nonzero(differences >= abs(difference) - rounding))
    return Randomisation(arm.sentences, difference, (1 + extreme) / (1 + resamples), identical=False)


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
