"""Corpus scores: the interval of a score, and the comparison of two arms by the difference, its p and its
interval.

The unit is the distinct text, not the sentence: the same text written ten times is one observation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.components import MeanOfTable, mean_of_table
from harness.statistics.corpus import SentenceStatistics, check_comparable, drawn_counts, rows_at_once
from harness.statistics.paired import check_same_pairs
from harness.statistics.rank_sums import Floats, smallest_reachable_p
from harness.statistics.signed_rank import Interval

FEWEST_SEEDS = 6
FEWEST_TEXTS = 30
"""With fewer distinct texts, nothing is bounded. They count as fewer if some are repeated more often."""

RESAMPLES = 10_000

MOST_CACHED = 10**8
"""The most bytes of drawn counts that are kept for the next score. More are drawn again."""


def bootstrap_interval(
    system: SentenceStatistics, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The percentile interval of a corpus score over resampled texts (Efron & Tibshirani 1993, §13.3)."""
    merged = system.by_text()
    draws = np.sort(resampled_scores(merged, resamples, seed))
    return _Percentiles(draws, merged.sentences).interval(level)


def resampled_scores(system: SentenceStatistics, resamples: int, seed: int) -> Floats:
    """(resamples,): the corpus scores of one output. Equal seeds draw the same texts, so outputs can be
    paired.
    """
    sums = [counts @ system.values for counts in _counts(system.sentences, resamples, seed)]
    return system.score(np.concatenate(sums))


