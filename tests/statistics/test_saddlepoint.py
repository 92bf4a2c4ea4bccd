"""The saddlepoint approximation, on a sum of coins, whose tails are known as fractions of whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest

from harness.statistics.saddlepoint import Cumulants, lower_tail

COINS = 400


def coins(s: float) -> Cumulants:
    """Of the heads of `COINS` fair coins minus their mean."""
    tangent = math.tanh(s / 2)
    return Cumulants(
        value=COINS * math.log(math.cosh(s / 2)),
        slope=COINS * tangent / 2,
        curvature=COINS * (1 - tangent**2) / 4,
    )


def exactly(heads: int) -> Fraction:
    return Fraction(sum(math.comb(COINS, number) for number in range(heads + 1)), 2**COINS)


@pytest.mark.parametrize(
    ("heads", "most"),
    [(199, 1e-5), (195, 1e-5), (180, 1e-4), (150, 1e-4), (100, 1e-4), (20, 2e-3), (1, 0.03), (0, 0.15)],
)
def test_the_relative_error_is_small_out_to_the_last_value(heads: int, most: float) -> None:
    tail = lower_tail(coins, heads + 0.5 - COINS / 2)
    assert tail == pytest.approx(float(exactly(heads)), rel=most)


def test_the_upper_half_is_the_mirror_image() -> None:
    for heads in (201, 210, 260, 399):
        below = lower_tail(coins, COINS - heads + 0.5 - COINS / 2)
        assert lower_tail(coins, heads - 0.5 - COINS / 2) == 1 - below


def test_it_never_falls_although_the_formula_changes_near_the_centre() -> None:
    tails = [lower_tail(coins, deviation / 1000) for deviation in range(-400, 401)]
    assert all(one <= other for one, other in pairwise(tails))
    assert 0.48 < tails[0] < 0.5 < tails[-1] < 0.52


def test_what_no_float_can_hold_is_zero() -> None:
    def many(s: float) -> Cumulants:
        return Cumulants(*(100 * value for value in coins(s)))

    assert lower_tail(many, 0.5 - 100 * COINS / 2) == 0.0
