"""Intervals of corpus scores by resampling sentences."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.corpus import SentenceStatistics, drawn_counts
from harness.statistics.randomisation import RESAMPLES
from harness.statistics.signed_rank import Floats, Interval

FEWEST_SEEDS = 6


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
