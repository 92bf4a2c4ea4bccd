"""How often the procedures err, on timings that are worse than normal: heavy tails, drift, effects of the
order.

The bounds are those of 1,000 studies at 5 %, give or take what chance allows.
"""

import math
from typing import Literal

import numpy as np
import pytest

from harness.statistics import (
    PairedEstimate,
    log_ratios,
    narrow_enough,
    paired_estimate,
    rounds_needed,
    sign_flip_p,
)

MARGIN = math.log1p(0.05)
STUDIES = 1000

Decision = Literal["equivalent", "better", "worse", "undecided"]


def timed_rounds(
    rounds: int, effect: float, rng: np.random.Generator, *, noise: float = 0.03
) -> tuple[dict[int, float], dict[int, float]]:
    """Seconds of two arms, round by round: the machine drifts, the second arm to run is slower, one launch in
    twenty is bad.
    """
    drift = np.cumsum(rng.normal(0, 0.05, rounds)) + 0.02 * np.arange(rounds)
    second = rng.permutation(rounds) % 2  # each arm goes first in half the rounds
    sides = []
    for late, shift in ((second, effect), (1 - second, 0.0)):
        launch = rng.normal(0, noise / math.sqrt(2), rounds) + 0.2 * (rng.random(rounds) < 0.05)
        sides.append(dict(enumerate(np.exp(drift + shift + 0.01 * late + launch))))
    return sides[0], sides[1]


def decide(estimate: PairedEstimate) -> Decision:
    if estimate.ci90.low > -MARGIN and estimate.ci90.high < MARGIN:
        return "equivalent"
    if not estimate.ci95.excludes(0):
        return "undecided"
    return "better" if estimate.ci95.high < 0 else "worse"


@pytest.mark.parametrize("rounds", [10, 16])
def test_an_arm_against_itself_differs_in_one_study_of_twenty(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    excluding = sum(
        paired_estimate(log_ratios(*timed_rounds(rounds, 0.0, rng))).ci95.excludes(0) for _ in range(STUDIES)
    )
    assert 33 <= excluding <= 69


@pytest.mark.parametrize("sign", [1, -1])
def test_an_effect_of_exactly_the_margin_is_seldom_called_equivalent(sign: int) -> None:
    rng = np.random.default_rng(20 + sign)
    declared = sum(
        decide(paired_estimate(log_ratios(*timed_rounds(12, sign * MARGIN, rng)))) == "equivalent"
        for _ in range(STUDIES)
    )
    assert 10 <= declared <= 69  # and the test is not merely blind


def test_twice_the_margin_is_found_with_the_rounds_that_are_asked_for() -> None:
    rng = np.random.default_rng(3)
    residuals = [*log_ratios(*timed_rounds(400, 0.0, rng)).values()]
    n = rounds_needed(float(np.std(residuals)), 0.05)
    detected = sum(
        paired_estimate(log_ratios(*timed_rounds(n, 2 * MARGIN, rng))).ci95.low > 0 for _ in range(100)
    )
    assert n < 60
    assert detected >= 70


def test_a_width_reached_does_not_make_the_margin_equivalent() -> None:
    rng = np.random.default_rng(4)
    declared = 0
    for _ in range(500):
        pairs = log_ratios(*timed_rounds(40, MARGIN, rng))
        seen = {0: pairs[0]}
        while len(seen) < len(pairs) and not narrow_enough(seen, 1.2 * MARGIN):
            seen[len(seen)] = pairs[len(seen)]
        declared += decide(paired_estimate(seen)) == "equivalent"
    assert declared / 500 <= 0.069


def test_a_thousand_iterations_a_round_are_as_uncertain_as_ten() -> None:
    rng = np.random.default_rng(5)
    widths: dict[int, list[float]] = {10: [], 1000: []}
    excluding = dict.fromkeys(widths, 0)
    for _ in range(200):
        for iterations, seen in widths.items():
            launches = rng.normal(
                0, 0.03, (2, 10)
            )  # what a fresh process adds is the same for all its iterations
            medians = np.median(launches[:, :, None] + rng.normal(0, 0.01, (2, 10, iterations)), axis=2)
            interval = paired_estimate(dict(enumerate(medians[0] - medians[1]))).ci95
            seen.append(interval.high - interval.low)
            excluding[iterations] += interval.excludes(0)
    assert np.mean(widths[1000]) >= 0.95 * np.mean(widths[10])
    assert max(excluding.values()) / 200 <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("effect", [0.0, 0.03, 0.08, -0.08, 0.3])
def test_swapping_the_arms_mirrors_the_decision(effect: float) -> None:
    mirror = {"better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided"}
    rng = np.random.default_rng(6)
    for _ in range(60):
        arm, baseline = timed_rounds(10, effect, rng)
        there, back = paired_estimate(log_ratios(arm, baseline)), paired_estimate(log_ratios(baseline, arm))
        assert decide(back) == mirror[decide(there)]
        throughput = [{key: 1 / value for key, value in side.items()} for side in (arm, baseline)]
        assert decide(paired_estimate(log_ratios(*throughput))) == mirror[decide(there)]


def test_the_unit_of_time_does_not_matter() -> None:
    arm, baseline = timed_rounds(10, 0.1, np.random.default_rng(7))
    seconds = paired_estimate(log_ratios(arm, baseline))
    hours = paired_estimate(
        log_ratios(*({key: value / 3600 for key, value in side.items()} for side in (arm, baseline)))
    )
    assert hours.estimate == pytest.approx(seconds.estimate)
    assert (hours.ci95.low, hours.ci95.high) == pytest.approx((seconds.ci95.low, seconds.ci95.high))


def test_the_sign_flip_keeps_its_size_beside_the_signed_rank_test() -> None:
    rng = np.random.default_rng(8)
    rejected = sum(sign_flip_p(log_ratios(*timed_rounds(10, 0.0, rng))) <= 0.05 for _ in range(500))
    assert rejected / 500 <= 0.069
