"""Differences of scores: p and intervals agree with each other and with the bootstraps that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.statistics import (
    SentenceStatistics,
    approximate_randomisation,
    bootstrap_over_seeds,
    compare_scores,
    paired_bootstrap,
    ratio_of_sums,
)
from harness.statistics.signed_rank import Floats


def means(values: Floats, signature: str = "s") -> SentenceStatistics:
    pairs = np.stack([values, np.ones_like(values)], axis=1)
    return SentenceStatistics("mean", signature, pairs, ratio_of_sums)


def noisy(effect: float, seed: int = 0) -> SentenceStatistics:
    return means(effect + np.random.default_rng(seed).normal(0, 1, 200))


def test_one_checkpoint_is_randomised_and_bounded_by_the_paired_bootstrap() -> None:
    arm, base = noisy(0.2), noisy(0.0, seed=1)
    found = compare_scores({0: arm}, {0: base})
    assert found.p == approximate_randomisation(arm, base).p
    expected = paired_bootstrap(arm, base)
    assert found.estimate == expected.estimate
    ends = found.interval(0.95)
    assert (ends.low, ends.high) == pytest.approx((expected.interval.low, expected.interval.high), abs=1e-9)


@pytest.mark.parametrize("seeds", [1, 8])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_bound_is_excluded_by_the_interval_where_its_p_is_small(seeds: int, level: float) -> None:
    arm = {seed: noisy(0.3, seed) for seed in range(seeds)}
    base = {seed: noisy(0.0, seed + 100) for seed in range(seeds)}
    found = compare_scores(arm, base)
    ends = found.interval(level)
    room = 0.02 * (ends.high - ends.low)
    for end, inwards in ((ends.low, 1), (ends.high, -1)):
        assert found.beyond(end - inwards * room) < 1 - level < found.beyond(end + inwards * room)


def test_several_seeds_are_the_bootstrap_over_seeds_and_sentences() -> None:
    arm = {seed: noisy(0.3, seed) for seed in range(10)}
    base = {seed: noisy(0.0, seed + 100) for seed in range(10)}
    found, expected = compare_scores(arm, base), bootstrap_over_seeds(arm, base)
    width = expected.interval.high - expected.interval.low
    ends = found.interval(0.95)
    assert found.estimate == pytest.approx(expected.estimate)
    assert (ends.low, ends.high) == pytest.approx(
        (expected.interval.low, expected.interval.high), abs=0.05 * width
    )
    assert found.p == found.beyond(0.0)


def test_two_to_five_seeds_bound_nothing() -> None:
    arm, base = ({seed: noisy(effect, seed) for seed in range(5)} for effect in (9.0, 0.0))
    found = compare_scores(arm, base)
    assert (found.p, found.beyond(0.5), found.interval(0.9).high) == (1.0, 1.0, math.inf)


def test_equal_outputs_are_identical() -> None:
    found = compare_scores({0: noisy(0.0)}, {0: noisy(0.0)})
    assert (found.identical, found.p, found.beyond(0.0), found.beyond(0.5)) == (True, 1.0, 1.0, 0.0)
    assert (found.interval(0.95).low, found.interval(0.95).high) == (0.0, 0.0)


def test_what_cannot_be_compared_is_refused() -> None:
    one, other = noisy(0.0), means(np.zeros(200), signature="other")
    with pytest.raises(ValueError, match="no seeds"):
        compare_scores({}, {})
    with pytest.raises(ValueError, match="one side missing: 2"):
        compare_scores({1: one, 2: one}, {1: one})
    with pytest.raises(ValueError, match="signature 's' against 'other'"):
        compare_scores({1: one}, {1: other})
