"""The signed-rank test and interval against published tables, scipy, brute force and simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from harness.statistics.rank_sums import EXACT_PAIRS, lower_half, smallest_reachable_p
from harness.statistics.signed_rank import (
    hodges_lehmann,
    signed_rank_interval,
    signed_rank_p,
    signed_rank_p_above,
    signed_rank_procedure,
)
from harness.statistics.walsh import walsh_averages

INF = math.inf


@pytest.mark.parametrize("n", [6, 9, 14, 25])
def test_p_agrees_with_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(20):
        values = rng.normal(0.4, 1, n)
        assert signed_rank_p(values) == pytest.approx(wilcoxon(values, method="exact").pvalue, rel=1e-12)


def test_interval_of_a_hand_worked_example() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    assert walsh_averages(values)[[0, 1, -2, -1]].tolist() == [1.0, 1.5, 24.0, 32.0]
    assert hodges_lehmann(values) == 8.5  # the 11th of 21: …, 8, 8.5, 9, …
    interval = signed_rank_interval(values, level=0.95)
    assert (interval.low, interval.high) == (1.0, 32.0)
    ninety = signed_rank_interval(values, level=0.90)  # P(T ≤ 2) = 3/64, so the third from either end
    assert (ninety.low, ninety.high) == (2.0, 20.0)


@pytest.mark.parametrize(
    ("n", "level", "bounded"), [(5, 0.95, False), (6, 0.95, True), (4, 0.90, False), (5, 0.90, True)]
)
def test_too_few_pairs_bound_nothing(n: int, level: float, *, bounded: bool) -> None:
    interval = signed_rank_interval(np.arange(1.0, n + 1), level=level)
    assert (math.isfinite(interval.low), math.isfinite(interval.high)) == (bounded, bounded)
    assert interval.excludes(0) == bounded


def test_smallest_reachable_p_is_that_of_unanimous_pairs() -> None:
    for n in range(1, 12):
        assert smallest_reachable_p(n) == signed_rank_p(np.arange(1.0, n + 1))


def test_ties_and_zeros_count_against_both_sides() -> None:
    all_equal = np.zeros(10)
    assert signed_rank_p(all_equal) == 1
    assert signed_rank_interval(all_equal, level=0.95).excludes(0) is False
    half_zero = np.array([0.0] * 10 + [1.0] * 10)
    assert (
        signed_rank_interval(half_zero, level=0.95).low == 0
    )  # a closed interval that ends at 0 does not exclude it …
    assert signed_rank_p(half_zero) > 0.05  # … and its p says the same


@pytest.mark.parametrize("resolution", [None, 0.5, 1.5])
def test_p_and_interval_decide_alike(resolution: float | None) -> None:
    rng = np.random.default_rng(11)
    decisions = set()
    for n in (5, 6, 7, 10, 13):
        for _ in range(150):
            values = rng.normal(rng.choice([0.0, 0.8]), 1, n)
            if resolution:
                values = np.round(values / resolution) * resolution  # many ties, many zeros
            for level, alpha in ((0.95, 0.05), (0.90, 0.10)):
                rejected = signed_rank_p(values) <= alpha
                assert signed_rank_interval(values, level=level).excludes(0) == rejected
                decisions.add(rejected)
    assert decisions == {True, False}


@pytest.mark.parametrize("sample", ["normal", "cauchy", "lattice"])
def test_coverage_is_at_least_nominal(sample: str) -> None:
    rng = np.random.default_rng(5)
    draw: dict[str, Callable[[], NDArray[np.float64]]] = {
        "normal": lambda: rng.normal(0, 1, 10),
        "cauchy": lambda: rng.standard_cauchy(10),
        "lattice": lambda: rng.integers(-2, 3, 10).astype(float),
    }
    studies = 3000
    covered = sum(not signed_rank_interval(draw[sample](), level=0.95).excludes(0) for _ in range(studies))
    exact = 1 - 2 * lower_half(10)[8]  # 0.9512: what a continuous law must give
    error = 4 * math.sqrt(exact * (1 - exact) / studies)
    assert covered / studies >= 0.94
    assert covered / studies >= exact - error
    if sample != "lattice":
        assert covered / studies <= exact + error


def test_one_diverged_seed_is_ranked_last_not_dropped() -> None:
    values = np.array([-0.3, -0.2, -0.4, -0.1, -0.25, -0.35, -0.15, INF])
    interval = signed_rank_interval(values, level=0.95)
    assert signed_rank_p(values) == 2 * lower_half(8)[8]  # rank 8 against all the others
    assert interval.high == INF
    assert math.isfinite(interval.low)
    assert hodges_lehmann(values) == hodges_lehmann(np.append(values[:-1], 1e12))


def test_opposite_infinities_make_no_nan() -> None:
    values = np.array([INF, -INF, 0.1, 0.2, 0.3, 0.4])
    interval = signed_rank_interval(values, level=0.95)
    assert (interval.low, interval.high) == (-INF, INF)
    assert hodges_lehmann(values) == pytest.approx(0.25)
    assert signed_rank_p(values) <= 1
    assert hodges_lehmann(np.array([INF, -INF])) == 0
    assert hodges_lehmann(np.full(3, INF)) == INF


def test_p_above_is_p_on_the_side_of_the_centre_and_1_on_the_other() -> None:
    rng = np.random.default_rng(9)
    samples = [
        np.round(rng.normal(rng.choice([-0.7, 0.0, 0.7]), 1, n), rng.integers(0, 3)) for n in range(1, 16)
    ]
    samples += [np.where(rng.random(values.size) < 0.3, INF, values) for values in samples]
    samples += [np.where(rng.random(values.size) < 0.3, np.nan, values) for values in samples]
    for values in samples:
        for sample in (values, -values):
            expected = signed_rank_p(sample) if hodges_lehmann(sample) > 0 else 1.0
            assert signed_rank_p_above(sample) == expected


@pytest.mark.parametrize("resolution", [None, 0.25])
@pytest.mark.parametrize("n", [EXACT_PAIRS, EXACT_PAIRS + 1, 3000])
def test_p_and_interval_of_many_pairs_decide_alike(n: int, resolution: float | None) -> None:
    rng, decisions = np.random.default_rng(n), set()
    shifts = np.linspace(1.0, 3.0, 9) / math.sqrt(n)
    for shift in shifts if resolution is None else shifts + resolution / 3:  # ties make it conservative
        values = rng.normal(shift, 1, n)
        if resolution:
            values = np.round(values / resolution) * resolution
        for level, alpha in ((0.95, 0.05), (0.90, 0.10), (1 - 0.05 / 9, 0.05 / 9)):
            rejected = signed_rank_p(values) <= alpha
            assert signed_rank_interval(values, level=level).excludes(0) == rejected
            decisions.add(rejected)
    assert decisions == {True, False}


@pytest.mark.parametrize("n", [EXACT_PAIRS + 1, 5000])
def test_p_of_many_pairs_agrees_with_scipy_as_far_as_that_is_precise(n: int) -> None:
    """scipy uses a normal distribution here, without higher terms."""
    values = np.random.default_rng(n).normal(1.5 / math.sqrt(n), 1, n)
    expected = wilcoxon(values, method="approx", correction=True).pvalue
    assert signed_rank_p(values) == pytest.approx(expected, rel=2 / n)


def test_many_unanimous_pairs_have_a_p_that_can_be_divided_by() -> None:
    for n in (1070, 1100, 10_000):
        values = np.arange(1.0, n + 1)
        assert signed_rank_p(values) == smallest_reachable_p(n) == 2.0**-999
        assert signed_rank_interval(values, level=0.95).excludes(0)


def test_the_procedure_is_named() -> None:
    assert signed_rank_procedure(EXACT_PAIRS) == "exact signed rank"
    assert signed_rank_procedure(EXACT_PAIRS + 1) == "signed rank by a saddlepoint approximation"
