"""Rounds of several trained models: what counts as a sample."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.statistics import paired_estimate, replicates

INF = math.inf
values = st.lists(st.floats(-10, 10, allow_nan=False), min_size=12, max_size=12)


def numbered(rows: list[float]) -> dict[int, float]:
    return dict(enumerate(rows, start=1))


def test_the_pairs_of_one_model_are_the_signed_rank_procedure() -> None:
    pairs = numbered(list(np.random.default_rng(1).normal(0.5, 1, 12)))
    samples, expected = replicates(pairs), paired_estimate(pairs)
    assert (samples.n, samples.estimate, samples.p) == (12, expected.estimate, expected.p)
    assert (samples.interval(0.95), samples.t_interval) == (expected.ci95, expected.t95)


@settings(max_examples=30)
@given(rows=values, models=st.sampled_from([1, 2, 6]), bound=st.sampled_from([-1.0, 0.0, 1.0]))
def test_the_interval_excludes_a_bound_exactly_where_its_p_is_small(
    rows: list[float], models: int, bound: float
) -> None:
    samples = replicates(numbered(rows), models=models, unknown=(3,))
    for level in (0.95, 0.9):
        interval = samples.interval(level)
        assert (samples.p_above(bound) <= 1 - level + 1e-12) == (interval.low > bound)
        assert (samples.p_below(bound) <= 1 - level + 1e-12) == (interval.high < bound)


@settings(max_examples=30)
@given(rows=values, models=st.sampled_from([1, 2, 6]))
def test_swapping_the_arms_mirrors_the_samples(rows: list[float], models: int) -> None:
    there = replicates(numbered(rows), models=models, unknown=(2,))
    back = replicates(numbered([-value for value in rows]), models=models, unknown=(2,))
    assert back.estimate == -there.estimate
    assert (back.interval(0.9).low, back.interval(0.9).high) == (
        -there.interval(0.9).high,
        -there.interval(0.9).low,
    )
    assert back.p == there.p


def test_each_of_few_models_must_agree_and_the_means_of_many_are_the_sample() -> None:
    agreeing = {number: 1.0 + 0.01 * number for number in range(1, 17)}
    assert replicates(agreeing, models=2).p == 2 / 2**8
    odd = {number: -value if number % 2 else value for number, value in agreeing.items()}
    assert replicates(odd, models=2).p == 1.0
    many = replicates({number: 1.0 + 0.01 * number for number in range(1, 25)}, models=8)
    assert (many.n, many.p) == (8, 2 / 2**8)


def test_an_unknown_pair_is_a_tie_or_anything() -> None:
    pairs = numbered([0.0, *[1.0 + 0.1 * index for index in range(7)]])
    samples = replicates(pairs, unknown=(1,))
    assert samples.interval(0.95, ties=True).low > 0
    assert (samples.interval(0.95).low, samples.interval(0.95).high) == (-math.inf, math.inf)
    assert samples.p <= 0.05 < samples.p_above(0.0)


def test_models_with_unequal_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="not equally many rounds of 2 models"):
        replicates(numbered([1.0, 2.0, 3.0]), models=2)
    with pytest.raises(ValueError, match="there are no pairs"):
        replicates({})


extreme = st.one_of(
    st.floats(allow_nan=False), st.sampled_from([INF, -INF, math.nan, 1.7e308, -1.7e308, 5e-324, 0.0])
)


@settings(max_examples=150)
@given(st.lists(extreme, min_size=1, max_size=30), st.integers(1, 7), st.booleans())
def test_whatever_the_pairs_are_the_results_are_numbers(
    values: list[float],
    models: int,
    ties: bool,  # noqa: FBT001  hypothesis draws it
) -> None:
    pairs = dict(enumerate(values[: len(values) // models * models] or [0.0] * models, start=1))
    assume(not all(map(math.isnan, pairs.values())))
    unknown = [key for key, value in pairs.items() if value == INF]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = replicates(pairs, models=models, unknown=unknown)
        interval = made.interval(0.95, ties=ties)
        above, below = made.p_above(0.0, ties=ties), made.p_below(0.0, ties=ties)
        diagnostic = made.t_interval
    assert interval.low <= interval.high
    assert diagnostic.low <= diagnostic.high
    assert 0 < min(above, below) <= max(above, below) == 1
    assert (above <= 0.05) == (interval.low > 0)
    assert (below <= 0.05) == (interval.high < 0)


def test_two_models_of_ten_thousand_rounds() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0.1, 1, (10_000, 2)) + np.array([0.0, 0.05])
    made = replicates(numbered(values.ravel().tolist()), models=2)
    ones = [replicates(numbered(column.tolist())).interval(0.95) for column in values.T]
    interval = made.interval(0.95)
    assert made.n == 10_000
    assert (interval.low, interval.high) == (min(one.low for one in ones), max(one.high for one in ones))
    assert 0 < made.p <= 1e-6
    assert 0.05 < interval.low < 0.12 < interval.high < 0.2
