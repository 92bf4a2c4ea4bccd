"""Intervals of corpus scores by resampling sentences, and seeds where a method is meant and not one checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
    interval = _percentiles(scores, (1 - level) / 2, level)
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
    interval = _percentiles(scores[:, 0] - scores[:, 1], (1 - level) / 2, level)
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

    Seeds and sentences are crossed, every seed being scored on every sentence, so each resample draws both, the two arms
    of a seed together (Owen 2007, "The pigeonhole bootstrap"). Few seeds make a plain percentile interval too short (0.86
    for 5 seeds where seeds are all that varies), so its quantiles are widened as Student's are to normal ones
    (Hesterberg 2015, §3.3). Unbounded below 6 seeds. Raises ValueError where a seed lacks an arm or signatures differ.
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
    from scipy.special import ndtr, stdtrit  # half a second that most commands need not pay

    rng = np.random.default_rng(seed)
    scores = _resampled(systems, resamples, rng)
    differences = scores[:, :n] - scores[:, n:]  # (resamples, seeds)
    drawn = rng.integers(n, size=(resamples, n))
    means = np.take_along_axis(differences, drawn, axis=1).mean(axis=1)
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, (1 + level) / 2))))
    return Bootstrapped(n, sentences, estimate, _percentiles(means, tail, level))


def _resampled(systems: Sequence[SentenceStatistics], resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, systems): the corpus scores of all on the same resampled sentences."""
    k = systems[0].values.shape[1]
    side_by_side = np.concatenate([system.values for system in systems], axis=1)  # (sentences, systems · k)
    chunks = []
    for counts in drawn_counts(systems[0].sentences, resamples, rng):
        sums = (counts @ side_by_side).reshape(-1, len(systems), k)
        chunks.append(systems[0].score(sums))
    return np.concatenate(chunks)


def _percentiles(values: Floats, tail: float, level: float) -> Interval:
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), level)
