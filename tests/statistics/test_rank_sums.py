"""The null distribution of the signed-rank sum: exact where it says so, and as near to it as it says where it
is approximated, up to the most rounds that a study can have, three times.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from harness.statistics.rank_sums import (
    EXACT_PAIRS,
    LEAST_P,
    _approximate_tail,
    attained_size,
    is_exact,
    largest_sum,
    lower_half,
    rejecting_sums,
    smallest_reachable_p,
    two_sided_p,
)
from tests.statistics.inversion import Floats, tails_by_inversion

LARGEST = 30_000
"""Three times the most rounds of a study, which lost rounds can make of them."""


def test_it_is_that_of_all_sign_patterns() -> None:
    for n in range(8):
        sums = [
            sum(rank for rank, up in zip(range(1, n + 1), ups, strict=True) if up)
            for ups in itertools.product([0, 1], repeat=n)
        ]
        expected = [sum(total <= t for total in sums) / 2**n for t in range(largest_sum(n) // 2 + 1)]
        assert lower_half(n).tolist() == expected


def test_it_is_that_of_whole_numbers_without_rounding() -> None:
    n = 80
    cases = [1]
    for rank in range(1, n + 1):
        cases = [a + b for a, b in zip(cases + [0] * rank, [0] * rank + cases, strict=True)]
    cumulated = list(itertools.accumulate(cases))
    for t in (0, 1, 100, 500, 900, 1200, 1619, 1620):
        assert lower_half(n)[t] == pytest.approx(float(Fraction(cumulated[t], 2**n)), rel=1e-14)


@pytest.mark.parametrize(
    ("n", "critical"),  # two-sided 5 %, as tabled in Hollander & Wolfe and elsewhere
    [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52), (25, 89), (30, 137)],
)
def test_critical_values_of_the_published_table(n: int, critical: int) -> None:
    assert rejecting_sums(n, 0.05) == critical + 1


@pytest.mark.parametrize(
    ("p", "most"),
    [(0.3, 2e-7), (0.05, 5e-7), (0.01, 8e-7), (1e-4, 1.7e-6), (1e-10, 5e-6), (1e-100, 7e-5)],
)
def test_the_approximation_has_the_stated_error_where_it_takes_over(p: float, most: float) -> None:
    cdf = lower_half(EXACT_PAIRS)
    t = int(np.searchsorted(cdf, p / 2)) - 1
    assert abs(_approximate_tail(EXACT_PAIRS, t) / cdf[t] - 1) <= most


@pytest.mark.parametrize("n", [EXACT_PAIRS, EXACT_PAIRS + 1, 10_000, LARGEST])
def test_it_agrees_with_an_inversion_of_the_characteristic_function(n: int) -> None:
    """Which gives all 14 digits of the exact one, and shows that the error falls with the square of n."""
    ranks = np.arange(1, n + 1)
    sd = math.sqrt(float((ranks.astype(np.float64) ** 2).sum())) / 2

    def characteristic(at: Floats) -> Floats:
        product = np.ones_like(at)
        for part in np.array_split(ranks, n // 500):
            product *= np.cos(np.outer(at, part) / 2).prod(axis=1)
        return product

    error = 1e-11 if is_exact(n) else 1.8e-6 * (EXACT_PAIRS / n) ** 2
    sums = [int(largest_sum(n) / 2 - z * sd) for z in (1.0, 1.96, 2.576, 3.89)]
    tails = tails_by_inversion(characteristic, [t + 0.5 - largest_sum(n) / 2 for t in sums], sd)
    for t, tail in zip(sums, tails, strict=True):
        assert two_sided_p(n, t) == pytest.approx(2 * tail, rel=error)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 10, EXACT_PAIRS, EXACT_PAIRS + 1, 10_000, LARGEST])
def test_p_is_a_probability_that_rises_with_the_sum_and_is_never_zero(n: int) -> None:
    half = largest_sum(n) // 2
    grid = sorted(
        {0, 1, half - 1, half, half + 1, largest_sum(n), *np.linspace(0, half, 60).astype(int).tolist()}
    )
    values = [two_sided_p(n, t) for t in grid if t >= 0]
    assert values == sorted(values)
    assert values[0] == smallest_reachable_p(n) >= LEAST_P > 0
    assert values[-1] == 1.0


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.05 / 7, 1e-6, 1e-60])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 40, EXACT_PAIRS, EXACT_PAIRS + 1, 10_000])
def test_the_rejecting_sums_are_those_whose_p_is_small_enough(n: int, alpha: float) -> None:
    sums = rejecting_sums(n, alpha)
    assert sums == 0 or two_sided_p(n, sums - 1) <= alpha
    assert two_sided_p(n, sums) > alpha
    assert attained_size(n, alpha) == (two_sided_p(n, sums - 1) if sums else 0.0)
    assert attained_size(n, alpha / 2, sides=1) == attained_size(n, alpha) / 2
    assert (sums > 0) == (smallest_reachable_p(n) <= alpha)


def test_there_is_no_jump_where_the_approximation_takes_over() -> None:
    """The share of the averages beyond an end of the interval changes smoothly with the number of pairs."""
    sizes = range(EXACT_PAIRS - 3, EXACT_PAIRS + 5)
    excess = [(0.5 - rejecting_sums(n, 0.05) / largest_sum(n)) * math.sqrt(n) for n in sizes]
    steps = np.diff(excess)
    assert np.abs(steps - steps.mean()).max() < 1e-4