def _counts(sentences: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each sentence is drawn, in chunks (≤ 1000, sentences) with `resamples` rows in all."""
    if sentences * resamples > MOST_CACHED:
        yield from drawn_counts(sentences, resamples, np.random.default_rng(seed))
        return
    counts, at_once = _cached_counts(sentences, resamples, seed), rows_at_once(1000, sentences)
    for start in range(0, resamples, at_once):
        yield counts[start : start + at_once].astype(np.float64)


@lru_cache(maxsize=2)
def _cached_counts(sentences: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """(resamples, sentences). Cached, because every score of every arm is resampled in the same way.

    Nothing is drawn 256 times: the probability is below 1e-500.
    """
    counts, start = np.empty((resamples, sentences), dtype=np.uint8), 0
    for chunk in drawn_counts(sentences, resamples, np.random.default_rng(seed)):
        counts[start : start + len(chunk)] = chunk
        start += len(chunk)
    return counts


@dataclass(frozen=True, slots=True, eq=False)
class _Percentiles:
    """The sorted `draws` of a bootstrap over n observations.

    With few observations a plain percentile interval is too short. So its quantiles are widened, as Student's
    quantiles are wider than normal ones (Hesterberg 2015, §3.3). `beyond` is at most α exactly if the
    interval of level 1 − α excludes the bound.
    """

    draws: Floats
    n: int

    def interval(self, level: float) -> Interval:
        from scipy.special import ndtr, stdtrit  # takes half a second, which most commands do not need

        if self.n < 2:
            return Interval(-math.inf, math.inf, level)
        outside = round(1 - level, 12)
        tail = float(ndtr(float(stdtrit(self.n - 1, outside / 2)) * math.sqrt(self.n / (self.n - 1))))
        beyond = math.floor(tail * (1 + len(self.draws)) + 1e-9) - 1
        if beyond < 0:
            return Interval(-math.inf, math.inf, level)
        return Interval(float(self.draws[beyond]), float(self.draws[-1 - beyond]), level)

    def beyond(self, bound: float) -> float:
        from scipy.special import ndtri, stdtr

        if self.n < 2:
            return 1.0
        below = int(np.searchsorted(self.draws, bound, side="right"))
        above = len(self.draws) - int(np.searchsorted(self.draws, bound, side="left"))
        share = (1 + min(below, above)) / (1 + len(self.draws))
        t = float(ndtri(min(share, 0.5))) / math.sqrt(self.n / (self.n - 1))
        return min(1.0, 2 * float(stdtr(self.n - 1, t)))


@dataclass(frozen=True, slots=True)
class Randomisation:
    """The difference arm − baseline of the corpus scores, its two-sided p, and whether all texts are scored
    equally.
    """

    texts: int
    difference: float
    p: float
    identical: bool


def approximate_randomisation(
    arm: SentenceStatistics, baseline: SentenceStatistics, *, resamples: int = RESAMPLES, seed: int = 0
) -> Randomisation:
    """Exchange the two outputs of each distinct text by a fair coin, and count the differences that are at
    least as large as the observed one.

    Riezler & Maxwell 2005, §4; p = (1 + count) / (1 + resamples) is a valid test (Phipson & Smyth 2010).
    Equal differences count, so that identical outputs have p = 1; sacrebleu counts only larger ones. The
    result is about these two outputs, not about the methods that made them. Raises ValueError if signatures
    or texts differ or a score is not finite.
    """
    arm, baseline = arm.by_text(), baseline.by_text()
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
    at_once = rows_at_once(1000, arm.sentences)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        heads = rng.integers(2, size=(rows, arm.sentences), dtype=np.int8).astype(np.float64)
        one = baseline.values.sum(axis=0) + heads @ exchanged  # (rows, k)
        differences = np.abs(arm.score(one) - arm.score(total - one))
        extreme += int(np.count_nonzero(differences >= abs(difference) - rounding))
    return Randomisation(arm.sentences, difference, (1 + extreme) / (1 + resamples), identical=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoreDifference(ABC):
    """arm − baseline over a number of seeds and of distinct texts.

    `effective_texts` is the number of texts that would count as much if none were repeated more than others.
    `least_p` is a p of "no difference" that holds whatever the interval is; see `beyond`. `identical` means
    that no text of any seed is scored differently.
    """

    seeds: int
    texts: int
    effective_texts: float
    estimate: float
    least_p: float
    identical: bool

    @property
    def p(self) -> float:
        """Two-sided p of "no difference"."""
        return self.beyond(0.0)

    @property
    def bounded(self) -> bool:
        """Whether there are enough texts, and one seed or enough of them, to bound the difference. Identical
        outputs need the texts only.
        """
        enough = self.identical or self.seeds == 1 or self.seeds >= FEWEST_SEEDS
        return enough and self.effective_texts >= FEWEST_TEXTS

    def interval(self, level: float) -> Interval:
        """The closed interval of all bounds whose `beyond` is more than 1 − level."""
        if not self.bounded:
            return Interval(-math.inf, math.inf, level)
        ends = self._interval(level)
        if self.identical or self.least_p <= round(1 - level, 12):
            return ends
        return Interval(min(ends.low, 0.0), max(ends.high, 0.0), level)

    def beyond(self, bound: float) -> float:
        """Two-sided p of "the difference is `bound`": at most α exactly if the interval of level 1 − α
        excludes it.

        A bound between zero and the estimate is at least as probable as zero, so its p is at least `least_p`.
        """
        if not self.bounded:
            return 1.0
        if self.identical:
            return 1.0 if bound == 0.0 else 0.0
        p = self._beyond(bound)
        towards = bound if self.estimate >= 0 else -bound
        return max(p, self.least_p) if 0 <= towards <= abs(self.estimate) else p

    @abstractmethod
    def _interval(self, level: float) -> Interval: ...

    @abstractmethod
    def _beyond(self, bound: float) -> float: ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CheckpointDifference(ScoreDifference):
    """Of one checkpoint on each side: the bootstrap bounds it, and randomisation must agree that it is not
    zero.
    """

    draws: Floats

    def _interval(self, level: float) -> Interval:
        return _Percentiles(self.draws, self.texts).interval(level)

    def _beyond(self, bound: float) -> float:
        return _Percentiles(self.draws, self.texts).beyond(bound)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MethodDifference(ScoreDifference):
    """Of several checkpoints on each side, one per seed."""

    mean: MeanOfTable = field(repr=False)

    def _interval(self, level: float) -> Interval:
        return self.mean.interval(level)

    def _beyond(self, bound: float) -> float:
        return self.mean.beyond(bound)


def compare_scores(
    arm: Mapping[int, SentenceStatistics],
    baseline: Mapping[int, SentenceStatistics],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ScoreDifference:
    """Compare two arms, each given as training seed → statistics.

    With one seed, the result is about that checkpoint: bounds by the paired bootstrap over distinct texts
    (Koehn 2004), which excludes zero only if the paired approximate randomisation does. The bootstrap alone
    rejects a true null too often where few texts differ: 4 of 200 that point the same way by chance, which
    they do in one study of eight, would be enough.

    With several seeds, it is about the method. Seeds and texts are crossed, because every seed is scored on
    every text, so the components of variance give the error (`mean_of_table`), from the jackknife's
    pseudo-values of each seed's score over its texts.

    Raises ValueError if signatures or texts differ, a seed lacks an arm, or a score is not finite.
    """
    check_same_pairs(arm, baseline)
    if not arm:
        raise ValueError("there are no seeds to compare")
    sides = [{key: side[key].by_text() for key in arm} for side in (arm, baseline)]
    first, second = sides
    check_comparable([*first.values(), *second.values()])
    seeds, texts = len(first), next(iter(first.values())).sentences
    effective_texts = next(iter(arm.values())).effective_texts
    estimate = sum(first[key].corpus_score - second[key].corpus_score for key in first) / seeds
    differing = np.any([(first[key].values != second[key].values).any(axis=1) for key in first], axis=0)
    identical = not differing.any()
    if seeds == 1:
        [(one, other)] = zip(first.values(), second.values(), strict=True)
        drawn = resamples if effective_texts >= FEWEST_TEXTS else 1
        draws = [resampled_scores(side, drawn, seed) for side in (one, other)]
        return CheckpointDifference(
            seeds=1,
            texts=texts,
            effective_texts=effective_texts,
            estimate=estimate,
            identical=identical,
            least_p=approximate_randomisation(one, other, resamples=drawn, seed=seed).p,
            draws=np.sort(draws[0] - draws[1]),
        )
    if texts < 2:
        mean = MeanOfTable(estimate, math.inf, 1)
    else:
        table = [first[key].pseudo_values() - second[key].pseudo_values() for key in first]
        mean = mean_of_table(np.stack(table), estimate)
    return MethodDifference(
        seeds=seeds,
        texts=texts,
        effective_texts=effective_texts,
        estimate=estimate,
        identical=identical,
        least_p=smallest_reachable_p(int(differing.sum())),
        mean=mean,
    )
