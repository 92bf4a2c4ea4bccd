"""Trend over a condition and drift over rounds against closed forms and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import kendalltau

from harness.statistics import drift, log_ratios, paired_estimate, time_to_target, trend

INF = math.inf


def test_trend_of_an_exact_line_is_its_slope_per_doubling() -> None:
    rounds = {r: {16: 1.0 + r, 64: 2.0 + r, 256: 3.0 + r} for r in range(7)}
    result = trend(rounds)
    assert result.slope.estimate == pytest.approx(0.5)
    assert result.slope.ci95.low > 0
    assert [(step.low, step.high) for step in result.steps] == [(16, 64), (64, 256)]
    assert [step.change.estimate for step in result.steps] == [1.0, 1.0]


def test_each_round_has_one_slope_the_least_squares_one() -> None:
    rng = np.random.default_rng(0)
    levels = [8.0, 16.0, 128.0]
    rounds = {r: dict(zip(levels, rng.normal(size=3), strict=True)) for r in range(9)}
    slopes = [np.polyfit([3, 4, 7], [values[level] for level in levels], 1)[0] for values in rounds.values()]
    result = trend(rounds)
    assert result.slope.n == 9
    assert result.slope.t95.low == pytest.approx(
        np.mean(slopes) - 2.306004 * np.std(slopes, ddof=1) / 3, abs=1e-5
    )
    assert result.slope.ci95.low == pytest.approx(
        sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(slopes, 2))[5]
    )


def test_a_rise_with_a_fall_in_it_shows_in_its_step() -> None:
    noise = [0.0, 0.01, -0.01, 0.02, -0.02, 0.03]
    result = trend({r: {2: 0.0, 4: 5.0, 8: 4.0 + e, 16: 9.0} for r, e in enumerate(noise)})
    assert result.slope.ci95.low > 0
    assert result.steps[1].change.ci95.high < 0


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ({0: {16: 1.0}}, "two or more"),
        ({}, "two or more"),
        ({0: {0: 1.0, 2: 1.0}}, "positive levels"),
        ({0: {1: 1.0, 2: 1.0}, 1: {1: 1.0, 4: 1.0}}, "round 1 has the levels"),
        ({0: {1: 1.0, 2: 1.0}, 3: {1: 1.0, 2: math.inf}}, "but round 3 has others"),
    ],
)
def test_what_has_no_slope_is_refused(rounds: dict[int, dict[float, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trend(rounds)


def test_drift_p_is_that_of_all_orders() -> None:
    values = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0]

    def score(order: Sequence[float]) -> int:
        return sum(np.sign(b - a) for a, b in itertools.combinations(order, 2))

    scores = [abs(score(order)) for order in itertools.permutations(values)]
    result = drift(dict(enumerate(values)))
    assert result.p == pytest.approx(np.mean(np.array(scores) >= abs(score(values))))
    assert result.tau == pytest.approx(11 / 15)


def test_drift_agrees_with_scipy() -> None:
    values = np.random.default_rng(4).normal(size=20) + 0.08 * np.arange(20)
    expected = kendalltau(np.arange(20), values, method="exact")
    result = drift(dict(enumerate(values)))
    assert (result.tau, result.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_drift_follows_the_order_of_the_keys_and_mirrors() -> None:
    values = dict(enumerate([0.1, 0.4, 0.2, 0.8, 0.9, 1.1, 1.0]))
    shuffled = {key: values[key] for key in (3, 0, 6, 1, 5, 2, 4)}
    falling = drift({key: -value for key, value in values.items()})
    assert drift(shuffled) == drift(values)
    assert (falling.tau, falling.p) == (-drift(values).tau, drift(values).p)


def test_drift_needs_an_order_and_differences() -> None:
    assert drift({0: 3.0}).p == 1
    assert drift(dict.fromkeys(range(8), 2.0)).p == 1
    assert drift({i: float(i) for i in range(5)}).p == pytest.approx(2 / math.factorial(5))


def test_drift_is_found_as_often_as_its_level_says() -> None:
    rng = np.random.default_rng(12)
    rejected = np.mean([drift(dict(enumerate(rng.normal(size=10)))).p <= 0.05 for _ in range(2000)])
    assert rejected <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)
    assert rejected >= 0.02


@pytest.mark.parametrize("n", [1, 2, 400, 401, 10_000])
@pytest.mark.parametrize("kind", ["equal", "infinite", "rising", "random", "ties"])
def test_drift_of_any_number_of_values(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    values = {
        "equal": np.full(n, 0.1),
        "infinite": np.full(n, INF),
        "rising": np.arange(n) * 1e300,
        "random": rng.normal(size=n),
        "ties": rng.integers(0, 3, n) * 1.0,
    }[kind]
    result = drift(dict(enumerate(values.tolist())))
    assert result.n == n
    assert 0 < result.p <= 1
    assert result.tau == {"equal": 0.0, "infinite": 0.0, "rising": float(n > 1)}.get(kind, result.tau)
    if kind == "random" and n > 2:
        expected = kendalltau(np.arange(n), values)
        assert result.tau == pytest.approx(expected.statistic, abs=1e-12)
        assert result.p == pytest.approx(expected.pvalue, rel=4 / n)


def test_a_trend_over_ten_thousand_rounds() -> None:
    rng = np.random.default_rng(0)
    rounds = {key: {16: 0.0, 64: 0.2 + rng.normal(0, 0.3)} for key in range(10_000)}
    result = trend(rounds)
    assert result.slope.n == 10_000
    assert result.slope.ci95.low < 0.1 < result.slope.ci95.high
    assert result.slope.ci95.high - result.slope.ci95.low < 0.01
    assert result.slope.p == 2.0**-999


# Time to a target: where a smoothed curve first is low enough, and how misses compare.
def test_the_first_time_at_the_target_counts() -> None:
    times, losses = [10, 20, 30, 40, 50], [5.0, 3.0, 2.0, 2.5, 1.0]
    assert time_to_target(times, losses, 2.0) == 30
    assert time_to_target(times, losses, 6.0) == 10
    assert time_to_target(times, losses, 0.9) == INF


def test_one_lucky_update_is_smoothed_away() -> None:
    times, losses = [1, 2, 3, 4, 5, 6], [5.0, 4.0, 1.0, 4.0, 2.0, 1.0]
    assert time_to_target(times, losses, 1.5) == 3
    assert time_to_target(times, losses, 1.5, window=2) == 6
    assert time_to_target(times, losses, 3.0, window=3) == 4  # (4 + 1 + 4) / 3: updates 2 to 4, known at 4
    assert time_to_target(times, losses, 9.0, window=7) == INF


def test_what_comes_after_the_target_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    times = np.arange(1.0, 101.0)
    losses = 5 * np.exp(-times / 30) + rng.normal(0, 0.1, 100)
    reached = time_to_target(times.tolist(), losses.tolist(), 1.0, window=5)
    changed = np.where(times > reached, 99.0, losses)
    assert 30 < reached < 70
    assert time_to_target(times.tolist(), changed.tolist(), 1.0, window=5) == reached


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_a_diverged_loss_misses_while_the_window_holds_it(bad: float) -> None:
    losses = [3.0, bad, 1.0, 1.0, 1.0]
    assert time_to_target([1, 2, 3, 4, 5], losses, 1.0) == 3
    assert time_to_target([1, 2, 3, 4, 5], losses, 1.0, window=2) == 4
    assert time_to_target([1, 2], [bad, bad], 1.0) == INF


def test_misses_rank_last_and_two_misses_tie() -> None:
    arm = {seed: 100.0 + seed for seed in range(8)} | {8: INF, 9: INF}
    baseline = {seed: 200.0 + seed for seed in range(8)} | {8: 210.0, 9: INF}
    ratios = log_ratios(arm, baseline)
    assert (ratios[8], ratios[9]) == (INF, 0.0)
    result = paired_estimate(ratios)
    assert -0.70 < result.estimate < -0.60
    assert math.isfinite(result.ci95.low)
    assert result.ci95.high > -0.6
    back = paired_estimate(log_ratios(baseline, arm))
    assert (back.estimate, back.ci95.low, back.ci95.high) == (
        -result.estimate,
        -result.ci95.high,
        -result.ci95.low,
    )


def test_an_arm_that_always_misses_is_worse_without_a_finite_estimate() -> None:
    result = paired_estimate(log_ratios(dict.fromkeys(range(8), INF), dict.fromkeys(range(8), 50.0)))
    assert (result.estimate, result.ci95.low, result.p) == (INF, INF, 2 / 2**8)


def test_a_later_time_never_helps() -> None:
    rng = np.random.default_rng(3)
    baseline = dict(enumerate(rng.lognormal(5, 0.2, 9)))
    arm = {seed: value * 0.8 for seed, value in baseline.items()}
    before = paired_estimate(log_ratios(arm, baseline))
    for seed in arm:
        after = paired_estimate(log_ratios(arm | {seed: INF}, baseline))
        assert after.estimate >= before.estimate
        assert after.ci95.high >= before.ci95.high
        assert after.p >= before.p


@pytest.mark.parametrize(
    ("times", "losses", "message"),
    [
        ([], [], "one loss per time"),
        ([1, 2], [1.0], "1 losses for 2 times"),
        ([2, 1], [1.0, 1.0], "increasing"),
        ([1, 1], [1.0, 1.0], "increasing"),
        ([0, 1], [1.0, 1.0], "positive"),
        ([1, math.nan], [1.0, 1.0], "finite"),
    ],
)
def test_broken_curves_are_refused(times: list[float], losses: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_to_target(times, losses, 1.0)


def test_a_senseless_target_or_window_is_refused() -> None:
    with pytest.raises(ValueError, match="target is NaN"):
        time_to_target([1], [1.0], math.nan)
    with pytest.raises(ValueError, match="window is 0"):
        time_to_target([1], [1.0], 1.0, window=0)
