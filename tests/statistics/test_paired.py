"""Paired estimates: one value a pair, mirrored by swapping the arms, moved by shifting them."""

from __future__ import annotations

import itertools
import math
import time
import tracemalloc
import warnings
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp, wilcoxon

from harness.statistics import (
    Interval,
    McNemar,
    differences,
    log_ratios,
    mcnemar,
    paired_estimate,
    sign_flip_p,
    smallest_reachable_p,
    t_interval,
)

INF = math.inf
quarters = st.integers(-400, 400).map(lambda value: value / 4)  # exact in binary, with ties and zeros
extended = st.one_of(quarters, st.sampled_from([INF, -INF]))


def by_pair(values: Iterable[float]) -> dict[int, float]:
    return dict(enumerate(values))


def mirrored(interval: Interval) -> tuple[float, float]:
    return (-interval.high, -interval.low)


def bounds(interval: Interval) -> tuple[float, float]:
    return (interval.low, interval.high)


@settings(max_examples=150)
@given(st.lists(extended, min_size=1, max_size=14))
def test_swapping_the_arms_mirrors_the_result(values: list[float]) -> None:
    there, back = paired_estimate(by_pair(values)), paired_estimate(by_pair([-value for value in values]))
    assert back.estimate == -there.estimate
    assert bounds(back.ci95) == mirrored(there.ci95)
    assert bounds(back.ci90) == mirrored(there.ci90)
    assert back.p == there.p
    assert bounds(back.t95) == pytest.approx(mirrored(there.t95))


@settings(max_examples=100)
@given(st.lists(quarters, min_size=1, max_size=14), quarters)
def test_shifting_every_pair_shifts_the_result(values: list[float], shift: float) -> None:
    before, after = (
        paired_estimate(by_pair(values)),
        paired_estimate(by_pair([value + shift for value in values])),
    )
    assert after.estimate == before.estimate + shift
    assert bounds(after.ci95) == (before.ci95.low + shift, before.ci95.high + shift)
    assert bounds(after.ci90) == (before.ci90.low + shift, before.ci90.high + shift)


@given(st.permutations(range(8)))
def test_the_order_of_the_pairs_does_not_matter(order: list[int]) -> None:
    values = by_pair([0.1, -0.2, 0.5, 0.3, 0.7, 0.2, 0.9, -0.1])
    assert paired_estimate({key: values[key] for key in order}).ci95 == paired_estimate(values).ci95


def test_the_ninety_percent_interval_lies_within_the_other() -> None:
    result = paired_estimate(by_pair(np.random.default_rng(2).normal(0, 1, 12)))
    assert result.ci95.low < result.ci90.low < result.estimate < result.ci90.high < result.ci95.high
    assert (result.n, result.ci95.level, result.ci90.level, result.t95.level) == (12, 0.95, 0.90, 0.95)


def test_repeated_measurements_of_a_round_cannot_be_fed() -> None:
    with pytest.raises(AttributeError):
        paired_estimate([0.1, 0.2, 0.3])  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError)):
        paired_estimate({0: [0.1, 0.2], 1: [0.3, 0.4]})  # type: ignore[dict-item]


def test_a_pair_without_its_other_side_is_refused() -> None:
    with pytest.raises(ValueError, match="one side missing: 2, 3"):
        differences({1: 1.0, 2: 2.0}, {1: 1.0, 3: 2.0})
    with pytest.raises(ValueError, match="one side missing: 2"):
        log_ratios({1: 1.0, 2: 2.0}, {1: 1.0})


def test_differences_and_ratios_pair_by_key_and_tie_when_both_diverge() -> None:
    arm, baseline = {1: INF, 2: INF, 3: 3.0}, {3: 1.5, 2: 4.0, 1: INF}
    assert differences(arm, baseline) == {1: 0.0, 2: INF, 3: 1.5}
    assert log_ratios(arm, baseline) == {1: 0.0, 2: INF, 3: pytest.approx(math.log(2))}


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_ratio_of_what_is_not_positive_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="pair 7 of the baseline"):
        log_ratios({7: 1.0}, {7: bad})


def test_nan_and_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="pair 4 is NaN"):
        sign_flip_p({3: 0.0, 4: math.nan})
    with pytest.raises(ValueError, match="pair 4 is NaN"):
        paired_estimate({4: math.nan})
    with pytest.raises(ValueError, match="there are no pairs"):
        paired_estimate({})


def test_an_unknown_pair_supports_no_statement() -> None:
    """It counts as −∞ for what is claimed to be above a bound, and as +∞ for what is claimed to be below."""
    values = {index: 0.1 + 0.001 * index for index in range(11)}
    unknown = paired_estimate(values | {11: math.nan})
    least, most = (paired_estimate(values | {11: value}) for value in (-math.inf, math.inf))
    assert unknown.n == 12
    assert (unknown.ci95.low, unknown.ci95.high) == (least.ci95.low, most.ci95.high)
    assert (unknown.ci90.low, unknown.ci90.high) == (least.ci90.low, most.ci90.high)
    assert unknown.p == least.p > most.p


def test_time_and_throughput_agree() -> None:
    rng = np.random.default_rng(3)
    arm, baseline = by_pair(rng.lognormal(0, 0.1, 9)), by_pair(rng.lognormal(0.1, 0.1, 9))
    time = paired_estimate(log_ratios(arm, baseline))
    rate = paired_estimate(
        log_ratios(by_pair(1 / np.array([*arm.values()])), by_pair(1 / np.array([*baseline.values()])))
    )
    assert bounds(rate.ci90) == pytest.approx(mirrored(time.ci90))


