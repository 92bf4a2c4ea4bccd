"""Families, rounds and detectable effects against known figures and seeded simulation."""

import math

import numpy as np
import pytest

from harness.statistics import holm, largest_family, paired_estimate, rounds_needed, smallest_detectable
from harness.statistics.signed_rank import null_cdf


def test_holm_of_a_hand_worked_family() -> None:
    adjusted = holm({"d": 0.04, "a": 0.01, "b": 0.015, "c": 0.03})
    assert adjusted == pytest.approx({"d": 0.06, "a": 0.04, "b": 0.045, "c": 0.06})
    assert list(adjusted) == ["d", "a", "b", "c"]


def test_holm_never_exceeds_one_nor_changes_a_family_of_one() -> None:
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.02}) == {"a": 0.02}
    assert holm({}) == {}


def test_holm_keeps_the_familywise_error() -> None:
    rng = np.random.default_rng(1)
    families = [holm({str(i): p for i, p in enumerate(rng.uniform(size=6))}) for _ in range(2000)]
    assert sum(min(family.values()) <= 0.05 for family in families) / 2000 == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("n", "family"), [(5, 0), (6, 1), (7, 3), (8, 6), (9, 12), (10, 25)])
def test_largest_family(n: int, family: int) -> None:
    assert largest_family(n) == family
    best = 2.0 ** (1 - n)
    assert family == 0 or min(holm({str(i): best if i == 0 else 1.0 for i in range(family)}).values()) <= 0.05
    assert min(holm({str(i): best if i == 0 else 1.0 for i in range(family + 1)}).values()) > 0.05


@pytest.mark.parametrize(("cv", "rounds"), [(0.02, 10), (0.05, 19), (0.20, 303)])
def test_rounds_needed_for_a_coefficient_of_variation(cv: float, rounds: int) -> None:
    assert rounds_needed(math.sqrt(2) * cv, 0.05) == rounds  # a ratio has twice the variance of either side


def test_rounds_needed_make_equal_arms_equivalent() -> None:
    rng = np.random.default_rng(6)
    sigma, margin = 0.07, 0.05
    n = rounds_needed(sigma, margin)
    assert n == 19
    inside = [
        paired_estimate(dict(enumerate(rng.normal(0, sigma, n)))).ci90.inside(
            -math.log1p(margin), math.log1p(margin)
        )
        for _ in range(600)
    ]
    assert 0.74 <= np.mean(inside) <= 0.92


@pytest.mark.parametrize(
    ("n", "power"), [(6, 0.73), (7, 0.80), (8, 0.79), (10, 0.80), (20, 0.80), (40, 0.80)]
)
def test_smallest_detectable_effect_is_detected_four_times_in_five(n: int, power: float) -> None:
    sigma, studies = 0.3, 4000
    values = np.random.default_rng(n).normal(smallest_detectable(n, sigma), sigma, (studies, n))
    i, j = np.triu_indices(n)
    positive = np.count_nonzero(values[:, i] + values[:, j] > 0, axis=1)
    p = 2 * null_cdf(n)[np.minimum(positive, i.size - positive)]
    assert np.mean(p <= 0.05) == pytest.approx(power, abs=0.03)


def test_too_few_pairs_detect_nothing() -> None:
    assert smallest_detectable(5, 0.1) == math.inf
    assert smallest_detectable(12, 0.2) == pytest.approx(2 * smallest_detectable(12, 0.1))


@pytest.mark.parametrize(("sigma", "margin"), [(-0.1, 0.05), (0.1, 0.0)])
def test_senseless_sizes_are_refused(sigma: float, margin: float) -> None:
    with pytest.raises(ValueError, match="needs sigma"):
        rounds_needed(sigma, margin)
