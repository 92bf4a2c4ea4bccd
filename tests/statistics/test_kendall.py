"""Rank correlation with an order: the pairs against brute force, the distribution against all orders, scipy
and an inversion of the characteristic function.
"""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from scipy.stats import kendalltau

from harness.statistics.kendall import (
    EXACT_VALUES,
    _approximate_tail,
    _lower_half,
    order_p,
    rising_and_falling,
)
from harness.statistics.rank_sums import LEAST_P, Floats
from tests.statistics.inversion import tails_by_inversion

INF = math.inf


def by_brute_force(values: Floats) -> tuple[int, int]:
    i, j = np.triu_indices(values.size, k=1)
    return int((values[j] > values[i]).sum()), int((values[j] < values[i]).sum())


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 64, 150])
def test_pairs_are_those_of_brute_force(n: int) -> None:
    rng = np.random.default_rng(n)
    samples = [
        rng.normal(size=n),
        rng.integers(0, 4, n).astype(float),
        np.zeros(n),
        np.arange(n) * -1.0,
        rng.choice([INF, -INF, 0.0, 1e308, -1e308, 5e-324], n),
    ]
    for values in samples:
        assert rising_and_falling(values) == by_brute_force(values)


def test_the_distribution_is_that_of_all_orders() -> None:
    for n in range(1, 8):
        inversions = [by_brute_force(np.array(order, float))[1] for order in itertools.permutations(range(n))]
        half = n * (n - 1) // 4
        expected = [sum(number <= t for number in inversions) / math.factorial(n) for t in range(half + 1)]
        assert _lower_half(n).tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("n", [5, 20, 60])
def test_p_agrees_with_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    for trend in (0.0, 1.0, 4.0):
        values = rng.normal(size=n) + trend * np.arange(n) / n
        rising, falling = rising_and_falling(values)
        expected = kendalltau(np.arange(n), values, method="exact")
        assert (rising - falling) / (n * (n - 1) / 2) == pytest.approx(expected.statistic)
        assert order_p(n, min(rising, falling)) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(("p", "most"), [(0.3, 1.3e-6), (0.05, 4e-6), (0.01, 6e-6), (1e-4, 1.3e-5)])
def test_the_approximation_has_the_stated_error_where_it_takes_over(p: float, most: float) -> None:
    cdf = _lower_half(EXACT_VALUES)
    t = int(np.searchsorted(cdf, p / 2)) - 1
    assert abs(_approximate_tail(EXACT_VALUES, t) / cdf[t] - 1) <= most


@pytest.mark.parametrize("n", [EXACT_VALUES, EXACT_VALUES + 1, 10_000])
def test_it_agrees_with_an_inversion_of_the_characteristic_function(n: int) -> None:
    sizes = np.arange(2, n + 1)
    sd = math.sqrt(n * (n - 1) * (2 * n + 5) / 72)

    def characteristic(at: Floats) -> Floats:
        product = np.ones_like(at)
        for part in np.array_split(sizes, n // 400):
            angles = np.outer(at, part) / 2
            product *= (np.sin(angles) / (part * np.sin(at / 2)[:, None])).prod(axis=1)
        return product

    error = 1e-10 if n == EXACT_VALUES else 1.4e-5 * (EXACT_VALUES / n) ** 2
    counts = [int(n * (n - 1) / 4 - z * sd) for z in (1.0, 1.96, 2.576, 3.89)]
    tails = tails_by_inversion(characteristic, [t + 0.5 - n * (n - 1) / 4 for t in counts], sd)
    for t, tail in zip(counts, tails, strict=True):
        assert order_p(n, t) == pytest.approx(2 * tail, rel=error)


@pytest.mark.parametrize("n", [1, 2, 3, EXACT_VALUES, EXACT_VALUES + 1, 10_000])
def test_p_is_a_probability_that_is_never_zero(n: int) -> None:
    pairs = n * (n - 1) // 2
    values = [order_p(n, against) for against in sorted({0, pairs // 4, pairs // 2, pairs})]
    assert values == sorted(values)
    assert values[0] >= LEAST_P > 0
    assert values[-1] == 1.0


def test_ten_thousand_values_need_little_memory() -> None:
    values = np.round(np.random.default_rng(0).normal(size=10_000), 2)
    tracemalloc.start()
    rising, falling = rising_and_falling(values)
    order_p(10_000, min(rising, falling))
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    ahead = values[None, :500] > values[:500, None]
    assert rising_and_falling(values[:500])[0] == int(np.triu(ahead, k=1).sum())
