"""Intervals of corpus scores by resampling sentences, and seeds where a method is meant and not one
checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.corpus import SentenceStatistics, check_comparable, drawn_counts
from harness.statistics.paired import check_same_pairs
from harness.statistics.randomisation import RESAMPLES
from harness.statistics.signed_rank import Floats, Interval

FEWEST_SEEDS = 6


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """A corpus score, or a difference of two, with the percentile interval over resamples."""

    seeds: int
    sentences: int
    estimate: float
    interval: Interval


def bootstrap(
    system: SentenceStatistics, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Bootstrapped:
    """The score of one output, over resampled sentences (Efron & Tibshirani 1993, §13.3)."""
    scores = _resampled([system], resamples, np.random.default_rng(seed))[:, 0]
    interval = percentiles(scores, tail_of(level, 1), level)
    return Bootstrapped(1, system.sentences, system.corpus_score, interval)


def paired_bootstrap(
    arm: SentenceStatistics,
    baseline: SentenceStatistics,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrapped:
    """arm − baseline of one checkpoint, both scored on the same resampled sentences (Koehn 2004).

    Raises ValueError where signatures differ or a score is not finite.
    """
    check_comparable((arm, baseline))
    scores = _resampled([arm, baseline], resamples, np.random.default_rng(seed))
    interval = percentiles(scores[:, 0] - scores[:, 1], tail_of(level, 1), level)
    return Bootstrapped(1, arm.sentences, arm.corpus_score - baseline.corpus_score, interval)


def bootstrap_over_seeds(
    arm: Mapping[int, SentenceStatistics],
    baseline: Mapping[int, SentenceStatistics],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrapped:
    """arm − baseline of two methods: the mean over training seeds of the difference in corpus score.

    Seeds and sentences are crossed, every seed being scored on every sentence, so each resample draws both,
    the two arms of a seed together (Owen 2007, "The pigeonhole bootstrap"). Few seeds make a plain percentile
    interval too short (0.86 for 5 seeds where seeds are all that varies), so its quantiles are widened as
    Student's are to normal ones (Hesterberg 2015, §3.3). Unbounded below 6 seeds. Raises ValueError where a
    seed lacks an arm or signatures differ.
    """
    check_same_pairs(arm, baseline)
    if not arm:
        raise ValueError("no seeds to compare")
    systems = [*arm.values(), *(baseline[key] for key in arm)]
    check_comparable(systems)
    n, sentences = len(arm), systems[0].sentences
    estimate = sum(arm[key].corpus_score - baseline[key].corpus_score for key in arm) / n
    if n < FEWEST_SEEDS:
        return Bootstrapped(n, sentences, estimate, Interval(-math.inf, math.inf, level))
    rng = np.random.default_rng(seed)
    scores = _resampled(systems, resamples, rng)
    differences = scores[:, :n] - scores[:, n:]  # (resamples, seeds)
    drawn = rng.integers(n, size=(resamples, n))
    means = np.take_along_axis(differences, drawn, axis=1).mean(axis=1)
    return Bootstrapped(n, sentences, estimate, percentiles(means, tail_of(level, n), level))


def tail_of(level: float, seeds: int) -> float:
    """The share of resamples to leave on each side: of few seeds less, as Student's quantiles are to normal
    ones.
    """
    if seeds == 1:
        return (1 - level) / 2
    from scipy.special import ndtr, stdtrit  # half a second that most commands need not pay

    return float(ndtr(-math.sqrt(seeds / (seeds - 1)) * float(stdtrit(seeds - 1, (1 + level) / 2))))


def resampled_scores(system: SentenceStatistics, resamples: int, seed: int) -> Floats:
    """(resamples,): the corpus scores of one output.

    Equal seeds draw the same sentences, so that outputs can be paired.
    """
    counts = _counts(system.sentences, resamples, seed)
    chunks = [counts[start : start + 1000] @ system.values for start in range(0, resamples, 1000)]
    return system.score(np.concatenate(chunks))


@lru_cache(maxsize=2)
def _counts(sentences: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """(resamples, sentences): kept, since every score of every arm is resampled alike."""
    chunks = drawn_counts(sentences, resamples, np.random.default_rng(seed))
    return np.concatenate([chunk.astype(np.float32) for chunk in chunks])


def _resampled(systems: Sequence[SentenceStatistics], resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, systems): the corpus scores of all on the same resampled sentences."""
    k = systems[0].values.shape[1]
    side_by_side = np.concatenate([system.values for system in systems], axis=1)  # (sentences, systems · k)
    chunks = []
    for counts in drawn_counts(systems[0].sentences, resamples, rng):
        sums = (counts @ side_by_side).reshape(-1, len(systems), k)
        chunks.append(systems[0].score(sums))
    return np.concatenate(chunks)


def percentiles(values: Floats, tail: float, level: float) -> Interval:
    """The interval between two quantiles."""
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), level)
