"""Whether two systems' corpus scores differ on the same sentences: paired approximate randomisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.statistics.corpus import SentenceStatistics, check_comparable

RESAMPLES = 10_000


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
