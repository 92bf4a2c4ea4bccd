"""McNemar's exact test against scipy and every way in which the pairs could have fallen."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.statistics import McNemar, mcnemar


def test_the_four_kinds_of_pairs_are_counted() -> None:
    arm = {1: True, 2: True, 3: False, 4: False, 5: True, 6: False}
    baseline = {6: False, 5: False, 4: True, 3: False, 2: True, 1: False}
    assert mcnemar(arm, baseline) == McNemar(n=6, both=1, only_arm=2, only_baseline=1, neither=2, p=1.0)


def test_p_agrees_with_scipy_and_mirrors() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        n = int(rng.integers(1, 40))
        arm = {seed: bool(rng.random() < 0.7) for seed in range(n)}
        baseline = {seed: bool(rng.random() < 0.3) for seed in range(n)}
        result, back = mcnemar(arm, baseline), mcnemar(baseline, arm)
        differ = result.only_arm + result.only_baseline
        expected = binomtest(result.only_arm, differ).pvalue if differ else 1.0
        assert result.p == pytest.approx(expected, rel=1e-12)
        assert (back.p, back.only_arm, back.only_baseline) == (
            result.p,
            result.only_baseline,
            result.only_arm,
        )


def test_p_is_that_of_all_exchanges_within_pairs() -> None:
    only = [1, 1, 1, 1, 1, 1, -1]  # who alone diverged, in the pairs that differ
    sums = [abs(sum(signs)) for signs in itertools.product([1, -1], repeat=7)]
    arm = {key: side > 0 for key, side in enumerate(only)} | {7: True, 8: False}
    baseline = {key: side < 0 for key, side in enumerate(only)} | {7: True, 8: False}
    assert mcnemar(arm, baseline).p == np.mean(np.array(sums) >= abs(sum(only)))


def test_too_few_divergences_prove_nothing() -> None:
    assert mcnemar(dict.fromkeys(range(5), True), dict.fromkeys(range(5), False)).p == 2 / 2**5
    assert mcnemar(dict.fromkeys(range(6), True), dict.fromkeys(range(6), False)).p < 0.05
    assert mcnemar(dict.fromkeys(range(9), True), dict.fromkeys(range(9), True)).p == 1


def test_a_seed_without_its_other_side_is_refused() -> None:
    with pytest.raises(ValueError, match="one side missing: 2"):
        mcnemar({1: True, 2: False}, {1: True})
    with pytest.raises(ValueError, match="there are no pairs"):
        mcnemar({}, {})