def test_t_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(4).normal(1, 2, 9)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert bounds(t_interval(by_pair(values), level=0.95)) == pytest.approx((expected.low, expected.high))
    assert bounds(t_interval({0: 1.0}, level=0.95)) == (-INF, INF)
    assert bounds(t_interval({0: 1.0, 1: INF}, level=0.95)) == (-INF, INF)


def test_sign_flip_counts_every_choice_of_signs() -> None:
    values = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0])
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in itertools.product([1, -1], repeat=7)
    ]
    assert sign_flip_p(by_pair(values)) == sum(total >= 13 for total in sums) / 2**7
    assert sign_flip_p(by_pair([0.1] * 8)) == 2 / 2**8  # equal sizes: rounding must not lose the tie
    assert sign_flip_p(by_pair([0.0] * 4)) == 1


def test_sign_flip_of_many_pairs_is_close_to_exact() -> None:
    values = np.random.default_rng(8).normal(0.3, 1, 40)
    exact = sign_flip_p(by_pair(values))
    sampled = sign_flip_p(by_pair([*values, 0.0]))  # a 41st pair that changes nothing but the method
    assert 0.01 < exact < 0.5
    assert sampled == pytest.approx(exact, abs=0.006)
    assert sampled == sign_flip_p(by_pair([*values, 0.0]))


def test_sign_flip_lets_infinities_outweigh_the_rest() -> None:
    assert sign_flip_p(by_pair([INF, 1e6, 1.0])) == 2 / 2**3
    assert sign_flip_p(by_pair([INF, -INF, 0.0])) == 1


def test_equivalence_at_the_margin_is_seldom_declared() -> None:
    rng = np.random.default_rng(9)
    margin, studies = math.log1p(0.05), 2000
    estimates = (paired_estimate(by_pair(rng.normal(margin, 0.03, 10))) for _ in range(studies))
    declared = sum(-margin < one.ci90.low and one.ci90.high < margin for one in estimates)
    assert declared / studies <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / studies)


# McNemar's exact test against scipy and every way in which the pairs could have fallen.
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


# Any values and any number of them: nothing overflows, divides by zero or becomes NaN.
anything = st.one_of(
    st.floats(allow_nan=False), quarters, st.sampled_from([INF, -INF, 1.7e308, -1.7e308, 5e-324, 0.0])
)


@settings(max_examples=200)
@given(st.lists(anything, min_size=1, max_size=50), st.sampled_from([0.0, math.nan]))
def test_whatever_the_values_are_the_results_are_numbers(values: list[float], lost: float) -> None:
    pairs = by_pair([*values, lost])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = paired_estimate(pairs)
        flip = sign_flip_p(by_pair(values))
    assert not math.isnan(result.estimate) or not np.isfinite(values).any()
    for interval in (result.ci95, result.ci90, result.t95):
        assert interval.low <= interval.high  # False if one is NaN
    assert result.ci95.low <= result.ci90.low
    assert result.ci90.high <= result.ci95.high
    assert smallest_reachable_p(len(pairs)) <= result.p <= 1
    assert (result.p <= 0.05) == result.ci95.excludes(0.0)
    assert 0 < flip <= 1


@pytest.mark.parametrize("n", [1, 2, 5, 6, 1000, 1070, 1100, 10_000])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, INF, -INF, 1e308])
def test_pairs_that_are_all_equal(value: float, n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = paired_estimate(dict.fromkeys(range(n), value))
    assert result.estimate == value
    assert result.p == (smallest_reachable_p(n) if value else 1.0)
    if n >= 6:
        assert bounds(result.ci95) == (value, value)
    else:
        assert bounds(result.ci95) == (-INF, INF)


def test_ten_thousand_pairs_with_ties_and_infinities_take_little_time_and_memory() -> None:
    n = 10_000
    values = np.round(np.random.default_rng(0).normal(0.15, 1, n), 1)
    values[:40], values[40:60] = INF, -INF
    tracemalloc.start()
    before = time.process_time()
    result = paired_estimate(by_pair(values.tolist()))
    spent = time.process_time() - before
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert spent < 10  # 0.2 s; sorting all averages takes minutes and 400 MB
    normal = wilcoxon(
        np.where(np.isinf(values), np.sign(values) * 1e6, values), method="approx", correction=True
    )
    assert result.p >= normal.pvalue  # ties count against both sides
    assert 0.1 <= result.ci95.low <= result.estimate <= result.ci95.high <= 0.2


def test_sign_flips_of_many_pairs_follow_the_normal_limit() -> None:
    n = 10_000
    values = np.random.default_rng(3).normal(0.02, 1, n)
    z = abs(values.sum()) / math.sqrt(float((values**2).sum()))
    tracemalloc.start()
    p = sign_flip_p(by_pair(values.tolist()))
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=4 * math.sqrt(p / 9_999))


@pytest.mark.parametrize("differ", [1, 2, 17, 1000, 4001, 20_000])
def test_mcnemar_of_many_pairs_is_exact(differ: int) -> None:
    for fewer in sorted({0, differ // 3, differ // 2 - differ // 50, differ // 2}):
        arm = {key: key < fewer for key in range(differ)}
        result = mcnemar(arm, {key: not value for key, value in arm.items()})
        expected = binomtest(fewer, differ).pvalue
        assert result.p == pytest.approx(max(expected, 2.0**-999), rel=1e-9)
        assert result.p > 0
