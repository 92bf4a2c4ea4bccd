"""Time to a target: where a smoothed curve first is low enough, and how misses compare."""

import math

import numpy as np
import pytest

from harness.statistics import log_ratios, paired_estimate, time_to_target

INF = math.inf


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
