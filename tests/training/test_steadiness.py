"""Spikes of the gradient and the scatter of late losses, against plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.training.optim import AdamW
from harness.training.steadiness import gradient_spikes, late_loss_spread
from tests.training.bigram import Bigram, run, updater, values


def test_a_spike_is_measured_by_what_came_before_it() -> None:
    assert gradient_spikes([1.0] * 20 + [3.1] + [1.0] * 5) == 1
    assert gradient_spikes([1.0] * 20 + [3.0] + [1.0] * 5) == 0  # three times is not above three times
    assert gradient_spikes([1.0] * 20 + [4.0] * 3) == 3  # spikes do not raise what they are measured by
    assert gradient_spikes([1.0] * 60 + [4.0] * 60) == 25  # until half of the window is of their size
    assert gradient_spikes([1.0] * 9 + [100.0]) == 0  # too few before it
    assert gradient_spikes([9.0 / (1 + update) for update in range(40)]) == 0
    assert gradient_spikes([]) == 0


@pytest.mark.parametrize("seed", range(3))
def test_spikes_are_those_of_the_plain_definition(seed: int) -> None:
    norms = np.exp(np.random.default_rng(seed).normal(0, 1, 200))
    expected = sum(norms[i] > 3 * np.median(norms[max(0, i - 50) : i]) for i in range(10, 200))
    assert expected > 5
    assert gradient_spikes(norms.tolist()) == expected


def test_norms_that_are_not_finite_are_no_spikes_and_judge_nothing() -> None:
    norms = [1.0] * 20 + [math.inf, math.nan, 3.1] + [1.0] * 5
    assert gradient_spikes(norms) == 1


def test_the_spread_is_what_a_straight_line_leaves_of_the_last_quarter() -> None:
    random = np.random.default_rng(0)
    losses = np.concatenate(
        [random.normal(50, 20, 300), 5 - 0.01 * np.arange(100) + random.normal(0, 0.2, 100)]
    )
    late, steps = losses[300:], np.arange(100)
    left = late - np.polyval(np.polyfit(steps, late, 1), steps)
    assert late_loss_spread(losses.tolist()) == pytest.approx(math.sqrt((left**2).sum() / 98), rel=1e-12)


def test_a_trend_alone_is_no_spread() -> None:
    assert late_loss_spread([8.0 - 0.1 * update for update in range(40)]) == pytest.approx(0.0, abs=1e-12)


def test_few_updates_are_all_late_and_two_have_none() -> None:
    four = [2.0, 1.0, 2.0, 1.0]
    left = np.array(four) - np.polyval(np.polyfit(range(4), four, 1), range(4))
    assert late_loss_spread(four) == pytest.approx(math.sqrt((left**2).sum() / 2))
    assert late_loss_spread([2.0, 1.0]) is None


def test_the_loop_reports_both_once_at_its_end() -> None:
    _, reported = run(updater(Bigram(), AdamW(lr=0.5)), updates=40)
    assert values(reported, "gradient_spikes") == [gradient_spikes(values(reported, "gradient_norm"))]
    assert values(reported, "late_loss_spread") == [late_loss_spread(values(reported, "loss"))]
    assert {step for name, _, step in reported if name in ("gradient_spikes", "late_loss_spread")} == {39}
